"""The plot `docs/performance.png`: latency and bandwidth by message size."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from page import Values, median

SIDES = (("ours", "this project", "#1f77b4"), ("peer", "dora-rs 1.1.0", "#d62728"))


def sizes(values: Values, kind: str) -> list[int]:
    """The message sizes for which there are cases of that kind."""
    return sorted(int(name.removeprefix(f"{kind}-")) for name in values if name.startswith(f"{kind}-"))


def draw_latency(axes: Axes, values: Values) -> None:
    """p50 as a line, p99 as a dashed one, and one copy as the floor."""
    found = sizes(values, "latency")
    for side, label, colour in SIDES:
        for figure, style in (("p50_us", "o-"), ("p99_us", "--")):
            points = [median(values, f"latency-{size}", side, figure) for size in found]
            axes.plot(found, points, style, color=colour, label=f"{label}, {figure[:3]}")
    copies = [median(values, f"memcpy-{size}", "machine", "warm_us") for size in found]
    axes.plot(found, copies, ":", color="grey", label="one copy")
    axes.axhline(median(values, "pipe", "machine", "wake_up_us"), color="lightgrey", label="bare pipe wake-up")
    axes.set(xscale="log", yscale="log", xlabel="bytes", ylabel="us", title="latency, Python to Python")
    axes.legend(fontsize=8)


def draw_bandwidth(axes: Axes, values: Values) -> None:
    """What arrives per second, lossless."""
    found = sizes(values, "bandwidth")
    for side, label, colour in SIDES:
        points = [median(values, f"bandwidth-{size}", side, "gigabytes_per_s") for size in found]
        axes.plot(found, points, "o-", color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="bytes", ylabel="GB/s", title="bandwidth, one sender, one receiver")
    axes.legend(fontsize=8)


def draw(values: Values, path: Path) -> None:
    """Write the plot to `path`."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_latency(left, values)
    draw_bandwidth(right, values)
    for axes in (left, right):
        axes.grid(True, alpha=0.3)
    figure.savefig(path, dpi=110)
