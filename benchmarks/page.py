"""The page `docs/performance.md`: budgets, figures of both sides, and whether the budgets hold.

Strategy: one table of rows; each row names a case, a figure and, where there is one, a budget.  A figure is shown as
the median of its rounds with the least and the greatest in brackets; a budget is judged by medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import least

Values = dict[str, dict[str, dict[str, list[float]]]]


class Budget(NamedTuple):
    """A bound on our median; `holds` gets our median, that of dora-rs and the floor (NaN where there is none)."""

    text: str
    holds: Callable[[float, float, float], bool]


def at_most(limit: float, unit: str) -> Budget:
    """An absolute upper bound."""
    return Budget(f"≤ {limit:g} {unit}", lambda ours, peer, floor: ours <= limit)


def at_least(limit: float, unit: str) -> Budget:
    """An absolute lower bound."""
    return Budget(f"≥ {limit:,g} {unit}", lambda ours, peer, floor: ours >= limit)


def part_of_peer(divisor: int) -> Budget:
    """That much less than dora-rs."""
    return Budget(f"≤ 1/{divisor} of dora-rs", lambda ours, peer, floor: ours <= peer / divisor)


def copies(factor: float) -> Budget:
    """That many times one copy of the same size."""
    return Budget(f"≤ {factor:g} x memcpy", lambda ours, peer, floor: ours <= floor * factor)


class Row(NamedTuple):
    """One line of the table; `floor` is a case of side "machine": the least of its figures counts."""

    what: str
    case: str
    figure: str
    unit: str
    budget: Budget | None = None
    floor: str = ""
    is_more_better: bool = False


def latency_row(size: int, name: str, rate: int, budget: Budget) -> Row:
    """The p50 of one message size."""
    return Row(f"{name}, p50 at {rate} Hz", f"latency-{size}", "p50_us", "us", budget, floor=f"memcpy-{size}")


BUDGETED = [
    latency_row(8, "8 B", 200, part_of_peer(10)),
    latency_row(512, "512 B", 200, part_of_peer(10)),
    latency_row(4096, "4 KB", 200, part_of_peer(10)),
    latency_row(40_000, "40 KB", 200, part_of_peer(8)),
    latency_row(400_000, "400 KB", 200, part_of_peer(4)),
    latency_row(4_000_000, "4 MB", 50, copies(1.5)),
    latency_row(40_000_000, "40 MB", 5, copies(1.5)),
    Row("`send_output_raw`, 40 MB, `send()` to event, p50", "raw-40000000", "p50_us", "us", at_most(100, "us")),
    Row(
        "flood, 512 B, lossless",
        "flood-512",
        "messages_per_s",
        "msg/s",
        at_least(100_000, "msg/s"),
        is_more_better=True,
    ),
    Row("flood, 512 B, messages lost", "flood-512", "lost_percent", "%", at_most(0, "%")),
    Row("8 relays in a chain, 512 B, p50 at 100 Hz", "chain-512", "p50_us", "us", part_of_peer(10)),
    Row("1 -> 8 fan-out, 512 B, last receiver p50 at 200 Hz", "fan-out-512", "p50_us", "us", part_of_peer(5)),
    Row("hello world, `dora run` start to end", "hello-world", "wall_s", "s", at_most(0.45, "s")),
    Row("hello world, messages received of 100", "hello-world", "received", "", at_least(100, ""), is_more_better=True),
    Row("`dora --version`", "version", "wall_ms", "ms", at_most(60, "ms")),
    Row("`dora validate`", "validate", "wall_ms", "ms", at_most(150, "ms")),
    Row("memory of a trivial node, RSS", "memory", "rss_mb", "MB", at_most(60, "MB")),
    Row("memory of a trivial node, PSS", "memory", "pss_mb", "MB", at_most(40, "MB")),
    Row("Ctrl-C to prompt, 10 nodes", "stop-10", "prompt_s", "s", at_most(1, "s")),
    Row("CPU of a 1 Hz node beside a 500 Hz one", "cpu-500-hz", "one_hertz_percent", "%", at_most(1, "%")),
]

WITHOUT_BUDGET = [
    Row("512 B, p50 at 1,000 Hz", "busy-512", "p50_us", "us"),
    Row("CPU of a 500 Hz sender, 512 B", "cpu-500-hz", "sender_percent", "%"),
    *(
        Row(f"{name}, p99", f"latency-{size}", "p99_us", "us")
        for size, name in ((8, "8 B"), (4096, "4 KB"), (400_000, "400 KB"), (4_000_000, "4 MB"), (40_000_000, "40 MB"))
    ),
    Row("8 relays, p99", "chain-512", "p99_us", "us"),
    *(
        Row(f"{what}, {name}, p50 at 200 Hz", f"{case}-{size}", "p50_us", "us")
        for size, name in ((512, "512 B"), (4_000_000, "4 MB"))
        for case, what in (
            ("operators", "operator to operator, in one process here, in two on dora-rs"),
            ("operators-apart", "operator to operator, in two processes on both"),
            ("operators-as-nodes", "node to node beside them"),
        )
    ),
    Row("fan-out, last receiver p99", "fan-out-512", "p99_us", "us"),
    *(
        Row(f"bandwidth, {name}", f"bandwidth-{size}", "gigabytes_per_s", "GB/s", is_more_better=True)
        for size, name in ((4096, "4 KB"), (40_000, "40 KB"), (400_000, "400 KB"), (4_000_000, "4 MB"))
    ),
]

FLOORS = [
    ("wake-up through a bare pipe, p50 at 200 Hz", "pipe", "wake_up_us"),
    *(
        (f"the least Python program that passes 512 B on, p50 at {rate:,} Hz", "least", f"at_{rate}_hz_us")
        for rate in least.RATES_HZ
    ),
    ("8 least relays in a chain, p50 at 100 Hz", "least", "chain_us"),
    ("least 1 -> 8 fan-out, last receiver p50 at 200 Hz", "least", "fan_out_us"),
    *(
        (f"memcpy of {name}, {how}", f"memcpy-{size}", figure)
        for size, name in ((400_000, "400 KB"), (4_000_000, "4 MB"), (40_000_000, "40 MB"))
        for how, figure in (("right after another", "warm_us"), ("paced as the messages are", "paced_us"))
    ),
]


def number(value: float) -> str:
    """Three significant digits, no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shown(found: list[float], unit: str = "") -> str:
    """Median (least - greatest) and unit."""
    if not found:
        return "-"
    return f"{number(statistics.median(found))} ({number(min(found))} - {number(max(found))}) {unit}".strip()


def median(values: Values, case: str, side: str, figure: str) -> float:
    """The median of the rounds, or NaN."""
    found = values.get(case, {}).get(side, {}).get(figure)
    return statistics.median(found) if found else float("nan")


def table_line(row: Row, values: Values) -> str:
    """One line of the table."""
    ours, peer = (median(values, row.case, side, row.figure) for side in ("ours", "peer"))
    found = values.get(row.floor, {}).get("machine", {})
    floor = min((statistics.median(times) for times in found.values()), default=float("nan"))
    better = ours / peer if row.is_more_better and peer else peer / ours if ours else float("nan")
    cells = [shown(values.get(row.case, {}).get(side, {}).get(row.figure, []), row.unit) for side in ("ours", "peer")]
    ratio = f"{number(better)} x" if better == better else "-"
    verdict = "" if row.budget is None else "yes" if row.budget.holds(ours, peer, floor) else "**no**"
    budget = row.budget.text if row.budget else ""
    return f"| {row.what} | {budget} | {cells[0]} | {cells[1]} | {ratio} | {verdict} |"


def failure_lines(values: Values) -> list[str]:
    """The runs that gave no figures."""
    names = {"ours": "this project", "peer": "dora-rs"}
    return [
        f"- {case}: {len(found['failures'])} runs of {names[side]} gave no figures."
        for case, by_side in values.items()
        for side, found in by_side.items()
        if found.get("failures")
    ]


def conditions(report: dict[str, Any]) -> str:
    """When, where and on what it was measured."""
    rounds = f"{report['rounds']} alternating rounds{' of short cases' if report['is_quick'] else ''}"
    lines = [
        "Made by `python benchmarks/run.py`, which runs the same node files on this project and on dora-rs in turn.",
        f"Median of {rounds}, in brackets the least and the greatest.",
        f"Measured {report['started']} on {report['machine']}.",
        f"This project: {report['ours']}. dora-rs: {report['peer']}.",
    ]
    if report["load_before"] > 1:
        load = f"load average {report['load_before']:.1f} before, {report['load_after']:.1f} at the end"
        lines.append(f"The machine had other work to do all the while ({load}): an idle one gives better figures.")
    return "\n".join(lines)


def page(report: dict[str, Any]) -> str:
    """The whole page, as Markdown."""
    values: Values = report["values"]
    head = "| what | budget | this project | dora-rs 1.1.0 | times better | holds |\n|---|---|---|---|---|---|"
    present = [row for row in BUDGETED if row.case in values]
    rows = [table_line(row, values) for row in present]
    more = [table_line(row, values) for row in WITHOUT_BUDGET if row.case in values]
    floors = [
        f"| {what} | {shown(found, 'us')} |"
        for what, case, figure in FLOORS
        if (found := values.get(case, {}).get("machine", {}).get(figure))
    ]
    failures = failure_lines(values)
    parts = [
        "# Performance",
        conditions(report),
        "Latency is one-way between two Python processes, through the whole API: from just before `send_output` of an\n"
        "Arrow array until the event dict with its array is there.",
        "![latency and bandwidth by message size](performance.png)",
        "\n".join([head, *rows]),
        "## Without a budget",
        "\n".join([head, *more]),
        "## What the machine itself can do",
        "\n".join(["| what | this machine |\n|---|---|", *floors]),
        "The least programs (`benchmarks/least.py`) copy an Arrow array, write 24 bytes to a pipe, and make an array\n"
        "and a dict of them on the other side: no dataflow in Python is faster than that.\n"
        "The budgets of 4 MB and 40 MB are held against the faster of the two copies.\n"
        "A pause of a few milliseconds costs a process its place in the CPU's caches: that is the difference between\n"
        "the two copies, and most of the difference between 200 and 1,000 messages a second.",
        *(["## Runs that failed", "\n".join(failures)] if failures else []),
    ]
    return "\n\n".join(parts) + "\n"
