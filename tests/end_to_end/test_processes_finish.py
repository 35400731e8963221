"""When a dataflow is finished: closed inputs, timers, sources, stragglers (dataflow-yaml.md, 17; failures.md 5)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from end_to_end.node_sources import COOPERATIVE, TICKS
from end_to_end.running import Ended, Flow, wait_until
from end_to_end.timing import assert_within

pytestmark = pytest.mark.slow

ONE_MESSAGE = """
import time
from dora import Node

node = Node()
node.send_output("out", b"x")
print(time.time())
"""
NO_TICKS = """
from dora import Node

for event in Node():
    if event["id"] != "tick":
        print(event["type"], event["id"])
    if event["type"] == "STOP":
        break
"""
PRINTS_VALUES = """
from dora import Node

for event in Node():
    if event["type"] == "STOP":
        break
    print(event["value"].to_pylist())
"""
ENDING = ["INPUT in", "INPUT_CLOSED in"]


@pytest.fixture
def fed(flow: Flow) -> Flow:
    """A source that sends one message and ends, and a node with that input and a timer."""
    flow.node("source", ONE_MESSAGE, outputs=["out"])
    flow.node("fed", NO_TICKS, inputs={"in": "source/out", **TICKS})
    return flow


def test_timer_keeps_a_node_running_whose_data_has_ended(flow: Flow) -> None:
    flow.node("source", ONE_MESSAGE, outputs=["out"])
    flow.node("fed", COOPERATIVE, inputs={"in": "source/out", **TICKS})
    run = flow.start()
    run.wait_said("fed", "INPUT_CLOSED in")
    count = len(run.said("fed"))
    wait_until(lambda: len(run.said("fed")) > count + 10, what="ten more ticks")
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()
    assert run.said("fed")[-1] == "STOP MANUAL"


@pytest.mark.parametrize("is_in_file", [True, False])
def test_with_the_finish_option_the_run_ends_a_second_after_the_data(fed: Flow, is_in_file: bool) -> None:
    options = () if is_in_file else ("--exit-when-nodes-finish",)
    fed.keys["exit_when_nodes_finish"] = is_in_file

    def measure() -> float:
        ended = fed.run(*options)
        assert ended.code == 0, ended
        assert fed.said("fed") == [*ENDING, "STOP ALL_INPUTS_CLOSED"]
        return time.time() - float(fed.said("source")[0])

    assert_within(1.0, measure)


def test_option_false_beats_the_file(fed: Flow) -> None:
    fed.keys["exit_when_nodes_finish"] = True
    run = fed.start("--exit-when-nodes-finish=false")
    run.wait_said("fed", "INPUT_CLOSED")
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()
    assert run.said("fed") == [*ENDING, "STOP MANUAL"]


def test_node_with_only_timers_is_a_source_and_keeps_the_run_alive(fed: Flow) -> None:
    fed.node("metronome", COOPERATIVE, inputs=TICKS)
    run = fed.start("--exit-when-nodes-finish")
    run.wait_said("fed", "STOP ALL_INPUTS_CLOSED")
    count = len(run.said("metronome"))
    wait_until(lambda: len(run.said("metronome")) > count + 10, what="ticks")
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()


def test_timer_node_ticks_and_has_no_process(flow: Flow) -> None:
    flow.other_node("clock", "dora/timer/millis/20", outputs=["tick"])
    flow.node("sink", PRINTS_VALUES, inputs={"tick": "clock/tick"})
    run = flow.start()
    run.wait_said("sink", "[3]")
    assert run.nodes().keys() == {"sink"}
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()
    assert run.said("sink")[:4] == ["[0]", "[1]", "[2]", "[3]"]


@pytest.fixture(scope="module")
def stragglers(flows: Callable[[], Flow]) -> Ended:
    """How a run ended in which two nodes went on, one with a time of its own."""
    flow = flows()
    flow.node("source", ONE_MESSAGE, outputs=["out"])
    sleeps = NO_TICKS.replace("        break", "        import time\n        time.sleep(1000)")
    flow.node("sleeps", sleeps, inputs={"in": "source/out"}, finish_grace_secs=0.5)
    flow.node("usual", sleeps, inputs={"in": "source/out"})
    ended = flow.run("--grace", "500ms", timeout_s=15, environment={"DORA_FINISH_DRAIN_GRACE_SECS": "1"})
    assert ended.code == 1, ended
    return ended


def test_node_that_goes_on_after_its_inputs_have_closed_is_stopped_as_a_straggler(stragglers: Ended) -> None:
    warning = "sleeps: still running 0.5 s (finish_grace_secs) after its inputs closed: stopping it"
    assert warning in stragglers.stdout, stragglers
    text = "did not end after all its inputs had closed (finish_grace_secs) and it was stopped"
    assert f"Node `sleeps` failed: {text}\n" in stragglers.stderr, stragglers


def test_straggler_is_stopped_without_a_setting_of_its_own(stragglers: Ended) -> None:
    warning = "usual: still running 1 s (DORA_FINISH_DRAIN_GRACE_SECS) after its inputs closed: stopping it"
    assert warning in stragglers.stdout, stragglers
    assert "Node `usual` failed: " in stragglers.stderr, stragglers
