"""`MockNode`: the contract of dora-rs (dora node-api, section 21)."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import uuid
from typing import Any

import pytest

from dora.testing import MockNode

STOP = {"type": "STOP", "id": "ALL_INPUTS_CLOSED"}


def given(input_id: str, value: Any, **metadata: Any) -> dict[str, Any]:
    """The event that `(input_id, value)` becomes."""
    return {"type": "INPUT", "id": input_id, "value": value, "metadata": metadata}


def test_tuples_become_inputs_with_a_stop_behind_them() -> None:
    assert list(MockNode([("a", [1]), ("b", b"x")], {"k": 1})) == [given("a", [1], k=1), given("b", b"x", k=1), STOP]


def test_each_input_has_metadata_of_its_own() -> None:
    node = MockNode([("a", 1), ("a", 2)], {"k": 1})
    first = node.next()
    assert first is not None
    first["metadata"]["k"] = 2
    assert node.next() == given("a", 2, k=1)


def test_event_dicts_are_given_out_as_they_are() -> None:
    event = {"type": "INPUT_CLOSED", "id": "a"}
    given_out = MockNode([event]).next()
    assert given_out == event
    assert given_out is not event


@pytest.mark.parametrize("key", ["value", "metadata", "error"])
def test_what_an_event_does_not_have_reads_as_none_like_that_of_a_node(key: str) -> None:
    event = MockNode([{"type": "INPUT_CLOSED", "id": "a"}]).next()
    assert event is not None
    assert event[key] is None
    assert key not in event


def test_node_that_is_used_with_with_and_async_for_can_be_tested() -> None:
    async def ids(node: MockNode) -> list[str]:
        with node:
            return [event["id"] async for event in node]

    assert asyncio.run(ids(MockNode([("a", 1), ("b", 2)]))) == ["a", "b", "ALL_INPUTS_CLOSED"]


def test_own_stop_stays_where_it_is() -> None:
    stop = {"type": "STOP", "id": "MANUAL"}
    assert MockNode([("a", 1), stop, ("b", 2)]).drain() == [given("a", 1), stop, given("b", 2)]


def test_no_inputs_is_a_stop_alone() -> None:
    assert MockNode([]).drain() == [STOP]


def test_every_way_to_receive_takes_from_the_same_list() -> None:
    node = MockNode([("a", 1), ("b", 2), ("c", 3)])
    assert node.next(timeout=0) == given("a", 1)
    assert node.try_recv() == given("b", 2)
    assert asyncio.run(node.recv_async(timeout=1)) == given("c", 3)
    assert not node.is_empty()
    assert node.drain() == [STOP]
    assert node.is_empty()
    assert (node.next(), node.try_recv(), node.drain()) == (None, None, [])


def test_outputs_are_kept_as_they_were_given() -> None:
    node, data = MockNode([]), object()
    node.send_output("o", data)
    node.send_output(output_id="o", data=2, metadata={"k": 1})
    assert node.outputs == {"o": [data, 2]}
    assert type(node.outputs) is dict


def test_logs_are_kept() -> None:
    node = MockNode([])
    node.log("warn", "text", "target", {"a": "b"})
    node.log("info", "text", {"a": 1})
    node.log_error("bad")
    assert node.logs == [
        {"level": "warn", "message": "text", "target": "target", "fields": {"a": "b"}},
        {"level": "info", "message": "text", "target": None, "fields": {"a": 1}},
        {"level": "error", "message": "bad", "target": None, "fields": {}},
    ]


@pytest.mark.parametrize("level", ["error", "warn", "info", "debug", "trace"])
def test_log_methods_log_at_their_level(level: str) -> None:
    node = MockNode([])
    getattr(node, f"log_{level}")("text")
    assert node.logs[0]["level"] == level


def test_service_request_is_kept_and_answered_before_the_stop() -> None:
    node = MockNode([("a", 1)], service_responses={"srv": [10]})
    first, second = node.send_service_request("srv", [5], {"z": 1}), node.send_service_request("srv", [6])
    assert uuid.UUID(first).version == 4
    assert node.service_requests == [
        {"output_id": "srv", "data": [5], "metadata": {"z": 1}, "request_id": first},
        {"output_id": "srv", "data": [6], "metadata": {}, "request_id": second},
    ]
    assert node.drain() == [given("a", 1), given("srv", 10, request_id=first), STOP]
    assert node.outputs == {}


def test_service_response_is_kept() -> None:
    node = MockNode([])
    node.send_service_response("r", [1], {"request_id": "q"})
    response = {"output_id": "r", "data": [1], "metadata": {"request_id": "q"}, "request_id": "q"}
    assert node.service_responses_sent == [response]
    with pytest.raises(TypeError):
        node.send_service_response("r", [1])  # type: ignore[call-arg]


def test_what_the_node_is_can_be_stated() -> None:
    node = MockNode(
        [],
        dataflow_descriptor={"nodes": []},
        dataflow_id="x",
        node_config={"inputs": {}},
        is_restart=True,
        restart_count=2,
    )
    stated = (
        node.dataflow_descriptor(),
        node.dataflow_id(),
        node.node_config(),
        node.is_restart(),
        node.restart_count(),
    )
    assert stated == ({"nodes": []}, "x", {"inputs": {}}, True, 2)


def test_what_is_not_stated_is_empty() -> None:
    node = MockNode([])
    found = (
        node.dataflow_descriptor(),
        node.dataflow_id(),
        node.node_config(),
        node.is_restart(),
        node.restart_count(),
    )
    assert found == ({}, "", {}, False, 0)
    assert datetime.datetime.now(datetime.timezone.utc) - node.timestamp() < datetime.timedelta(seconds=10)


def test_what_needs_a_dataflow_is_not_implemented() -> None:
    with pytest.raises(NotImplementedError, match=r"use send_output\(\)"):
        MockNode([]).send_output_raw("o", 8)
    with pytest.raises(NotImplementedError, match="cannot merge external events"):
        MockNode([]).merge_external_events(None)


@pytest.mark.parametrize("inputs", [[5], [("a",)], [("a", 1, 2)], [None], "ab"])
def test_other_inputs_are_refused(inputs: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        MockNode(inputs)


def test_signatures_are_those_that_scripts_use() -> None:
    expected = {
        "next": ["self", "timeout"],
        "recv_async": ["self", "timeout"],
        "send_output": ["self", "output_id", "data", "metadata"],
        "send_output_raw": ["self", "output_id", "data_length", "metadata"],
        "send_service_response": ["self", "output_id", "data", "metadata"],
        "log": ["self", "level", "message", "target", "fields"],
    }
    for name, parameters in expected.items():
        assert list(inspect.signature(getattr(MockNode, name)).parameters) == parameters
