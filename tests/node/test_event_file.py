"""DORA_TEST_WITH_INPUTS: a node's own script, fed from a file in dora-rs's form, its outputs in another."""

from __future__ import annotations

import asyncio
import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dora import Node


class Files:
    """The two files of one test."""

    def __init__(self, folder: Path) -> None:
        self.inputs = folder / "inputs.json"
        self.outputs = folder / "outputs.jsonl"

    def write(self, *events: dict[str, Any], **keys: Any) -> None:
        """The inputs; events without a time come at once."""
        timed = [{"time_offset_secs": 0, **event} for event in events]
        self.inputs.write_text(json.dumps({"id": "tested", "events": timed, **keys}))

    def sent(self) -> list[dict[str, Any]]:
        """The lines of the outputs."""
        return [json.loads(line) for line in self.outputs.read_text().splitlines()]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files(tmp_path)
    monkeypatch.delenv("DORA_NODE_CONFIG", raising=False)
    monkeypatch.setenv("DORA_TEST_WITH_INPUTS", str(files.inputs))
    monkeypatch.setenv("DORA_TEST_NO_OUTPUT_TIME_OFFSET", "1")
    return files


def given(files: Files, **event: Any) -> Any:
    """The value that a node receives for this input."""
    files.write({"type": "Input", "id": "a", **event})
    with Node() as node:
        return node.next()["value"]  # type: ignore[index]


def test_node_receives_the_events_of_the_file_and_then_the_end(files: Files) -> None:
    files.write({"type": "Input", "id": "a", "data": 5}, {"type": "InputClosed", "id": "a"}, {"type": "Stop"})
    with Node() as node:
        events = list(node)
        assert node.next() is None
    assert [(event["type"], event["id"]) for event in events] == [
        ("INPUT", "a"),
        ("INPUT_CLOSED", "a"),
        ("STOP", "MANUAL"),
    ]
    assert events[0]["value"] == pa.array([5])
    assert events[0]["kind"] == "dora"


def test_node_with_an_id_is_fed_too(files: Files) -> None:
    files.write({"type": "Stop"})
    with Node("some-hub-node") as node:
        assert [event["type"] for event in node] == ["STOP"]


def test_events_come_at_their_times(files: Files) -> None:
    files.write({"type": "Input", "id": "a", "time_offset_secs": 0.2}, {"type": "Stop", "time_offset_secs": 0.21})
    with Node() as node:
        began = node.timestamp()
        assert node.is_empty()
        assert node.try_recv() is None
        event = node.next()
        assert event is not None
        assert event["metadata"]["timestamp"] - began > datetime.timedelta(seconds=0.1)
        assert node.next(timeout=60)["type"] == "STOP"  # type: ignore[index]


def test_wait_for_a_late_event_ends_at_its_time_out(files: Files) -> None:
    files.write({"type": "Stop", "time_offset_secs": 3600})
    with Node() as node:
        assert node.next(timeout=0.01)["error"].startswith("Timeout event stream error")  # type: ignore[index]
        assert node.next(timeout=0)["type"] == "ERROR"  # type: ignore[index]


def test_events_can_be_awaited(files: Files) -> None:
    files.write({"type": "Input", "id": "a", "time_offset_secs": 0.02}, {"type": "Stop", "time_offset_secs": 0.04})

    async def types() -> list[str]:
        with Node() as node:
            return [event["type"] async for event in node]

    assert asyncio.run(types()) == ["INPUT", "STOP"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"data": [1, 2.5], "data_type": "Float32"}, pa.array([1, 2.5], pa.float32())),
        ({"data": {"x": 1, "y": "s"}}, pa.array([{"x": 1, "y": "s"}])),
        ({"data": "hello"}, pa.array(["hello"])),
        ({"data": None}, pa.array([None])),
        ({}, pa.array([])),
    ],
)
def test_json_becomes_an_array(files: Files, event: dict[str, Any], expected: pa.Array) -> None:
    assert given(files, **event) == expected


def test_record_batch_of_an_arrow_file_is_a_struct_or_one_column(files: Files) -> None:
    batch = pa.RecordBatch.from_pydict({"x": [1, 2], "y": ["a", "b"]})
    with pa.ipc.new_file(str(files.inputs.parent / "data.arrow"), batch.schema) as file:
        file.write(batch)
        file.write(batch.slice(1))
    assert given(files, path="data.arrow") == batch.to_struct_array()
    assert given(files, path="data.arrow", batch_index=1, column="y") == pa.array(["b"])


def test_metadata_is_read_with_and_without_type_names(files: Files) -> None:
    typed = {"i": {"Integer": 1}, "l": {"ListFloat": [1, 2]}, "t": {"Timestamp": "2024-01-01T00:00:00Z"}}
    files.write({"type": "Input", "id": "a", "metadata": {**typed, "plain": "x", "nested": {"a": 1, "b": 2}}})
    with Node() as node:
        metadata = node.next()["metadata"]  # type: ignore[index]
    assert metadata.pop("timestamp").tzinfo is datetime.timezone.utc
    assert metadata == {
        "i": 1,
        "l": [1.0, 2.0],
        "t": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        "plain": "x",
        "nested": {"a": 1, "b": 2},
    }


def test_automatic_timestamp_can_be_left_out(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_NO_TIMESTAMP", "1")
    files.write({"type": "Input", "id": "a"})
    with Node() as node:
        assert node.next()["metadata"] == {}  # type: ignore[index]


def test_outputs_are_written_as_they_are_sent_whatever_their_id(files: Files) -> None:
    files.write({"type": "Stop"})
    with Node() as node:
        node.send_output("any/id", pa.array([1, 2], pa.int8()), {"k": 1})
        assert files.sent() == [{"id": "any/id", "data": [1, 2], "data_type": "Int8"}]
        node.send_output("b", b"ab")
        with node.send_output_raw("raw", 2) as buffer:
            memoryview(buffer)[:] = b"xy"
    assert files.sent()[1:] == [
        {"id": "b", "data": [97, 98], "data_type": "UInt8"},
        {"id": "raw", "data": [120, 121], "data_type": "UInt8"},
    ]


def test_outputs_go_to_the_named_file_with_their_times(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DORA_TEST_NO_OUTPUT_TIME_OFFSET")
    monkeypatch.setenv("DORA_TEST_WRITE_OUTPUTS_TO", str(files.inputs.parent / "other.jsonl"))
    files.write({"type": "Stop"})
    with Node() as node:
        node.send_output("x", b"")
    (line,) = (files.inputs.parent / "other.jsonl").read_text().splitlines()
    assert 0 < json.loads(line)["time_offset_secs"] < 10


def test_wrong_sends_fail_as_in_a_dataflow(files: Files) -> None:
    files.write({"type": "Stop"})
    with Node() as node:
        with pytest.raises(RuntimeError, match="invalid `data` type"):
            node.send_output("x", "text")
        with pytest.raises(RuntimeError, match="invalid output_id: identifier must not be empty"):
            node.send_output("", b"")
        with pytest.raises(TypeError):
            node.send_output("x", b"", [1])  # type: ignore[arg-type]


def test_node_without_a_dataflow_knows_nothing_of_one(files: Files) -> None:
    files.write({"type": "Stop"})
    with Node() as node:
        assert node.node_config() == {"inputs": {}, "outputs": []}
        assert len(node.dataflow_id()) == 36
        assert (node.is_restart(), node.restart_count()) == (False, 0)
        with pytest.raises(RuntimeError, match="no dataflow descriptor"):
            node.dataflow_descriptor()


def test_file_may_state_what_the_node_asks_of_its_dataflow(files: Files) -> None:
    files.write(node_config={"inputs": {"a": "b/c"}, "outputs": ["x"]}, dataflow_descriptor={"nodes": []})
    with Node() as node:
        assert node.node_config()["inputs"] == {"a": "b/c"}
        assert node.dataflow_descriptor() == {"nodes": []}


def test_node_may_be_created_again(files: Files) -> None:
    files.write({"type": "Stop"})
    for _ in range(2):
        with Node() as node:
            assert len(list(node)) == 1


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"type": "Foo"}, "event 0: expected one of the types Input, InputClosed, Stop, found 'Foo'"),
        ({"type": "Stop", "time_offset_secs": None}, "expected seconds since the start as `time_offset_secs`"),
        ({"type": "Stop", "time_offset_secs": -1}, "expected seconds since the start as `time_offset_secs`"),
        ({"type": "Input"}, "`id`: expected a text, found None"),
        ({"type": "Input", "id": "a b"}, "`id`: identifier contains invalid character ' '"),
        ({"type": "Input", "id": "a", "dta": 5}, "unknown keys dta (known: batch_index, column, data,"),
        ({"type": "Input", "id": "a", "data": [300], "data_type": "UInt8"}, "expected data of Arrow type uint8"),
        ({"type": "Input", "id": "a", "path": "nope.arrow"}, "nope.arrow"),
    ],
)
def test_wrong_event_is_named_when_the_node_starts(files: Files, event: dict[str, Any], text: str) -> None:
    files.write(event)
    with pytest.raises(RuntimeError) as caught:
        Node()
    assert text in str(caught.value)
    assert "inputs.json: event 0: " in str(caught.value)


@pytest.mark.parametrize("content", [None, "nope", "{}", '{"events": 5}', "[]"])
def test_wrong_file_is_named_when_the_node_starts(files: Files, content: str | None) -> None:
    if content is not None:
        files.inputs.write_text(content)
    with pytest.raises(RuntimeError, match=r"inputs\.json"):
        Node()


def test_wrong_arrow_file_is_named(files: Files) -> None:
    files.inputs.with_name("x.arrow").write_text("not arrow")
    with pytest.raises(RuntimeError, match="is not an Arrow file"):
        given(files, path="x.arrow")


def test_batch_or_column_that_is_not_there_is_named(files: Files) -> None:
    batch = pa.RecordBatch.from_pydict({"x": [1]})
    with pa.ipc.new_file(str(files.inputs.with_name("d.arrow")), batch.schema) as file:
        file.write(batch)
    with pytest.raises(RuntimeError, match="has 1 record batches, so none with index 3"):
        given(files, path="d.arrow", batch_index=3)
    with pytest.raises(RuntimeError, match=r"has no column 'z' \(it has: x\)"):
        given(files, path="d.arrow", column="z")


def test_output_without_a_form_in_json_is_refused(files: Files) -> None:
    files.write({"type": "Stop"})
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with Node() as node, pytest.raises(RuntimeError, match="cannot write output 'x' as JSON"):
        node.send_output("x", union)
