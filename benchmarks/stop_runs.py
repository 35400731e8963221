"""Starts, stops and kills real runs over and over: `python benchmarks/stop_runs.py [--only NAME] [--count N]`.

The long form of what `tests/end_to_end/test_{processes,stop,errors}*.py` do a few times, with the same nodes.  Each
repetition is a dataflow of its own; a line per case says how often it went well, and how long it took.
Exit code 1 if anything went wrong, took too long, or was left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from end_to_end import test_errors_nodes, test_stop
from end_to_end.lineage import wait_all_gone
from end_to_end.node_sources import COOPERATIVE, DEAF, DETACHED_CHILD, HANGING_IMPORT, TICKER, TICKS, add_pair
from end_to_end.running import Flow, Run, wait_until

PATIENCE_S = 20.0


def wait_for_moment(run: Run, longest_s: float) -> None:
    """Until a random moment after the start of a run."""
    moment_s = time.monotonic() + random.uniform(0.0, longest_s)
    wait_until(lambda: time.monotonic() > moment_s or run.process.poll() is not None)


def kill(flow: Flow) -> float:
    """SIGKILL to `dora run` at a random moment, with nodes that import, shells and detached grandchildren."""
    flow.node("worker", DETACHED_CHILD + TICKER, inputs=TICKS, outputs=["out"])
    flow.node("importing", DETACHED_CHILD + HANGING_IMPORT)
    flow.other_node("shell", "shell", args="setsid sleep 1000 & sleep 1000")
    run = flow.start("--allow-shell-nodes")
    wait_for_moment(run, 1.0)
    run.signal(signal.SIGKILL)
    return wait_all_gone(run, PATIENCE_S)


def stop_while_starting(flow: Flow) -> float:
    """Ctrl-C at a random moment of the start."""
    add_pair(flow)
    run = flow.start()
    wait_until(lambda: list(flow.home.glob("run-*/lock")), what="dora run")
    wait_for_moment(run, 0.8)
    run.signal(signal.SIGINT)
    seconds = wait_all_gone(run, PATIENCE_S)
    ended = run.wait()
    assert ended.code in (0, 130, -signal.SIGINT), ended
    assert "failed" not in ended.stderr, ended
    return seconds


def stop_at_work(flow: Flow) -> float:
    """Ctrl-C at a random moment of the work: nothing is reported as failed."""
    add_pair(flow)
    run = flow.start()
    run.wait_said("sink", "INPUT in")
    wait_for_moment(run, 0.3)
    run.signal(signal.SIGINT)
    seconds = wait_all_gone(run, PATIENCE_S)
    ended = run.wait()
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr, ended
    assert "code 143" not in ended.stdout, ended
    return seconds


def stop_under_load(flow: Flow) -> float:
    """Ctrl-C at a random moment of the work with 4 MB messages and fast joints: no failure; until the prompt."""
    flow.node("flood", test_stop.FLOOD, outputs=["out"])
    flow.node("drink", test_stop.DRINK, inputs={"in": {"source": "flood/out", "queue_size": 10}})
    flow.node("joints", TICKER, inputs={"tick": "dora/timer/millis/2"}, outputs=["out"])
    lossless = {"source": "joints/out", "queue_size": 100, "queue_policy": "backpressure"}
    flow.node("sink", COOPERATIVE.replace('    print(event["type"], event["id"])\n', ""), inputs={"in": lossless})
    run = flow.start()
    run.wait_said("flood", "100 sent")
    wait_for_moment(run, 0.3)
    asked_s = time.monotonic()
    run.signal(signal.SIGINT)
    ended = run.wait()
    seconds = time.monotonic() - asked_s
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr, ended
    assert "code 143" not in ended.stdout, ended
    return seconds


def stop_ten(flow: Flow) -> float:
    """Ctrl-C with ten cooperative nodes at work."""
    flow.node("n0", TICKER, inputs=TICKS, outputs=["out"])
    for number in range(1, 10):
        flow.node(f"n{number}", COOPERATIVE, inputs={"in": "n0/out"})
    return test_stop.stop_ten(flow)


def stop_twice(flow: Flow) -> float:
    """A second Ctrl-C while a node does not react to the first."""
    flow.node("deaf", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + DEAF, inputs=TICKS)
    return test_stop.stop_twice(flow, signal.SIGINT)


def stop_flood(flow: Flow) -> float:
    """Ctrl-C under 1,000 messages of 4 MB per second, until the last node has seen STOP."""
    flow.node("flood", test_stop.FLOOD, outputs=["out"])
    flow.node("drink", test_stop.DRINK, inputs={"in": {"source": "flood/out", "queue_size": 10}})
    return test_stop.stop_flood(flow)


def import_error(flow: Flow) -> float:
    """An ImportError in one of ten nodes, until all have ended; that one is named with its last words."""
    flow.node("source", test_errors_nodes.IMPORT_ERROR + TICKER, inputs=TICKS, outputs=["out"])
    for number in range(9):
        flow.node(f"sink{number}", COOPERATIVE, inputs={"in": "source/out"})
    return test_errors_nodes.delay_of_import_error(flow)


def crash(flow: Flow) -> float:
    """SIGSEGV in a node, until the last of its two readers has NODE_FAILED."""
    flow.node("victim", test_errors_nodes.CRASH, inputs=TICKS, outputs=["out"])
    flow.node("reader", test_errors_nodes.WITNESS, inputs={"in": "victim/out"})
    flow.node("bystander", test_errors_nodes.WITNESS, inputs={**TICKS, "in": "victim/out"})
    return test_errors_nodes.delay_of_crash(flow)


class Case(NamedTuple):
    """One row of the table.

    Attributes:
        item: in the list of failures that dora must survive.
        measure: the seconds that count.
    """

    item: str
    measure: Callable[[Flow], float]
    count: int
    limit_s: float


CASES = (
    Case("1-2", kill, 100, 2.0),
    Case("8", stop_ten, 20, 1.0),
    Case("10", stop_twice, 20, 0.5),
    Case("12", stop_flood, 20, 0.5),
    Case("13", stop_at_work, 100, 2.0),
    Case("13", stop_under_load, 1000, 1.0),
    Case("15", stop_while_starting, 100, 2.0),
    Case("49", import_error, 100, 1.0),
    Case("51", crash, 20, 0.2),
)


def once(measure: Callable[[Flow], float]) -> tuple[float | None, str]:
    """The seconds of one repetition, and what went wrong or was left behind."""
    with tempfile.TemporaryDirectory(prefix="dora-stop-") as folder:
        flow = Flow(Path(folder))
        seconds, trouble = None, []
        try:
            seconds = measure(flow)
        except AssertionError as error:
            trouble.append(str(error))
        trouble += flow.leftovers()
        return seconds, "\n".join(trouble)


def repeat(case: Case, count: int) -> bool:
    """Print the row of a case; whether it went well.  Ctrl-C goes on to the next case."""
    results = []
    with contextlib.suppress(KeyboardInterrupt):  # then of what is there so far
        while len(results) < count:
            results.append(once(case.measure))
    count = len(results)
    times = sorted(seconds for seconds, _ in results if seconds is not None)
    troubles = [trouble for _, trouble in results if trouble]
    late = sum(seconds > case.limit_s for seconds in times)
    figures = "no figures"
    if times:
        p99 = times[len(times) * 99 // 100]
        figures = f"p50 {statistics.median(times):.3f} s, p99 {p99:.3f} s, most {times[-1]:.3f} s"
    print(f"{case.item:>4}  {case.measure.__name__:<20} {count - len(troubles)} of {count} well, ", end="")
    print(f"{late} over {case.limit_s} s; {figures}", flush=True)
    for trouble in troubles[:3]:
        print(trouble, file=sys.stderr)
    return not troubles and not late


def main() -> int:
    """Run the cases that the command line names."""
    parser = argparse.ArgumentParser(description="Start, stop and kill real runs over and over.")
    parser.add_argument("--only", default="", metavar="NAME", help="only cases with NAME in their name")
    parser.add_argument("--count", type=int, help="repetitions instead of each case's own number")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, where a script runs this in the background
    chosen = [case for case in CASES if options.only in case.measure.__name__]
    return 0 if all([repeat(case, options.count or case.count) for case in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main())
