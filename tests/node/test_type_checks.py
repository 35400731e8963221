"""What a node says of messages that are not of the stated type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora.errors import NodeError
from dora.messages import node_runner as m
from node.fake_runner import FakeRunner, wait_until

Capture = pytest.CaptureFixture[str]

INT64 = "std/core/v1/Int64"


def stated(runner: FakeRunner, accepted: list[str], **options: Any) -> None:
    runner.config["type_checks"] = [m.TypeCheck("port", INT64, accepted, **options)]


def test_message_of_another_type_is_refused_and_the_node_may_go_on(runner: FakeRunner) -> None:
    sink = runner.sink("port")
    stated(runner, ["int64"], is_output=True, is_error=True)
    node = runner.node()
    with pytest.raises(NodeError, match=r"`port` is std/core/v1/Int64 \(int64\), but the message is an array of float"):
        node.send_output("port", pa.array([1.5], pa.float32()))
    node.send_output("port", pa.array([7]))
    assert sink.take_all() == [[7]]


def test_message_of_another_type_is_sent_with_a_warning(runner: FakeRunner, capsys: Capture) -> None:
    sink = runner.sink("port")
    stated(runner, ["int64"], is_output=True)
    runner.node().send_output("port", b"x")
    assert len(sink.take_all()) == 1
    assert "output `port` is std/core/v1/Int64 (int64), but the message is an array of uint8" in capsys.readouterr().out


RIGHT = [pa.array([1]), np.array([1]), pa.array([], pa.int64()), pa.nulls(1)]


@pytest.mark.parametrize("data", RIGHT, ids=["array", "numpy", "empty", "null"])
def test_message_of_the_stated_type_is_sent(runner: FakeRunner, data: Any) -> None:
    sink = runner.sink("port")
    stated(runner, ["int64"], is_output=True, is_error=True)
    runner.node().send_output("port", data)
    assert len(sink.take_all()) == 1


@pytest.mark.parametrize("key", ["request_id", "goal_id", "goal_status"])
def test_message_of_a_pattern_may_be_anything(runner: FakeRunner, key: str) -> None:
    sink = runner.sink("port")
    stated(runner, ["int64"], is_output=True, is_error=True)
    runner.node().send_output("port", b"x", {key: "1"})
    assert len(sink.take_all()) == 1


def test_message_filled_in_place_is_bytes(runner: FakeRunner) -> None:
    runner.sink("port")
    stated(runner, ["int64"], is_output=True, is_error=True)
    sample = runner.node().send_output_raw("port", 8)
    with pytest.raises(NodeError, match="an array of uint8"):
        sample.send()


def test_output_without_a_type_is_left_as_it_is(runner: FakeRunner) -> None:
    runner.sink("other")
    runner.sink("port")
    stated(runner, ["int64"], is_output=True, is_error=True)
    outputs = runner.node()._session.outputs
    assert ["send" in vars(outputs[name]) for name in ("other", "port")] == [False, True]


def test_first_message_of_an_input_is_looked_at(runner: FakeRunner, capsys: Capture) -> None:
    feed = runner.feed("port")
    stated(runner, ["int64"])
    node = runner.node()
    feed.send("a", "b")
    assert [node.next(5)["value"].to_pylist() for _ in range(2)] == [["a"], ["b"]]  # type: ignore[index]
    told = capsys.readouterr().out
    assert told.count("input `port` expects std/core/v1/Int64, but the first message is an array of string") == 1


def test_receiver_is_left_alone_after_the_first_messages(runner: FakeRunner, capsys: Capture) -> None:
    feed = runner.feed("port")
    stated(runner, ["int64"])
    node = runner.node()
    assert "take" in vars(node._receiver)
    feed.send(1)
    wait_until(lambda: node.try_recv() is not None)
    assert "take" not in vars(node._receiver)
    assert capsys.readouterr().out == ""


def test_node_whose_dataflow_states_no_types_loads_no_checks(runner: FakeRunner) -> None:
    runner.sink("port")
    node = runner.node()
    assert "take" not in vars(node._receiver)
    assert "send" not in vars(node._session.outputs["port"])
