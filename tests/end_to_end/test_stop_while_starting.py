"""A stop during start-up, whatever is half done then, is quick and a success (failures.md 15)."""

from __future__ import annotations

import random
import re
import signal
import time

import pytest

from end_to_end.lineage import has_socket, wait_all_gone
from end_to_end.node_sources import COOPERATIVE, HANGING_IMPORT, TICKER, TICKS, add_pair
from end_to_end.running import Flow, wait_until
from end_to_end.timing import allowed_s

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_stop_at_a_random_moment_of_the_start_takes_at_most_two_seconds(flow: Flow, seed: int) -> None:
    """Two runs side by side, each at a moment of its own."""
    add_pair(flow)
    began_s = time.monotonic()
    runs = [flow.start(), flow.start()]
    wait_until(lambda: len(list(flow.home.glob("run-*/lock"))) == 2, what="dora run")
    due = sorted((began_s + random.Random(seed + number).uniform(0.0, 0.8), number) for number in range(2))
    stopped = []
    for due_s, number in due:
        wait_until(lambda due_s=due_s: time.monotonic() > due_s)
        runs[number].signal(signal.SIGINT)
        stopped.append((runs[number], time.monotonic() + allowed_s(2.0)))
    for run, end_s in stopped:
        wait_all_gone(run, end_s - time.monotonic())
        ended = run.wait()
        assert ended.code in (0, 130, -signal.SIGINT), ended
        assert "Traceback" not in ended.stdout + ended.stderr


def test_node_that_waits_at_the_barrier_is_released_with_a_stop(flow: Flow) -> None:
    flow.node("hangs", HANGING_IMPORT, outputs=["out"])
    flow.node("waits", COOPERATIVE, inputs={"in": "hangs/out"})
    run = flow.start()
    wait_until(lambda: has_socket(run.wait_nodes("waits")["waits"]), what="a link to the runner")
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()
    assert run.said("waits") == ["ready", "STOP MANUAL"]


def test_node_that_hangs_in_its_import_is_named_and_ended_at_once_by_ctrl_c(flow: Flow) -> None:
    flow.node("camera", HANGING_IMPORT, outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "camera/out"})
    run = flow.start()
    wait_until(lambda: run.stderr().endswith("\n"), 10.0, "who is waited for")
    assert re.fullmatch(r"starting: waiting for camera \(importing, [45] s\)\n", run.stderr())
    run.signal(signal.SIGINT)
    wait_all_gone(run, allowed_s(1.0))
    assert run.wait().code == 0, run.wait()


def test_timers_do_not_tick_for_nodes_that_were_stopped_before_the_start(flow: Flow) -> None:
    flow.node("hangs", HANGING_IMPORT, outputs=["out"])
    flow.node("ticker", TICKER, inputs={**TICKS, "in": "hangs/out"}, outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "ticker/out"})
    run = flow.start()
    run.wait_said("hangs", "importing")
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()
    assert "INPUT in" not in run.said("sink")
