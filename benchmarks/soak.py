"""A day in short: `python benchmarks/soak.py [--minutes N] [--out FOLDER]`; `--read FOLDER` says how an old run went.

A camera (4 MB at 30 Hz), joints (500 Hz), a controller that reads both, readers that are too slow, one that keeps
frames, a source and a reader that end badly every half minute and are restarted.  All the time it notes the memory and
descriptors of everything that lives as long as the run, how old messages are when the controller has them, and how long
a bare wake-up through a pipe takes on this machine in the same ten seconds.  In the end (and when it is interrupted) it
draws a plot and compares minutes 5 to 15 with the last 10 (in a shorter run the same parts of it):
memory grows by less than 2 %, descriptors do not, and the median age divided by the bare wake-up drifts by less than
10 %.  Exit code 1: one of these does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from floors import pipe_wake_up_us
from memory import memory_of

from end_to_end.lineage import minder_pid
from end_to_end.running import Flow, Run

NODES = Path(__file__).parent / "nodes"
WINDOW_S = 10.0
STEADY = ("camera", "joints", "controller", "slow", "keeper")
FRAME_BYTES = 4_000_000
SAMPLES, AGES, PLOT = "samples.jsonl", "ages.jsonl", "soak.png"


def add_nodes(flow: Flow, folder: Path, window_s: float) -> None:
    """The graph."""
    source, sink = str(NODES / "soak_source.py"), str(NODES / "soak_sink.py")
    dying = {"restart_policy": "on-failure", "restart_delay": 0.2, "max_restart_delay": 1.0}

    def sensor(name: str, timer: str, size: int, env: dict[str, str] | None = None, **keys: Any) -> None:
        ticks = {"tick": {"source": timer, "queue_size": 1}}
        flow.other_node(
            name, source, inputs=ticks, outputs=["data"], env={"SOAK_SIZE": str(size), **(env or {})}, **keys
        )

    def feed(name: str, queue_size: int, policy: str = "drop_oldest") -> dict[str, Any]:
        return {"source": f"{name}/data", "queue_size": queue_size, "queue_policy": policy}

    sensor("camera", "dora/timer/millis/33", FRAME_BYTES)
    sensor("joints", "dora/timer/millis/2", 112)
    sensor("flaky", "dora/timer/millis/100", 100_000, {"SOAK_LIFE_S": "30"}, **dying)
    flow.other_node(
        "controller",
        str(NODES / "soak_meter.py"),
        inputs={"frame": feed("camera", 1), "joints": "joints/data", "flaky": feed("flaky", 100, "backpressure")},
        env={"SOAK_OUT": str(folder / AGES), "SOAK_WINDOW_S": str(window_s)},
    )
    flow.other_node("slow", sink, inputs={"joints": feed("joints", 100)}, env={"SOAK_WORK_MS": "20"})
    keeps = {"SOAK_WORK_MS": "200", "SOAK_KEEPS": "5"}
    flow.other_node("keeper", sink, inputs={"frame": feed("camera", 2)}, env=keeps)
    crashes = {"SOAK_LIFE_S": "25"}
    flow.other_node("crasher", sink, inputs={"frame": feed("camera", 5), "joints": "joints/data"}, env=crashes, **dying)


def rss_kb(pid: int) -> int:
    """Resident memory without files: the process's own, and what it maps of messages."""
    memory = memory_of(pid)
    return memory.anonymous_kb + memory.shared_kb


def sample(pids: dict[str, int], began_s: float, wake_ups: int) -> dict[str, Any]:
    """One line of `SAMPLES`; takes as long as so many bare wake-ups at 20 Hz."""
    wake_up_us = pipe_wake_up_us(20, wake_ups)
    now_s = time.monotonic()
    return {
        "at_s": now_s,
        "minute": (now_s - began_s) / 60,
        "pipe_us": wake_up_us,
        "rss_kb": {name: rss_kb(pid) for name, pid in pids.items()},
        "fds": {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()},
    }


def record(run: Run, folder: Path, minutes: float, window_s: float) -> None:
    """Note everything until the time is over."""
    nodes = run.wait_nodes(*STEADY)
    pids = {"runner": run.process.pid, "minder": minder_pid(run), **{name: nodes[name] for name in STEADY}}
    began_s = time.monotonic()
    wake_ups = round((window_s - 1) * 20)
    with (folder / SAMPLES).open("w", buffering=1) as file:
        while time.monotonic() < began_s + 60 * minutes:
            file.write(json.dumps(sample(pids, began_s, wake_ups)) + "\n")
            assert run.process.poll() is None, f"the run has ended: {run.stderr()}"


# -- reading


class Window(NamedTuple):
    """One sample, with the ages of the messages of the same seconds."""

    minute: float
    pipe_us: float
    rss_kb: dict[str, int]
    fds: dict[str, int]
    ages: dict[str, dict[str, float]]
    restarts: int


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def windows_of(folder: Path) -> list[Window]:
    """All samples of a run so far."""
    ages = lines_of(folder / AGES)
    found = []
    for entry in lines_of(folder / SAMPLES):
        nearest = min(ages, key=lambda line: abs(line["at_s"] - entry["at_s"]), default={"restarts": 0})
        by_input = {name: figures for name, figures in nearest.items() if isinstance(figures, dict)}
        parts = (entry["minute"], entry["pipe_us"], entry["rss_kb"], entry["fds"])
        found.append(Window(*parts, by_input, nearest["restarts"]))
    return found


def parts_of(windows: list[Window]) -> tuple[list[Window], list[Window]]:
    """Minutes 5 to 15 and the last 10 of an hour; the same parts of a shorter run."""
    scale = min(1.0, windows[-1].minute / 60)
    end = windows[-1].minute
    first = [window for window in windows if 5 * scale <= window.minute <= 15 * scale]
    return first, [window for window in windows if window.minute >= end - 10 * scale]


def middle(windows: list[Window], value: Callable[[Window], float]) -> float:
    """Median of a figure."""
    return statistics.median(value(window) for window in windows)


def judge(windows: list[Window]) -> list[tuple[str, bool]]:
    """Lines of the verdict, and whether each holds."""
    first, last = parts_of(windows)
    lines = [(f"{windows[-1].minute:.1f} minutes, {windows[-1].restarts} restarts seen by the controller", True)]

    def growth(value: Callable[[Window], float]) -> tuple[float, float, float]:
        then, now = middle(first, value), middle(last, value)
        return then, now, 100 * (now / then - 1)

    for name in windows[0].rss_kb:
        then, now, percent = growth(lambda window, of=name: window.rss_kb[of] / 1024)
        lines.append(
            (f"memory of {name}: {then:.1f} -> {now:.1f} MB ({percent:+.1f} %)", percent < 2 or now - then < 1)
        )
    then, now, percent = growth(lambda window: sum(window.rss_kb.values()) / 1024)
    lines.append((f"memory of all: {then:.1f} -> {now:.1f} MB ({percent:+.2f} %, must be < 2 %)", percent < 2))
    then, now, _ = growth(lambda window: sum(window.fds.values()))
    lines.append((f"descriptors of all: {then:.0f} -> {now:.0f} (must not grow)", now <= then))
    for name in ("joints", "frame"):
        then, now, percent = growth(lambda window, of=name: window.ages[of]["p50_us"] / window.pipe_us)
        text = f"p50 age of {name} / bare wake-up: {then:.2f} -> {now:.2f} ({percent:+.1f} %, must drift by < 10 %)"
        lines.append((text, percent < 10))
        then, now, _ = growth(lambda window, of=name: window.ages[of]["p50_us"])
        far, near, _ = growth(lambda window, of=name: window.ages[of]["p99_us"])
        lines.append((f"  p50 {then:.0f} -> {now:.0f} us, p99 {far:.0f} -> {near:.0f} us", True))
    then, now, _ = growth(lambda window: window.pipe_us)
    lines.append((f"  bare wake-up {then:.0f} -> {now:.0f} us", True))
    return lines


def draw(windows: list[Window], path: Path) -> None:
    """Memory, descriptors and ages over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    memory, files, joints, ratio = figure.subplots(4, 1, sharex=True)
    minutes = [window.minute for window in windows]
    for name in windows[0].rss_kb:
        memory.plot(minutes, [window.rss_kb[name] / 1024 for window in windows], label=name)
        files.plot(minutes, [window.fds[name] for window in windows], label=name)
    for name in ("joints", "frame"):
        for part, style in (("p50_us", "-"), ("p99_us", ":")):
            values = [window.ages[name][part] for window in windows]
            joints.plot(minutes, values, style, label=f"{name} {part[:3]}")
        values = [window.ages[name]["p50_us"] / window.pipe_us for window in windows]
        ratio.plot(minutes, values, label=f"{name} p50 / bare wake-up")
    joints.plot(minutes, [window.pipe_us for window in windows], color="grey", label="bare pipe wake-up")
    joints.set(yscale="log")
    for axes, title in ((memory, "MB"), (files, "descriptors"), (joints, "age, us"), (ratio, "ratio")):
        axes.set(ylabel=title)
        axes.grid(True, alpha=0.3)
        axes.legend(fontsize=7, ncols=4)
    ratio.set(xlabel="minutes", ylim=(0, None))
    figure.savefig(path, dpi=110)


def conclude(folder: Path) -> int:
    """Print the verdict on a run and draw its plot."""
    windows = [window for window in windows_of(folder) if {"joints", "frame"} <= window.ages.keys()]
    if len(windows) < 6:
        print("too short to be judged")
        return 1
    verdict = judge(windows)
    for text, holds in verdict:
        print(text if holds else f"{text}  MISSED")
    try:
        draw(windows, folder / PLOT)
        print(f"plot: {folder / PLOT}")
    except ImportError:
        print("no plot: matplotlib is not installed (pip install 'dora-rs[bench]')")
    return 0 if all(holds for _, holds in verdict) else 1


def main() -> int:
    """Run, or read an old run."""
    parser = argparse.ArgumentParser(description="A day in short.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--out", type=Path, default=Path("soak"), help="folder for samples and plot (soak)")
    parser.add_argument("--read", type=Path, help="only say how the run in that folder went")
    options = parser.parse_args()
    if options.read is not None:
        return conclude(options.read)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = options.out.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / AGES).unlink(missing_ok=True)
    window_s = min(WINDOW_S, max(2.0, options.minutes * 60 / 60))
    flow = Flow(folder)
    add_nodes(flow, folder, window_s)
    try:
        run = flow.start("--quiet")
        try:
            record(run, folder, options.minutes, window_s)
        except KeyboardInterrupt:
            print("interrupted")
        ended = run.stop()
        print(f"exit code {ended.code}; {ended.stderr.strip()}")
    finally:
        left = flow.leftovers()
    for text in left:
        print(f"left behind: {text}")
    return conclude(folder) or int(bool(left)) or int(ended.code != 0)


if __name__ == "__main__":
    sys.exit(main())
