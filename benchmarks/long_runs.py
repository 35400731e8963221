"""Named long runs: `python benchmarks/long_runs.py NAME [--count N]`, or `all`.

Each repeats a situation of the end-to-end tests (`tests/end_to_end/scenarios/`) with large counts, prints its figures
beside the limits they must keep, and the command ends with 1 when one is missed or anything is left behind.
Numbers in brackets are those of the list of failures seen in the field that the project is held against.
Every run is bounded: each `dora run` in it has a time limit and is killed with all its processes when that is over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from end_to_end.running import Flow
from end_to_end.scenarios import (
    builds,
    clocks,
    cycles,
    ends,
    floods,
    limits,
    neighbours,
    prints,
    published,
    restarts,
    services,
    sizes,
    starts,
    transports,
)
from end_to_end.scenarios.marks import Mark

Scenario = Callable[[Flow, int], list[Mark]]


class LongRun(NamedTuple):
    """A run by name.

    Attributes:
        count: how often, or how much, unless the command line says otherwise.
        what: for the list; `{count}` is filled in.
        scenario: does it.
    """

    name: str
    count: int
    what: str
    scenario: Scenario


def chain_flood(flow: Flow, count: int) -> list[Mark]:
    """Processor time per hop in a flooded chain of 20 nodes beside that of 3 (one relay), in turns."""
    marks: list[Mark] = []
    costs: dict[int, list[float]] = {3: [], 20: []}
    for turn in range(3):
        for nodes, found in costs.items():
            with tempfile.TemporaryDirectory(prefix="dora-chain-") as folder:
                part = Flow(Path(folder))
                try:
                    arrived, cost_us = neighbours.flooded_chain(part, nodes, count)
                finally:
                    left = part.leftovers()
            found.append(cost_us)
            marks += [mark._replace(name=f"turn {turn}, {nodes} nodes: {mark.name}") for mark in arrived]
            marks.append(Mark(f"turn {turn}, {nodes} nodes: left behind", len(left), "==", 0))
    short_us, long_us = min(costs[3]), min(costs[20])
    marks.append(Mark("processor time per hop, 1 relay, us", short_us, "<=", 1000))
    return [*marks, Mark("the same with 18 relays / with 1", long_us / short_us, "<=", 1.1)]


LONG_RUNS = [
    LongRun("hello", 200, "hello world, {count} runs, 100 of 100 messages each", starts.hello_world),
    LongRun("hello-loaded", 200, "the same with all processors busy", starts.hello_world_under_load),
    LongRun("first", 1000, "first message after Node(), {count} runs (27)", starts.first_message),
    LongRun("last", 1000, "last message before the exit, {count} runs (28)", starts.last_message),
    LongRun("closed", 200, "{count} short-lived nodes, each closes its output (35)", starts.closed_outputs),
    LongRun("closed-pipes", 10_000, "{count} short-lived processes on bare pipes (35)", transports.closed_pipes),
    LongRun("slow-reader", 100_000, "{count} messages, lossless, 1 kHz timer beside (25)", floods.slow_reader),
    LongRun("threads", 1_000_000, "8 threads, {count} messages, asyncio reader (55)", floods.threads),
    LongRun("gigabyte", 1_000_000_000, "one message of {count} bytes (32)", sizes.one_message),
    LongRun("growing", 100_000_000, "sizes from 1 kB to {count} bytes (43)", sizes.growing),
    LongRun("kills", 500, "{count} x SIGKILL in the middle of 8 MB (37)", ends.killed_in_the_middle),
    LongRun("crash-loop", 100, "a source crashes {count} times beside its reader (52)", restarts.crash_loop),
    LongRun("links", 100_000, "40 links, 256 descriptors, {count} messages (39)", limits.many_links),
    LongRun("keeps", 20_000, "a reader that keeps 1,000 of {count} events (40)", limits.keeping_reader),
    LongRun("shm", 100, "{count} x 40 MB, /dev/shm of 1 MB (38)", limits.tiny_dev_shm),
    LongRun("cycle", 20, "a cycle of full queues, {count} runs (36)", cycles.two_nodes),
    LongRun("rate-1k", 30, "timer at 1 kHz, {count} s (34)", lambda flow, count: clocks.rate(flow, 1000, count)),
    LongRun("rate-2k", 30, "timer at 2 kHz, {count} s (34)", lambda flow, count: clocks.rate(flow, 2000, count)),
    LongRun("rates", 30, "1 Hz beside 1 kHz, {count} s (34)", clocks.slow_beside_fast),
    LongRun("suspend", 60, "all processes stopped for {count} s (48)", clocks.suspended),
    LongRun("gil", 30, "{count} s in a C call that holds the GIL (53)", neighbours.holds_the_gil),
    LongRun("prints", 3, "a node prints all it can, {count} rounds (46)", prints.beside_a_printer),
    LongRun(
        "prints-50",
        3,
        "a node offers 50 MB/s of lines, {count} rounds (46)",
        lambda flow, count: prints.beside_a_printer(flow, count, mb_per_s=50.0),
    ),
    LongRun("idle", 30, "1 Hz beside a 1 kHz graph, {count} s (57)", clocks.idle_beside_busy),
    LongRun(
        "chain", 10, "20 nodes at 1 kHz, {count} s (58)", lambda flow, count: neighbours.paced_chain(flow, 20, count)
    ),
    LongRun("service", 10_000, "4 clients x 1 server x {count} calls", services.calls),
    LongRun("service-async", 10_000, "the same with 20 tasks in each client", services.awaited_calls),
    LongRun("service-restart", 2000, "the same, {count} calls, the server crashes half way", services.restarted_server),
    LongRun("action", 2000, "4 clients x 1 action server x {count} goals", services.goals),
    LongRun("streaming", 100_000, "{count} chunks in segments of ten", services.stream),
    LongRun("published", 50, "published packages in a venv, {count} messages each", published.prepared),
    LongRun("published-uv", 50, "the same with --uv", published.managed),
    LongRun("published-0.3.5", 1, "a package for dora-rs 0.3.5 with --uv", published.managed_stubborn),
    LongRun("numpys", 1000, "numpy 1.26 and numpy 2 exchange {count} arrays, with --uv", builds.two_numpys),
    LongRun("hermetic", 3, "pip and what it installs inside a node, {count} surroundings", builds.hermetic),
    LongRun("rebuild", 9, "{count} builds without changes of three nodes with --uv", builds.rebuilding),
    LongRun("builds-at-once", 4, "{count} builds with --uv in two folders at once", builds.at_once),
    LongRun("chain-flood", 20_000, "20 nodes beside 3, {count} messages in flood (58)", chain_flood),
]


def perform(run: LongRun, count: int) -> bool:
    """One long run in a folder of its own; prints its marks, returns whether all hold."""
    print(f"{run.name}: {run.what.format(count=f'{count:,}')}", flush=True)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dora-long-run-") as folder:
        flow = Flow(Path(folder))
        marks: list[Mark] = []
        error = ""
        try:
            marks = run.scenario(flow, count)
        except AssertionError as failure:
            error = str(failure) or "failed"
        finally:
            left = flow.leftovers()
    marks.append(Mark("left behind", len(left), "==", 0))
    for line in (*map(str, marks), *left, *error.splitlines()):
        print(f"  {line}")
    holds = not error and all(mark.holds for mark in marks)
    print(f"  {'ok' if holds else 'FAILED'} after {time.monotonic() - began_s:.0f} s", flush=True)
    return holds


def main() -> int:
    """Perform what is asked for."""
    names = {run.name: run for run in LONG_RUNS}
    listed = "\n".join(f"  {run.name:<14}{run.what.format(count=f'{run.count:,}')}" for run in LONG_RUNS)
    parser = argparse.ArgumentParser(
        description="Long runs.", epilog=f"runs:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="+", choices=[*names, "all"], metavar="NAME", help="one of those below, or all")
    parser.add_argument("--count", type=int, help="how often, how many or how long, instead of the figure below")
    chosen = parser.parse_args()
    runs = LONG_RUNS if "all" in chosen.name else [names[name] for name in chosen.name]
    missed = [run.name for run in runs if not perform(run, chosen.count or run.count)]
    print(f"missed: {', '.join(missed)}" if missed else f"all {len(runs)} runs hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
