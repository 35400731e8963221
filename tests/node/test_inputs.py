"""A record in a queue as an event, and whose memory it is (design.md 11.9; failures 42)."""

from __future__ import annotations

import datetime
import gc
import os
import signal
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora import arrow
from dora.node import inputs as inputs_module
from dora.node.node import Node
from dora.transport.sending import queued_records
from node.fake_runner import FakeRunner, Feed, mapped
from node.sending import is_free

SMALL = pa.array(np.arange(512))
LARGE = pa.array(np.arange(513))
"""more than 4 KiB"""


class Alarm(Exception):
    """What a user's signal handler raises."""


@pytest.fixture
def feed(runner: FakeRunner) -> Feed:
    """The sender of the input."""
    return runner.feed("in")


@pytest.fixture
def node(runner: FakeRunner, feed: Feed) -> Node:
    """A node with one input."""
    return runner.node()


def held_after_waiting(node: Node, feed: Feed) -> int:
    """Chunks that the sender cannot use, once the node has said what it is done with."""
    node.next(0)
    return feed.held


# -- memory --------------------------------------------------------------------------------------------------


def test_small_payload_is_copied_out_and_its_chunk_free_at_the_next_wait(node: Node, feed: Feed) -> None:
    feed.send(array=SMALL)
    event = node.next()
    assert held_after_waiting(node, feed) == 0
    feed.send(array=pa.array(np.zeros(512, np.int64)))
    assert event["value"].equals(SMALL)


def test_copied_chunks_go_back_even_to_a_node_that_never_waits(node: Node, feed: Feed) -> None:
    for _ in range(100):
        feed.send(1)
        node.try_recv()
    assert feed.held < 40


def test_event_takes_one_message_out_of_the_queue(node: Node, feed: Feed) -> None:
    feed.send(1, 2, 3)
    node.next()
    assert (queued_records(feed.edge.queue_read), feed.counts.taken) == (2, 1)


def test_message_is_taken_and_counted_under_the_lock_of_the_receiver(
    node: Node, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = node._receiver.lock
    was_free: list[bool] = []
    monkeypatch.setattr(inputs_module.events, "instant_of", lambda sent_ns: was_free.append(is_free(lock)))
    feed.send(1)
    node.next()
    assert was_free == [False]


def test_large_payload_stays_mapped_as_long_as_it_is_held(node: Node, feed: Feed) -> None:
    feed.send(array=LARGE)
    event = node.next()
    assert held_after_waiting(node, feed) == 1
    del event
    assert feed.held == 0


def test_release_that_a_full_pipe_refused_is_told_before_the_next_wait(node: Node, feed: Feed) -> None:
    feed.send(array=LARGE)
    event = node.next()
    for _ in range(65536 // 8):
        node._receiver._inputs["in"].edges[0].link.release(1)
    del event
    assert feed.held == 1
    assert held_after_waiting(node, feed) == 0


@pytest.mark.parametrize(
    "part",
    [
        lambda value: value.slice(100, 5),
        lambda value: value.to_numpy(),
        lambda value: value.to_numpy()[3:4],
        lambda value: value.buffers()[1],
        lambda value: memoryview(value.buffers()[1]),
    ],
    ids=["slice", "numpy view", "part of a numpy view", "buffer", "memoryview"],
)
def test_any_part_of_a_large_payload_holds_it(node: Node, feed: Feed, part: Any) -> None:
    feed.send(array=LARGE)
    kept = part(node.next()["value"])
    gc.collect()
    assert held_after_waiting(node, feed) == 1
    del kept
    gc.collect()
    assert feed.held == 0


def test_held_arrays_stay_as_they_were_while_many_messages_pass(node: Node, feed: Feed) -> None:
    kept = []
    for number in range(40):
        feed.send(array=pa.array(np.full(1_000, number)))
        event = node.next()
        if number % 4 == 0:
            kept.append((number, event["value"]))
    assert all(value.to_numpy().tolist() == [number] * 1_000 for number, value in kept)


def test_memory_of_a_sender_is_unmapped_with_the_last_array_of_an_edge_that_is_over(node: Node, feed: Feed) -> None:
    feed.send(array=LARGE)
    event = node.next()
    feed.finish()
    node.drain()
    assert mapped(feed.inode) == ["r--s", "rw-s"]
    del event
    assert mapped(feed.inode) == ["rw-s"]


def test_nested_array_holds_its_chunk(node: Node, feed: Feed) -> None:
    nested = pa.array([{"a": [1, 2, 3], "b": "text"}] * 1_000)
    feed.send(array=nested)
    child = node.next()["value"].field("a").values
    gc.collect()
    assert held_after_waiting(node, feed) == 1
    assert child.to_pylist() == [1, 2, 3] * 1_000


def test_struct_of_large_lists_is_an_array_like_any_other(node: Node, feed: Feed) -> None:
    numbers = np.arange(500_000)
    offsets = pa.array([0, len(numbers)], pa.int32())
    names = ["left", "right"]
    feed.send(array=pa.StructArray.from_arrays([pa.ListArray.from_arrays(offsets, numbers)] * 2, names=names))
    value = node.next()["value"]
    assert sum(buffer.size for buffer in value.buffers() if buffer) >= 2 * numbers.nbytes
    assert all((value.field(name)[0].values.to_numpy() == numbers).all() for name in names)


@pytest.mark.parametrize("array", [SMALL, LARGE], ids=["copied", "mapped"])
def test_view_of_a_received_array_refuses_writing(node: Node, feed: Feed, array: Any) -> None:
    feed.send(array=array)
    value = node.next()["value"]
    with pytest.raises(ValueError, match="read-only"):
        value.to_numpy()[0] = 1
    with pytest.raises(TypeError, match="read-only"):
        memoryview(value.buffers()[1])[0] = 1
    assert not value.buffers()[1].is_mutable


@pytest.mark.parametrize("array", [SMALL, LARGE], ids=["copied", "mapped"])
def test_view_that_is_made_writable_by_force_is_refused(node: Node, feed: Feed, array: Any) -> None:
    feed.send(array=array)
    view = node.next()["value"].to_numpy()
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


def test_large_flat_payload_begins_at_a_multiple_of_64(node: Node, feed: Feed) -> None:
    feed.send(array=LARGE)
    assert node.next()["value"].buffers()[1].address % 64 == 0


def test_reader_that_holds_much_is_warned_of_once(
    node: Node, feed: Feed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inputs_module, "_WARN_HELD_BYTES", 10_000)
    kept = []
    for _ in range(5):
        feed.send(array=LARGE)
        kept.append(node.next())
    printed = capsys.readouterr().err
    assert printed.count("dora: node 'node' keeps more than 1 GiB of arrays from input 'in' (camera/out)") == 1


@pytest.mark.parametrize(("others", "is_warned"), [(0, False), (1, True)])
def test_reader_is_warned_from_the_first_byte_beyond_a_gibibyte(
    node: Node, feed: Feed, capsys: pytest.CaptureFixture[str], others: int, is_warned: bool
) -> None:
    node._receiver._inputs["in"].edges[0].link.held_bytes = (1 << 30) - LARGE.nbytes + others
    feed.send(array=LARGE)
    event = node.next()
    assert ("keeps more than 1 GiB" in capsys.readouterr().err) is is_warned
    del event


# -- metadata ------------------------------------------------------------------------------------------------


def test_metadata_of_the_sender_arrive_beside_the_time(node: Node, feed: Feed) -> None:
    feed.send(1, metadata={"a": {"b": None}})
    before = datetime.datetime.now(datetime.timezone.utc)
    metadata = node.next()["metadata"]
    assert metadata.pop("timestamp") <= before
    assert metadata == {"a": {"b": None}}


def test_time_that_the_sender_states_is_kept(node: Node, feed: Feed) -> None:
    stated = datetime.datetime(2020, 1, 2, 3, 4, 5, 678, datetime.timezone.utc)
    feed.send(1, metadata={"timestamp": stated})
    assert node.next()["metadata"] == {"timestamp": stated}


def test_time_can_be_left_out(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_NO_TIMESTAMP", "1")
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1)
    assert node.next()["metadata"] == {}


def test_each_event_has_metadata_of_its_own(node: Node, feed: Feed) -> None:
    feed.send(1, 2)
    node.next()["metadata"]["mine"] = 1
    assert "mine" not in node.next()["metadata"]


def test_metadata_are_a_plain_dict_that_can_be_sent_on(node: Node, feed: Feed) -> None:
    feed.send(1, metadata={"camera.left": "x"})
    first = node.next()["metadata"]
    feed.send(2, metadata=first)
    second = node.next()["metadata"]
    assert type(first) is dict
    assert first == second == {"camera.left": "x", "timestamp": first["timestamp"]}


# -- damage --------------------------------------------------------------------------------------------------

LENGTH, NOW, TYPE_AT, METADATA_BYTES, TYPE_BYTES = 1, 10**18, 0, 0, 0
DAMAGED: dict[str, tuple[int, ...]] = {
    "type that is none": (8, 1, NOW, 64, 0, 0, arrow.FLAT, 0),
    "no type at all": (8, 1, NOW, 0, 0, 0, arrow.FLAT, 0),
    "stream that is none": (64, 1, NOW, 0, 0, 0, arrow.STREAM, 0),
    "metadata that are none": (8, 1, NOW, 0, 20, 0, arrow.FLAT, 0),
    "unknown encoding": (8, 1, NOW, 0, 0, 0, 15, 0),
    "time beyond the calendar": (0, 0, 2**62, 1, 0, 0, arrow.TEXT, 0),
    "body beyond the memory": (1 << 60, 1, NOW, 1, 0, 0, arrow.FLAT, 0),
    "metadata beyond all measure": (8, 1, NOW, 1, 2**32 - 1, 0, arrow.FLAT, 0),
    "text without room for its offsets": (8, 100, NOW, 1, 0, 0, arrow.TEXT, 0),
}


@pytest.mark.parametrize("fields", DAMAGED.values(), ids=DAMAGED)
def test_damaged_message_is_an_error_event_that_names_its_sender(
    node: Node, feed: Feed, fields: tuple[int, ...]
) -> None:
    feed.send_record(*fields)
    event = node.next()
    assert event["type"] == "ERROR"
    assert event["error"].startswith("fatal event stream error: undecodable message on input 'in' from camera/out: ")


def test_exception_of_a_signal_handler_is_no_damaged_message(
    node: Node, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_interrupted(sent_ns: int) -> None:
        signal.raise_signal(signal.SIGUSR1)

    def ring(*_: object) -> None:
        raise Alarm

    monkeypatch.setattr(inputs_module.events, "instant_of", be_interrupted)
    before = signal.signal(signal.SIGUSR1, ring)
    feed.send(1)
    try:
        with pytest.raises(Alarm):
            node.next()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("fields", DAMAGED.values(), ids=DAMAGED)
def test_damaged_message_does_not_end_the_stream_or_hold_memory(
    node: Node, feed: Feed, fields: tuple[int, ...]
) -> None:
    feed.send_record(*fields)
    feed.send(7)
    node.next()
    assert node.next()["value"].to_pylist() == [7]
    gc.collect()
    assert held_after_waiting(node, feed) == 0


@pytest.mark.parametrize("level", [b"\x91", b"\x81\xa1k"], ids=["lists", "dicts"])
def test_metadata_that_are_nested_without_end_are_an_error_event(node: Node, feed: Feed, level: bytes) -> None:
    feed.send_metadata(b"\x81\xa1k" + level * 200_000 + b"\x01")
    feed.send(7)
    event = node.next()
    assert "undecodable message on input 'in' from camera/out: RecursionError: " in event["error"]
    assert node.next()["value"].to_pylist() == [7]


def test_damaged_large_message_does_not_hold_memory(node: Node, feed: Feed) -> None:
    feed.send_record(4096 + 8, 1, NOW, 64, 0, 0, arrow.FLAT, 0)
    assert node.next()["type"] == "ERROR"
    gc.collect()
    assert held_after_waiting(node, feed) == 0


WRONG: dict[str, tuple[int, int, bytes, pa.DataType]] = {
    "more elements than the body holds": (arrow.FLAT, 1_000_000, bytes(8), pa.int64()),
    "more bits than the body holds": (arrow.BITS, 1_000_000, bytes(8), pa.bool_()),
    "no room for the bitmap": (arrow.NULLS, 8, bytes(64), pa.int64()),
    "offsets of text that lead outside": (arrow.TEXT, 1, struct.pack("<II56x4s", 0, 1 << 30, b"abcd"), pa.string()),
    "offsets of text that go back": (arrow.TEXT, 2, struct.pack("<III52x4s", 0, 1 << 30, 4, b"abcd"), pa.string()),
    "text that is not UTF-8": (arrow.TEXT, 1, struct.pack("<II56x1s", 0, 1, b"\xff"), pa.string()),
    "flat body of a dictionary": (arrow.FLAT, 1, bytes(8), pa.dictionary(pa.int64(), pa.string())),
    "flat body of a list": (arrow.FLAT, 1, bytes(8), pa.list_(pa.int64())),
}


@pytest.mark.parametrize(("encoding", "length", "body", "kind"), WRONG.values(), ids=WRONG)
def test_body_that_does_not_fit_its_type_is_an_error_event(
    node: Node, feed: Feed, encoding: int, length: int, body: bytes, kind: pa.DataType
) -> None:
    feed.send_body(encoding, length, body, arrow.describe_type(kind))
    event = node.next()
    assert event["type"] == "ERROR", event["value"]
    assert "undecodable message on input 'in' from camera/out: " in event["error"]


def test_queue_that_holds_no_records_is_told_once_and_read_no_further(node: Node, feed: Feed) -> None:
    os.write(feed.edge.queue_write, b"rubbish")
    event = node.next()
    assert event["type"] == "ERROR"
    assert event["error"].endswith(
        "input 'in' is closed: camera wrote something that is no message into the queue of camera/out"
    )
    assert node.try_recv() is None
    feed.finish()
    assert [node.next()["type"] for _ in range(2)] == ["INPUT_CLOSED", "STOP"]
