"""What is measured: one function per kind of case, one table of all cases.

Strategy: a case runs one dataflow of `dataflows/` (or one command) on one side, in a folder of its own, for a bounded
time, and returns named figures.  The same node files run on both sides; what differs from case to case comes to them
as BENCH_* variables.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from processes import Run, run_bounded
from sides import Side

HERE = Path(__file__).parent
HELLO_WORLD = HERE.parent / "examples" / "hello-world"
RATES_HZ = {8: 200, 512: 200, 4096: 200, 40_000: 200, 400_000: 200, 4_000_000: 50, 40_000_000: 5}
"""Message size -> rate of the latency cases; the two largest are slower so that either side can keep up."""

Figures = dict[str, float]


class Failed(Exception):
    """A run that gave no figures; the text says why."""


class Case(NamedTuple):
    """One thing to measure, on either side; the flag asks for a shorter run."""

    name: str
    measure: Callable[[Side, bool], Figures]


class Outcome(NamedTuple):
    """How a dataflow ran, and what its nodes wrote, by node id."""

    run: Run
    results: dict[str, Any]

    def of(self, node: str) -> Any:
        """The figures of one node."""
        if node not in self.results:
            raise Failed(f"{node} wrote nothing, {self.run.ending()}")
        return self.results[node]


def run_dataflow(
    side: Side,
    dataflow: Path,
    *,
    timeout_s: float = 40,
    meanwhile: Callable[[subprocess.Popen[bytes], Path], None] = lambda process, out: None,
    **settings: object,
) -> Outcome:
    """`dora run` of a copy of `dataflow` beside copies of all node files."""
    with tempfile.TemporaryDirectory(prefix="dora-benchmark-") as temporary:
        folder = Path(temporary)
        sources = HERE / "nodes" if dataflow.parent == HERE / "dataflows" else dataflow.parent
        for file in (*sources.glob("*.py"), dataflow):
            shutil.copy(file, folder)
        out = folder / "results"
        out.mkdir()
        environment = side.environment(BENCH_OUT=out, **{f"BENCH_{k.upper()}": v for k, v in settings.items()})
        run = run_bounded(
            side.command("run", dataflow.name),
            environment,
            folder,
            timeout_s=timeout_s,
            meanwhile=lambda process: meanwhile(process, out),
        )
        return Outcome(run, {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")})


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def age_figures(ages_ns: list[float], sent: int) -> Figures:
    """Percentiles of message ages, and how many of the messages they stand for."""
    if not ages_ns:
        raise Failed("no message arrived")
    return {
        "p50_us": percentile(ages_ns, 0.5) / 1e3,
        "p99_us": percentile(ages_ns, 0.99) / 1e3,
        "received_percent": 100 * len(ages_ns) / sent,
    }


def latency(dataflow: str, size: int, rate: int, warm_up_s: float = 0.5) -> Callable[[Side, bool], Figures]:
    """Ages of messages that a sender paces, at the one receiver, once all nodes are warm."""

    def measure(side: Side, is_quick: bool) -> Figures:
        warm_up = max(3, int(rate * warm_up_s))
        count = warm_up + max(5, rate if is_quick else rate * 4)
        path = HERE / "dataflows" / f"{dataflow}.yml"
        outcome = run_dataflow(side, path, size=size, rate=rate, count=count)
        ages = [age for n, age in outcome.of("receiver")["ages"] if n >= warm_up]
        return age_figures(ages, count - warm_up)

    return measure


def operators(size: int) -> Callable[[Side, bool], Figures]:
    """Ages of messages from operator to operator at 200 Hz: in one process where that is possible."""
    apart, together = latency("operators-apart", size, 200), latency("operators", size, 200)
    return lambda side, is_quick: (together if side.name == "ours" else apart)(side, is_quick)


def fan_out(side: Side, is_quick: bool) -> Figures:
    """Age of each message at the last of eight receivers."""
    warm_up, count = 400, 600 if is_quick else 1200
    outcome = run_dataflow(side, HERE / "dataflows" / "fan-out.yml", size=512, rate=200, count=count)
    ages: dict[int, list[float]] = defaultdict(list)
    for i in range(1, 9):
        for n, age in outcome.of(f"receiver-{i}")["ages"]:
            ages[n].append(age)
    last = [max(found) for n, found in ages.items() if n >= warm_up and len(found) == 8]
    return age_figures(last, count - warm_up)


def throughput(dataflow: str, size: int) -> Callable[[Side, bool], Figures]:
    """What arrives per second when the sender sends as fast as it can."""

    def measure(side: Side, is_quick: bool) -> Figures:
        path = HERE / "dataflows" / f"{dataflow}.yml"
        outcome = run_dataflow(side, path, size=size, seconds=1 if is_quick else 3, timeout_s=60)
        received, sent = outcome.of("receiver"), outcome.of("sender")["sent"]
        if not received["elapsed_s"]:
            raise Failed(f"{received['received']} of {sent} messages arrived")
        return {
            "messages_per_s": received["received"] / received["elapsed_s"],
            "gigabytes_per_s": received["size_bytes"] / received["elapsed_s"] / 1e9,
            "lost_percent": 100 * (1 - received["received"] / sent),
        }

    return measure


def cpu_cost(side: Side, is_quick: bool) -> Figures:
    """CPU time of a 500 Hz sender, and of a node beside it that ticks once a second."""
    path = HERE / "dataflows" / "cpu.yml"
    outcome = run_dataflow(side, path, size=512, rate=500, count=1500 if is_quick else 3000)
    sender, other = outcome.of("sender"), outcome.of("one-hertz")
    return {
        "sender_percent": 100 * sender["cpu_s"] / sender["elapsed_s"],
        "one_hertz_percent": 100 * other["cpu_s"] / other["elapsed_s"],
    }


def memory(side: Side, is_quick: bool) -> Figures:
    """Resident and proportional memory of a node that receives a few small messages."""
    found = run_dataflow(side, HERE / "dataflows" / "memory.yml", size=8, rate=10, count=15).of("receiver")
    return {"rss_mb": found["rss_bytes"] / 1e6, "pss_mb": found["pss_bytes"] / 1e6}


def hello_world(side: Side, is_quick: bool) -> Figures:
    """`dora run` of the guide's first example, from start to end."""
    run = run_dataflow(side, HELLO_WORLD / "dataflow.yml").run
    if run.code != 0:
        raise Failed(run.ending())
    return {"wall_s": run.wall_s, "received": run.output.count("Received message")}


def stop(side: Side, is_quick: bool) -> Figures:
    """From Ctrl-C (SIGINT to the whole foreground group) to the prompt, with ten nodes that stop when told."""
    told_at = 0.0

    def interrupt(process: subprocess.Popen[bytes], out: Path) -> None:
        nonlocal told_at
        end = time.monotonic() + 30
        while len(list(out.glob("*.json"))) < 10 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)
        told_at = time.monotonic()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)

    outcome = run_dataflow(side, HERE / "dataflows" / "stop.yml", timeout_s=30, meanwhile=interrupt)
    run = outcome.run
    if run.code is None or len(outcome.results) < 10:
        raise Failed(f"{len(outcome.results)} nodes ran, {run.ending()}")
    return {"prompt_s": run.ended_s - told_at, "left_over": run.left_over}


def command(*arguments: str) -> Callable[[Side, bool], Figures]:
    """Wall time of a `dora` command that starts nothing."""

    def measure(side: Side, is_quick: bool) -> Figures:
        times = []
        for _ in range(3 if is_quick else 7):
            start = time.perf_counter()
            subprocess.run(
                side.command(*arguments), env=side.environment(), capture_output=True, timeout=30, check=True
            )
            times.append(time.perf_counter() - start)
        return {"wall_ms": statistics.median(times) * 1e3}

    return measure


CASES = [
    *(Case(f"latency-{size}", latency("latency", size, rate)) for size, rate in RATES_HZ.items()),
    Case("busy-512", latency("latency", 512, 1000)),
    Case("raw-40000000", latency("raw", 40_000_000, RATES_HZ[40_000_000])),
    Case("flood-512", throughput("flood", 512)),
    *(Case(f"bandwidth-{size}", throughput("bandwidth", size)) for size in (4096, 40_000, 400_000, 4_000_000)),
    Case("fan-out-512", fan_out),
    Case("chain-512", latency("chain", 512, 100, warm_up_s=2)),
    *(Case(f"operators-{size}", operators(size)) for size in (512, 4_000_000)),
    *(Case(f"operators-apart-{size}", latency("operators-apart", size, 200)) for size in (512, 4_000_000)),
    *(Case(f"operators-as-nodes-{size}", latency("latency", size, 200)) for size in (512, 4_000_000)),
    Case("cpu-500-hz", cpu_cost),
    Case("hello-world", hello_world),
    Case("memory", memory),
    Case("version", command("--version")),
    Case("validate", command("validate", str(HELLO_WORLD / "dataflow.yml"))),
    Case("stop-10", stop),
]
