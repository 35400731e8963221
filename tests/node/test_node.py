"""What each call of `Node` gives, waits for and refuses (dora node-api, sections 2 to 4 and 9)."""

from __future__ import annotations

import copy
import datetime
import multiprocessing.process
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora import Node
from dora.messages import node_runner as m
from node.fake_runner import FakeRunner
from node.interruptions import signalled_when

OUTSIDE = {key: value for key, value in os.environ.items() if not key.startswith("DORA_")}


def values(events: list[dict[str, Any]]) -> list[Any]:
    """The first element of each event's value."""
    return [event["value"][0].as_py() for event in events]


# -- the table of calls --------------------------------------------------------------------------------------

Ask = Callable[[Node], Any]
CALLS: dict[str, Ask] = {
    "next": lambda node: node.next(),
    "next with a timeout": lambda node: node.next(timeout=10),
    "next that polls": lambda node: node.next(0),
    "iteration": lambda node: next(node, None),
    "try_recv": lambda node: node.try_recv(),
}


@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
def test_waiting_event_is_given(runner: FakeRunner, ask: Ask) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(5)
    assert values([ask(node)]) == [5]


@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
def test_ended_stream_gives_none_again_and_again(runner: FakeRunner, ask: Ask) -> None:
    node = runner.node()
    runner.say(m.Stop())
    node.next()
    assert [ask(node), ask(node)] == [None, None]


def test_data_event_has_its_keys(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(5, metadata={"seq": 1})
    event = node.next()
    assert event is not None
    assert {key: event[key] for key in ("type", "id", "kind")} == {"type": "INPUT", "id": "in", "kind": "dora"}
    assert event["metadata"].keys() == {"seq", "timestamp"}


def test_try_recv_of_nothing_is_none(runner: FakeRunner) -> None:
    assert runner.node().try_recv() is None


def test_drain_gives_everything_oldest_first(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(*range(100))
    assert values(node.drain()) == list(range(100))


def test_drain_of_nothing_is_an_empty_list(runner: FakeRunner) -> None:
    assert runner.node().drain() == []


def test_drain_gives_the_closing_too(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1)
    feed.finish()
    assert [event["type"] for event in node.drain()] == ["INPUT", "INPUT_CLOSED", "STOP"]


def test_drain_of_an_ended_stream_is_refused(runner: FakeRunner) -> None:
    node = runner.node()
    runner.say(m.Stop())
    node.drain()
    with pytest.raises(RuntimeError, match=r"Could not drain events. Channel is closed"):
        node.drain()


def test_drain_ends_even_while_more_is_sent(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1, 2, 3)
    take = node._receiver.take

    def take_while_one_more_is_sent() -> Any:
        feed.send(0)
        return take()

    monkeypatch.setattr(node._receiver, "take", take_while_one_more_is_sent)
    assert values(node.drain())[:3] == [1, 2, 3]


# -- time-outs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 0.0, 0.01, np.float32(0.01), Decimal("0.01"), Fraction(1, 100), False])
def test_next_without_an_event_in_time_gives_an_error_event(runner: FakeRunner, timeout: Any) -> None:
    event = runner.node().next(timeout)
    assert event is not None
    assert dict(event) == {
        "type": "ERROR",
        "error": f"Timeout event stream error: Receiver timed out after {float(timeout):g} s",
        "kind": "dora",
    }


@pytest.mark.parametrize("timeout", [-1, -0.1, float("nan"), float("inf"), -float("inf")])
def test_time_that_is_none_is_refused(runner: FakeRunner, timeout: float) -> None:
    node = runner.node()
    for call in (node.next, node.recv_async):
        with pytest.raises(ValueError, match=f"invalid timeout of {timeout} seconds"):
            call(timeout)


@pytest.mark.parametrize("timeout", ["1", "abc", b"1", [1], {}, object()])
def test_timeout_that_is_no_number_is_refused(runner: FakeRunner, timeout: Any) -> None:
    node = runner.node()
    for call in (node.next, node.recv_async):
        with pytest.raises(TypeError, match=f"must be real number, not {type(timeout).__name__}"):
            call(timeout)


def test_very_long_timeout_is_no_error(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    sender = threading.Thread(target=lambda: (runner.wait_until_receiving(), feed.send(1)))
    sender.start()
    assert values([node.next(timeout=1e12)]) == [1]
    sender.join()


def test_stream_that_ends_during_a_timeout_gives_none(runner: FakeRunner) -> None:
    node = runner.node()
    runner.say(m.Stop())
    node.next()
    assert node.next(timeout=1000) is None


# -- waiting -------------------------------------------------------------------------------------------------


def test_message_wakes_a_node_that_waits(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    sender = threading.Thread(target=lambda: (runner.wait_until_receiving(), feed.send(7)))
    sender.start()
    assert values([node.next()]) == [7]
    sender.join()


def test_stop_wakes_a_node_that_waits(runner: FakeRunner) -> None:
    node = runner.node()
    stopper = threading.Thread(target=lambda: (runner.wait_until_receiving(), runner.say(m.Stop())))
    stopper.start()
    assert node.next() == {"type": "STOP", "id": "MANUAL", "kind": "dora"}
    stopper.join()


def test_waiting_is_published_and_taken_back(runner: FakeRunner) -> None:
    node = runner.node()
    node.next(0.001)
    assert runner.counts.receiving == 0


def test_threads_that_wait_at_once_get_distinct_events(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    found: list[list[int]] = [[], []]

    def receive(mine: list[int]) -> None:
        mine += values([event for event in node if event["type"] == "INPUT"])

    threads = [threading.Thread(target=receive, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    runner.wait_until_receiving(2)
    feed.send(*range(200))
    feed.finish()
    for thread in threads:
        thread.join()
    assert sorted(found[0] + found[1]) == list(range(200))
    assert all(mine == sorted(mine) for mine in found)


def test_end_of_the_stream_wakes_all_threads_that_wait(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    threads = [threading.Thread(target=lambda: list(node)) for _ in range(3)]
    for thread in threads:
        thread.start()
    runner.wait_until_receiving(3)
    feed.finish()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def test_thread_sends_while_another_waits_for_events(runner: FakeRunner) -> None:
    feed, sink = runner.feed("in"), runner.sink("out")
    node = runner.node()
    waiting = threading.Thread(target=node.next)
    waiting.start()
    runner.wait_until_receiving()
    node.send_output("out", pa.array([1]))
    assert sink.take_all() == [[1]]
    feed.send(1)
    waiting.join()


def test_signal_handler_runs_while_next_waits(runner: FakeRunner) -> None:
    runner.feed("in")
    node = runner.node()
    with pytest.raises(KeyboardInterrupt), signalled_when(runner.wait_until_receiving, interrupt):
        node.next()
    assert runner.counts.receiving == 0


def test_next_goes_on_waiting_after_a_signal_handler_that_returns(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    with signalled_when(runner.wait_until_receiving, lambda: feed.send(3)):
        assert values([node.next()]) == [3]


def interrupt() -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


# -- identity ------------------------------------------------------------------------------------------------


def test_node_knows_itself(runner: FakeRunner) -> None:
    runner.config |= {
        "io": {"inputs": {"a": "b/c"}, "outputs": ["d"]},
        "descriptor": {"nodes": [1]},
        "restart_count": 2,
    }
    node = runner.node()
    assert node.node_config() == {"inputs": {"a": "b/c"}, "outputs": ["d"]}
    assert node.dataflow_descriptor() == {"nodes": [1]}
    assert (node.is_restart(), node.restart_count()) == (True, 2)
    assert node.dataflow_id() == "018f8b5e-0000-7000-8000-000000000000"


def test_what_a_node_makes_of_its_configuration_is_its_own(runner: FakeRunner) -> None:
    runner.config |= {"io": {"inputs": {"a": "b/c"}, "outputs": []}, "descriptor": {"nodes": [{"id": "x"}]}}
    node = runner.node()
    node.node_config()["inputs"].clear()
    node.dataflow_descriptor()["nodes"][0]["id"] = "y"
    assert node.node_config()["inputs"] == {"a": "b/c"}
    assert node.dataflow_descriptor() == {"nodes": [{"id": "x"}]}


@pytest.mark.parametrize("double", [copy.copy, copy.deepcopy, pickle.dumps])
def test_node_is_not_copied(runner: FakeRunner, double: Callable[[Node], object]) -> None:
    node = runner.node()
    with pytest.raises(TypeError, match=r"^a Node cannot be copied or pickled"):
        double(node)


def test_first_run_is_no_restart(runner: FakeRunner) -> None:
    node = runner.node()
    assert (node.is_restart(), node.restart_count()) == (False, 0)


def test_timestamp_is_now_in_utc(runner: FakeRunner) -> None:
    before = datetime.datetime.now(datetime.timezone.utc)
    found = runner.node().timestamp()
    assert abs(found - before) < datetime.timedelta(seconds=10)
    assert found.utcoffset() == datetime.timedelta(0)


def test_timestamps_are_not_behind_what_was_received(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed._clock.observe(4_000_000_000 * 10**9)
    feed.send(1)
    event = node.next()
    assert event is not None
    assert node.timestamp() >= event["metadata"]["timestamp"]


def test_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="'int' object is not an instance of 'str'"):
        Node(5)  # type: ignore[arg-type]


def test_id_is_ignored_in_a_process_that_dora_started(runner: FakeRunner) -> None:
    node = runner.node()
    other = Node("another-name")
    assert other.dataflow_id() == node.dataflow_id()
    other.close()


# -- outside a dataflow --------------------------------------------------------------------------------------

ALONE = """
import sys, time
from dora import Node
begin = time.monotonic()
try:
    Node()
except RuntimeError as error:
    print(time.monotonic() - begin, "pyarrow" in sys.modules, error)
"""


@pytest.mark.slow
def test_node_outside_a_dataflow_is_refused_at_once_without_loading_arrow() -> None:
    found = subprocess.run(
        [sys.executable, "-c", ALONE], env=OUTSIDE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    took_s, has_loaded, text = found.stdout.split(maxsplit=2)
    assert float(took_s) < 0.1
    assert has_loaded == "False"
    assert text.startswith(
        "Could not initiate node from environment variable. For dynamic node, please add a node id in the "
        "initialization function. (DORA_NODE_CONFIG is not set"
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{", "DORA_NODE_CONFIG is not JSON"),
        ("[]", "DORA_NODE_CONFIG lacks `socket`, `node` or `token`"),
        ('{"socket": "x"}', "DORA_NODE_CONFIG lacks `socket`, `node` or `token`"),
        (
            '{"socket": "/nonexistent/nodes.sock", "node": "a", "token": "b"}',
            "Could not connect to the runner of this dataflow: .*is it still running",
        ),
    ],
)
def test_damaged_identity_is_refused(monkeypatch: pytest.MonkeyPatch, config: str, expected: str) -> None:
    monkeypatch.setenv("DORA_NODE_CONFIG", config)
    with pytest.raises(RuntimeError, match=expected):
        Node()


def test_start_that_fails_raises_with_the_reason(runner: FakeRunner) -> None:
    runner.start_message = m.StartFailed("node `a` exited before initializing dora")
    with pytest.raises(RuntimeError, match="node `a` exited before initializing dora"):
        runner.node()


def test_start_that_fails_in_a_child_of_multiprocessing_says_what_to_do(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing.process, "parent_process", lambda: object())
    runner.start_message = m.StartFailed("node `a` is already open")
    expected = (
        'already open (a child of multiprocessing runs this script again: make the Node under `if __name__ == "__'
    )
    with pytest.raises(RuntimeError, match=re.escape(expected)):
        runner.node()


def test_node_can_be_opened_after_a_start_that_failed(runner: FakeRunner) -> None:
    runner.start_message = m.StartFailed("not yet")
    with pytest.raises(RuntimeError):
        runner.node()
    runner.start_message = None
    assert runner.node().dataflow_id()


def test_start_that_failed_leaves_nothing_open(runner: FakeRunner) -> None:
    runner.feed("in")
    runner.sink("out")
    runner.start_message = m.StartFailed("not yet")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(RuntimeError):
        runner.node()
    wired = 6  # the ends that the runner gave away
    assert len(os.listdir("/proc/self/fd")) <= before + 1 - wired
