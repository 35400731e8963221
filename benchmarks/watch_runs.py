"""What watching costs a 1 kHz graph: `python benchmarks/watch_runs.py [--count N] [--window S] [--idle S]`.

One sender, one reader.  Windows with and without a watcher alternate, so that a busy machine slows both alike; each
window with one is divided by the mean of those before and after it, and the median of these ratios counts.  The start
of a watcher, which takes CPU of its own, is no part of a window.  The promises:

    hz      says the rate of the counters to within 1 %; the sender's rate falls by less than 1 %, the latency p50 of
            its reader grows by less than 5 %
    echo    tells of every message that it skips; rate as above, latency p50 grows by less than 20 %
    idle    the service takes less than 0.5 % of a core, with the graph running and nobody watching

`send_p50` is the time of `send_output` itself; it is shown and promised nothing.  Prints its figures as JSON; exit code
1 if a promise was broken or something was left behind.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from service_runs import cpu_percent

from end_to_end.running import wait_until
from end_to_end.services import World

SENDER = """
import array, time
import pyarrow as pa
from dora import Node
node = Node()
log = array.array("q")
due = time.monotonic_ns()
number = 0
while True:
    due += 1_000_000
    left = due - time.monotonic_ns()
    if left > 0:
        time.sleep(left / 1e9)
    elif left < -100_000_000:
        due = time.monotonic_ns()
    began = time.monotonic_ns()
    node.send_output("out", pa.array([number, began]))
    log.extend((began, time.monotonic_ns() - began))
    number += 1
    if number % 100 == 0 and (event := node.try_recv()) is not None and event["type"] == "STOP":
        break
open("sender.bin", "wb").write(log.tobytes())
"""
READER = """
import array, time
from dora import Node
log = array.array("q")
for event in Node():
    if event["type"] == "INPUT":
        now = time.monotonic_ns()
        sent = event["value"][1].as_py()
        log.extend((sent, now - sent))
open("reader.bin", "wb").write(log.tobytes())
"""
DATAFLOW = """
nodes:
  - {id: sender, path: sender.py, outputs: [out]}
  - {id: reader, path: reader.py, inputs: {in: {source: sender/out, queue_size: 1000}}}
"""
SETTLE_S = 0.3
UP_S = 20.0
MARKS = {"hz": 1.05, "echo": 1.20}


class Window(NamedTuple):
    """A span of time, CLOCK_MONOTONIC."""

    began_ns: int
    ended_ns: int

    def of(self, log: list[tuple[int, int]]) -> list[int]:
        """What was noted in it."""
        return [value for at, value in log if self.began_ns <= at < self.ended_ns]

    def rate_hz(self, log: list[tuple[int, int]]) -> float:
        """How often something was noted in it."""
        return 1e9 * len(self.of(log)) / (self.ended_ns - self.began_ns)


class Watched(NamedTuple):
    """A window with a watcher, the ones without before and after it, and what the watcher printed last, and when."""

    before: Window
    watched: Window
    after: Window
    out: str
    err: str
    printed_ns: int


def window(seconds: float) -> Window:
    """Wait for that long."""
    began = time.monotonic_ns()
    time.sleep(seconds)
    return Window(began, time.monotonic_ns())


def sent(world: World) -> int:
    """The counter of the sender's messages."""
    return int(json.loads(world.says("node", "info", "reader", "--format", "json"))["inputs"][0]["sent"])


def watch(world: World, kind: str, seconds: float, before: Window) -> Watched:
    """One window with the watcher, and one without behind it."""
    words = ["topic", kind, "sender/out", "--duration", str(seconds + 2 * SETTLE_S)]
    words += ["--format", "json"] if kind == "echo" else []
    with open(world.folder / "out.txt", "w+b") as out, open(world.folder / "err.txt", "w+b") as err:
        command = [sys.executable, "-m", "dora", *words]
        with subprocess.Popen(command, cwd=world.folder, env=world.environment, stdout=out, stderr=err) as watcher:
            try:
                wait_until(lambda: is_up(watcher.pid, kind, world), UP_S, "the watcher")
                time.sleep(SETTLE_S)
                watched = window(seconds)
                watcher.wait(UP_S)
            finally:
                watcher.kill()
        texts = [(world.folder / name).read_text() for name in ("out.txt", "err.txt")]
        printed_ns = (world.folder / "out.txt").stat().st_mtime_ns - time.time_ns() + time.monotonic_ns()
    time.sleep(SETTLE_S)
    return Watched(before, watched, window(seconds), texts[0], texts[1], printed_ns)


def is_up(pid: int, kind: str, world: World) -> bool:
    """`echo` has printed something; `hz` has mapped the counters."""
    if kind == "echo":
        return (world.folder / "out.txt").stat().st_size > 0
    return "dora-counters" in Path(f"/proc/{pid}/maps").read_text()


def log_of(world: World, name: str) -> list[tuple[int, int]]:
    """What a node has noted: time, value."""
    raw = (world.folder / f"{name}.bin").read_bytes()
    return list(struct.iter_unpack("<qq", raw))


def figures_of(runs: list[Watched], kind: str, sends: list[tuple[int, int]], takes: list[tuple[int, int]]) -> Any:
    """The medians of all pairs."""
    rates, latencies, durations, plain = [], [], [], []
    for run in runs:
        alone = [statistics.median(one.of(takes)) for one in (run.before, run.after)]
        plain += [value / 1000 for value in alone]
        latencies.append(statistics.median(run.watched.of(takes)) / statistics.mean(alone))
        rates.append(
            run.watched.rate_hz(sends) / statistics.mean(one.rate_hz(sends) for one in (run.before, run.after))
        )
        alone = [statistics.median(one.of(sends)) for one in (run.before, run.after)]
        durations.append(statistics.median(run.watched.of(sends)) / statistics.mean(alone))
    found: dict[str, Any] = {
        "windows": len(runs),
        "latency_p50_us_without": round(statistics.median(plain), 1),
        "latency_p50_ratio": round(statistics.median(latencies), 3),
        "latency_p50_ratios": [round(min(latencies), 3), round(max(latencies), 3)],
        "rate_ratio": round(statistics.median(rates), 4),
        "send_p50_ratio": round(statistics.median(durations), 3),
    }
    is_right = hz_figures(runs, sends, found) if kind == "hz" else echo_figures(runs, found)
    found["is_well"] = is_right and found["latency_p50_ratio"] < MARKS[kind] and found["rate_ratio"] > 0.99
    return found


def hz_figures(runs: list[Watched], sends: list[tuple[int, int]], found: dict[str, Any]) -> bool:
    """How far what `hz` says is from the times of those messages that it has counted."""
    errors = []
    for run in runs:
        cells = run.out.splitlines()[-1].split("\t")
        said_hz, samples = float(cells[2]), int(cells[6])
        times = [at for at, _ in sends if at < run.printed_ns][-samples - 1 :]
        errors.append(abs(said_hz * (times[-1] - times[0]) / 1e9 / samples - 1))
    found["hz_error_median"] = round(statistics.median(errors), 5)
    found["hz_error_max"] = round(max(errors), 5)
    return statistics.median(errors) < 0.01


def echo_figures(runs: list[Watched], found: dict[str, Any]) -> bool:
    """Messages that `echo` printed, those missing between its first and last, and those it said it had skipped."""
    printed = missing = told = untold = 0
    for run in runs:
        numbers = [json.loads(line)["data"][0] for line in run.out.splitlines()]
        gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
        skipped = sum(int(text) for text in re.findall(r"(\d+) messages were skipped", run.err))
        printed, missing, told = printed + len(numbers), missing + gaps, told + skipped
        untold += max(0, gaps - skipped)
    found.update({"printed": printed, "missing": missing, "told_as_skipped": told, "untold": untold})
    return not untold


def measure(world: World, count: int, seconds: float, idle_s: int) -> dict[str, Any]:
    """All of it on one service and one run."""
    world.says("start", "dataflow.yml", "--name", "watched", "--detach")
    wait_until(lambda: sent(world) > 100, UP_S, "messages")
    idle = cpu_percent(world.service_pid(), idle_s)
    runs: dict[str, list[Watched]] = {kind: [] for kind in MARKS}
    before = window(seconds)
    for _ in range(count):
        for kind, found in runs.items():
            found.append(watch(world, kind, seconds, before))
            before = found[-1].after
    world.says("stop", "watched")
    sends, takes = log_of(world, "sender"), log_of(world, "reader")
    result = {kind: figures_of(found, kind, sends, takes) for kind, found in runs.items()}
    return {**result, "idle": {"cpu_percent": idle, "is_well": idle < 0.5}}


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="windows for each watcher")
    parser.add_argument("--window", type=float, default=1.0, help="seconds of a window")
    parser.add_argument("--idle", type=int, default=20, help="seconds for the CPU of the service")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for file, text in (("sender.py", SENDER), ("reader.py", READER), ("dataflow.yml", DATAFLOW)):
            Path(folder, file).write_text(text)
        world = World(Path(folder))
        try:
            found = measure(world, chosen.count, chosen.window, chosen.idle)
        finally:
            left = world.end()
    for name, figures in found.items():
        print(json.dumps({"case": name, **figures}), flush=True)
    if left:
        print(json.dumps({"left": left}))
    return 0 if not left and all(figures["is_well"] for figures in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
