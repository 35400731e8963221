"""A node that prints as fast as it can, beside nodes that work (46)."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

RATES = {"joints": 500, "camera": 30}
SENDS = """
import os
import numpy as np
from dora import Node

node = Node()
data = np.zeros(int(os.environ["SIZE"]), np.uint8)
for event in node:
    if event["type"] == "STOP":
        break
    node.send_output("out", data)
"""
COUNTS = """
import json, time
from dora import Node

count, times = 0, []
for event in Node():
    if event["type"] == "INPUT":
        times.append(time.monotonic())
times = times[len(times) // 10 :]
gaps = sorted(b - a for a, b in zip(times, times[1:]))
print(json.dumps({"hz": (len(times) - 1) / (times[-1] - times[0]), "p99_ms": gaps[int(0.99 * len(gaps))] * 1000}))
"""
PRINTS = """
import json, os, time
from dora import Node

node = Node()
block = b"".join(b"%05d " % number + b"x" * 93 + b"\\n" for number in range(600))
limit = float(os.environ["MB_PER_S"]) * 1e6
printed, began_s = 0, time.monotonic()
while node.try_recv() is None:
    due_s = began_s + printed / limit if limit else time.monotonic() + 0.01
    if limit and due_s <= time.monotonic():
        printed += os.write(1, block)
    else:
        time.sleep(max(0.0, due_s - time.monotonic()))
print(json.dumps({"mb_per_s": printed / (time.monotonic() - began_s) / 1e6}))
"""


class Round(NamedTuple):
    """What the nodes of one run measured.

    Attributes:
        hz: arrivals per second, by sender.
        p99_ms: gap between two of them.
        printed_mb_per_s: of the node that prints.
        torn: places in its log where lines are missing.
        stored_mb: of its log files.
    """

    hz: dict[str, float]
    p99_ms: dict[str, float]
    printed_mb_per_s: float
    torn: int
    stored_mb: float


def one_round(duration_s: int, mb_per_s: float) -> Round:
    """One run, with a node that offers so much to print."""
    with tempfile.TemporaryDirectory(prefix="dora-prints-") as folder:
        flow = Flow(Path(folder))
        try:
            return _measured(flow, duration_s, mb_per_s)
        finally:
            left = flow.leftovers()
            assert not left, left


def _measured(flow: Flow, duration_s: int, mb_per_s: float) -> Round:
    for name, rate in RATES.items():
        size = "4000000" if name == "camera" else "64"
        flow.node(name, SENDS, inputs={"tick": f"dora/timer/hz/{rate}"}, outputs=["out"], env={"SIZE": size})
        flow.node(f"{name}-sink", COUNTS, inputs={"in": f"{name}/out"})
    flow.node("printer", PRINTS, env={"MB_PER_S": str(mb_per_s)}, max_log_size="10MB", max_rotated_files=2)
    ended = flow.run("--stop-after", f"{duration_s}s", "--log-level", "error", timeout_s=duration_s + 30)
    assert ended.code == 0, ended.stderr
    found = {name: flow.figures(f"{name}-sink") for name in RATES}
    *lines, last = flow.said("printer")
    numbers = [int(line[:5]) for line in lines]
    return Round(
        {name: figures["hz"] for name, figures in found.items()},
        {name: figures["p99_ms"] for name, figures in found.items()},
        json.loads(last)["mb_per_s"],
        sum((a + 1) % 600 != b for a, b in pairwise(numbers)),
        sum(path.stat().st_size for path in flow.folder.glob("out/*/log_printer*")) / 1e6,
    )


def beside_a_printer(flow: Flow, rounds: int, duration_s: int = 8, mb_per_s: float = math.inf) -> list[Mark]:
    """Rates of the other nodes with and without the printing, in turns; the printer offers at most so much."""
    quiet, loud = [], []
    for _ in range(rounds):
        quiet.append(one_round(duration_s, 0.0))
        loud.append(one_round(duration_s, mb_per_s))
    marks = []
    for name in RATES:
        before, now = (statistics.median(one.hz[name] for one in found) for found in (quiet, loud))
        gaps = [statistics.median(one.p99_ms[name] for one in found) for found in (quiet, loud)]
        marks.append(
            Mark(
                f"{name}: {now:.1f} of {before:.1f} Hz (p99 gap {gaps[1]:.1f} of {gaps[0]:.1f} ms)",
                now / before,
                ">=",
                0.9,
            )
        )
    marks.append(Mark("printed, MB/s", statistics.median(one.printed_mb_per_s for one in loud), ">=", 1))
    marks.append(Mark("lines missing in the log", sum(one.torn for one in loud), "==", 0))
    marks.append(Mark("log files, MB, most", max(one.stored_mb for one in loud), "<=", 31.6))
    return marks
