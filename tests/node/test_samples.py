"""Messages filled in place: what may be done with them before, during and after the send (dora node-api, section 8)."""

from __future__ import annotations

import gc
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora.messages import node_runner as m
from dora.node.node import Node
from dora.node.samples import SampleHandler
from node.fake_runner import FakeRunner, Sink
from node.interruptions import signalled_when

SENT = "Sample has already been sent"
NO_ACCESS = "Cannot access buffer: the sample has already been sent"
NO_VIEW = "Cannot acquire buffer view: the parent SampleHandler has been sent or dropped"
OPEN = r"Cannot send: {} buffer view\(s\) are still open. Release all memoryview / numpy references before calling send"


@pytest.fixture
def sink(runner: FakeRunner) -> Sink:
    """The reader of the output."""
    return runner.sink("out")


@pytest.fixture
def node(runner: FakeRunner, sink: Sink) -> Node:
    """A node with one output."""
    return runner.node()


@pytest.fixture
def sample(node: Node) -> SampleHandler:
    """A message of 8 bytes that is not sent yet."""
    return node.send_output_raw("out", 8, {"key": 5})


def sent(sink: Sink) -> list[bytes]:
    """The bytes of all that was sent."""
    return [bytes(value) for value in sink.take_all()]


def used_chunks(node: Node) -> int:
    """Chunks of the output that somebody holds, after looking at what came back."""
    output = node._session.outputs["out"]
    output._reclaim()
    return output._arena.used_chunks


# -- sending -------------------------------------------------------------------------------------------------


def test_with_block_sends_at_its_end(node: Node, sink: Sink) -> None:
    with node.send_output_raw("out", 5) as buffer:
        memoryview(buffer)[:] = b"hello"
        assert sent(sink) == []
    assert sent(sink) == [b"hello"]


def test_message_arrives_as_uint8_with_its_metadata(sample: SampleHandler, sink: Sink) -> None:
    sample.send()
    event = sink.take()
    assert (event["value"].type, len(event["value"]), event["metadata"]["key"]) == (pa.uint8(), 8, 5)


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 8191, 65_536, 1_000_000])
def test_samples_of_all_sizes_arrive(node: Node, sink: Sink, size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    with node.send_output_raw("out", size, {"a": "b" * 100}) as buffer:
        np.asarray(buffer, dtype=np.uint8)[:] = data
    event = sink.take()
    assert event["value"].to_pylist() == data.tolist()
    assert event["metadata"]["a"] == "b" * 100


def test_metadata_longer_than_its_room_arrive(node: Node, sink: Sink) -> None:
    with node.send_output_raw("out", 4096, {"a": "b" * 100_000}) as buffer:
        memoryview(buffer)[:] = b"x" * 4096
    event = sink.take()
    assert (event["value"].to_pylist(), len(event["metadata"]["a"])) == ([120] * 4096, 100_000)


def test_length_may_be_named_as_dora_rs_or_the_guide_names_it(node: Node, sink: Sink) -> None:
    node.send_output_raw("out", data_length=2).send()
    node.send_output_raw("out", length=3).send()
    assert [len(data) for data in sent(sink)] == [2, 3]


def test_length_may_be_a_numpy_integer(node: Node, sink: Sink) -> None:
    node.send_output_raw("out", np.prod((2, 3))).send()
    assert [len(data) for data in sent(sink)] == [6]


def test_by_hand_as_the_guide_shows_it(sample: SampleHandler, sink: Sink) -> None:
    view = sample.as_memoryview()
    array = np.frombuffer(view, np.float32).reshape(2, 1)
    array[:] = [[1], [2]]
    del array
    view.release()
    sample.send()
    assert sent(sink) == [struct.pack("<2f", 1, 2)]


def test_message_without_readers_is_let_go(runner: FakeRunner) -> None:
    runner.output("out")
    node = runner.node()
    node.send_output_raw("out", 8).send()
    assert used_chunks(node) == 0


def test_samples_may_be_sent_in_another_order(node: Node, sink: Sink) -> None:
    first, second = node.send_output_raw("out", 1), node.send_output_raw("out", 2)
    second.send()
    first.send()
    assert [len(data) for data in sent(sink)] == [2, 1]


@pytest.mark.parametrize(
    ("length", "error", "text"),
    [
        (-1, OverflowError, "data_length must not be negative: -1"),
        (1.5, TypeError, r"data_length must be an int \(bytes\), not float"),
        ("5", TypeError, "not str"),
        (None, TypeError, "not NoneType"),
        (True, TypeError, "not bool"),
        (1 << 40, MemoryError, rf"no room for a message of {(1 << 40) + 4096} bytes: an output has \d+ bytes in all"),
    ],
)
def test_length_that_is_none_is_refused(node: Node, length: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        node.send_output_raw("out", length)


@pytest.mark.parametrize("metadata", [[1], {1: 2}, {"a": 2**70}], ids=repr)
def test_wrong_metadata_are_refused_at_once_and_hold_nothing(node: Node, metadata: Any) -> None:
    with pytest.raises((TypeError, RuntimeError, OverflowError)):
        node.send_output_raw("out", 8, metadata)
    gc.collect()
    assert used_chunks(node) == 0


def test_change_of_the_metadata_before_the_send_is_not_seen(node: Node, sink: Sink) -> None:
    metadata = {"a": 1}
    sample = node.send_output_raw("out", 8, metadata)
    metadata["a"] = 2
    sample.send()
    assert sink.take()["metadata"]["a"] == 1


# -- ways to write -------------------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Any], object]] = {
    "memoryview": lambda buffer: memoryview(buffer).__setitem__(slice(None), b"12345678"),
    "asarray": lambda buffer: np.asarray(buffer, dtype=np.uint8).__setitem__(slice(None), list(b"12345678")),
    "frombuffer": lambda buffer: np.frombuffer(buffer, np.uint64).__setitem__(0, int.from_bytes(b"12345678", "little")),
    "pack_into": lambda buffer: struct.pack_into("8s", buffer, 0, b"12345678"),
    "readinto": lambda buffer: io.BytesIO(b"12345678").readinto(buffer),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_buffer_is_written_in_a_statement(sample: SampleHandler, sink: Sink, write: Callable[[Any], object]) -> None:
    with sample as buffer:
        write(buffer)
    assert sent(sink) == [b"12345678"]


def test_buffer_is_read_back(sample: SampleHandler) -> None:
    buffer = sample.as_buffer()
    struct.pack_into("8s", buffer, 0, b"12345678")
    assert bytes(buffer) == b"12345678"


def test_views_are_writable_flat_bytes(sample: SampleHandler) -> None:
    view = sample.as_memoryview()
    assert (view.readonly, view.format, view.ndim, view.nbytes, view.c_contiguous) == (False, "B", 1, 8, True)


@pytest.mark.parametrize("use", [len, lambda buffer: buffer[0], lambda buffer: buffer.__setitem__(0, 1)])
def test_buffer_is_nothing_but_a_buffer(sample: SampleHandler, use: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        use(sample.as_buffer())


def test_view_of_a_view_is_written_through(sample: SampleHandler, sink: Sink) -> None:
    array = np.asarray(sample.as_buffer(), dtype=np.uint8).view(np.uint16)[1:3].reshape(2, 1)
    array[:] = 0x4141
    del array
    sample.send()
    assert sent(sink)[0][2:6] == b"AAAA"


# -- views that are open -------------------------------------------------------------------------------------


def two_views(sample: SampleHandler) -> list[Any]:
    return [sample.as_memoryview(), sample.as_memoryview()]


VIEWS: dict[str, tuple[Callable[[SampleHandler], Any], int]] = {
    "memoryview": (lambda sample: sample.as_memoryview(), 1),
    "array": (lambda sample: np.asarray(sample.as_buffer(), dtype=np.uint8), 1),
    "array of a dtype": (lambda sample: np.frombuffer(sample.as_buffer(), np.float32), 1),
    "slice of an array": (lambda sample: np.asarray(sample.as_buffer(), dtype=np.uint8)[2:4], 1),
    "two memoryviews": (two_views, 2),
    "memoryview of a memoryview": (lambda sample: memoryview(sample.as_memoryview()), 1),
}


@pytest.mark.parametrize(("look", "count"), VIEWS.values(), ids=VIEWS)
def test_send_with_open_views_is_refused_with_their_number(
    sample: SampleHandler, sink: Sink, look: Callable[[SampleHandler], Any], count: int
) -> None:
    view = look(sample)
    with pytest.raises(RuntimeError, match="^" + OPEN.format(count)):
        sample.send()
    assert view is not None
    assert sent(sink) == []


@pytest.mark.parametrize(("look", "count"), VIEWS.values(), ids=VIEWS)
def test_sample_can_be_sent_once_its_views_are_gone(
    sample: SampleHandler, sink: Sink, look: Callable[[SampleHandler], Any], count: int
) -> None:
    view = look(sample)
    with pytest.raises(RuntimeError):
        sample.send()
    del view
    sample.send()
    assert len(sent(sink)) == 1


def test_view_open_at_the_end_of_a_with_block_is_named(sample: SampleHandler, sink: Sink) -> None:
    with pytest.raises(RuntimeError, match="^Failed to send: " + OPEN.format(1)), sample as buffer:
        view = memoryview(buffer)
    assert sent(sink) == []
    view.release()
    sample.send()
    assert len(sent(sink)) == 1


def test_released_memoryview_with_a_living_array_still_counts(sample: SampleHandler) -> None:
    view = sample.as_memoryview()
    array = np.asarray(view)
    view.release()
    with pytest.raises(RuntimeError, match=OPEN.format(1)):
        sample.send()
    del array
    sample.send()


def test_each_memoryview_is_another_one_and_the_buffer_the_same(sample: SampleHandler) -> None:
    assert sample.as_memoryview() is not sample.as_memoryview()
    assert sample.as_buffer() is sample.as_buffer()


def test_views_are_counted(sample: SampleHandler) -> None:
    seen = [sample.view_count]
    first, second = sample.as_memoryview(), np.asarray(sample.as_buffer(), dtype=np.uint8)
    seen.append(sample.view_count)
    first.release()
    seen.append(sample.view_count)
    del second
    seen.append(sample.view_count)
    assert seen == [0, 2, 1, 0]


def test_thousands_of_views_leave_no_count_behind(sample: SampleHandler) -> None:
    for _ in range(10_000):
        np.asarray(sample.as_buffer(), dtype=np.uint8)
        memoryview(sample.as_buffer()).release()
    assert sample.view_count == 0


# -- exceptions ----------------------------------------------------------------------------------------------


def test_exception_in_the_block_sends_nothing_and_passes(sample: SampleHandler, sink: Sink) -> None:
    with pytest.raises(ZeroDivisionError), sample:
        raise ZeroDivisionError
    assert sent(sink) == []
    sample.send()
    assert len(sent(sink)) == 1


def test_exception_that_keeps_a_view_in_its_traceback_passes(sample: SampleHandler) -> None:
    def fail(buffer: Any) -> None:
        view = memoryview(buffer)
        raise ZeroDivisionError(len(view))

    with pytest.raises(ZeroDivisionError), sample as buffer:
        fail(buffer)


def test_send_that_fails_lets_the_memory_go(runner: FakeRunner) -> None:
    runner.sink("out", queue_size=1, is_lossless=True, reader="node", input="loop")
    node = runner.node()
    node.send_output("out", b"x")
    before = used_chunks(node)
    with pytest.raises(RuntimeError, match="can never end"):
        node.send_output_raw("out", 8).send()
    gc.collect()
    assert used_chunks(node) == before


def test_interrupted_send_can_be_sent_again(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    node.send_output("out", b"x")
    sample = node.send_output_raw("out", 1)
    with pytest.raises(KeyboardInterrupt), signalled_when(runner.wait_until_blocked, interrupt):
        sample.send()
    assert sent(sink) == [b"x"]
    sample.send()
    assert len(sent(sink)) == 1


def interrupt() -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def test_message_given_up_after_the_stop_lets_the_memory_go(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dora.node.outputs._AFTER_STOP_NS", 1)
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    node.send_output("out", b"x")
    runner.say(m.Stop())
    before = used_chunks(node)
    node.send_output_raw("out", 8).send()
    assert (used_chunks(node), sink.counts.dropped) == (before, 1)


# -- after the send ------------------------------------------------------------------------------------------


@pytest.fixture
def gone(sample: SampleHandler) -> SampleHandler:
    """A message that was sent."""
    sample.send()
    return sample


def test_second_send_is_refused(gone: SampleHandler, sink: Sink) -> None:
    with pytest.raises(RuntimeError, match=f"^{SENT}$"):
        gone.send()
    assert len(sent(sink)) == 1


def test_send_within_the_block_is_refused_at_its_end(sample: SampleHandler, sink: Sink) -> None:
    with pytest.raises(RuntimeError, match=f"^Failed to send: {SENT}$"), sample:
        sample.send()
    assert len(sent(sink)) == 1


@pytest.mark.parametrize("access", [lambda s: s.__enter__(), lambda s: s.as_buffer(), lambda s: s.as_memoryview()])
def test_access_after_the_send_is_refused(gone: SampleHandler, access: Callable[[SampleHandler], Any]) -> None:
    with pytest.raises(RuntimeError, match=f"^{NO_ACCESS}$"):
        access(gone)


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "dropped"])
@pytest.mark.parametrize(
    "look",
    [memoryview, bytes, lambda b: np.asarray(b, dtype=np.uint8), lambda b: np.frombuffer(b, np.uint8), np.asarray],
    ids=["memoryview", "bytes", "asarray with a dtype", "frombuffer", "asarray"],
)
def test_kept_buffer_gives_no_new_views_once_the_sample_is_gone(
    node: Node, look: Callable[[Any], Any], is_sent: bool
) -> None:
    sample = node.send_output_raw("out", 8)
    buffer = sample.as_buffer()
    if is_sent:
        sample.send()
    del sample
    with pytest.raises(BufferError, match=f"^{NO_VIEW}$"):
        look(buffer)


def test_kept_buffer_cannot_be_packed_into_once_the_sample_is_gone(node: Node) -> None:
    sample = node.send_output_raw("out", 8)
    buffer = sample.as_buffer()
    sample.send()
    with pytest.raises((TypeError, BufferError)):
        struct.pack_into("8s", buffer, 0, b"12345678")


def test_arrays_taken_in_every_way_count(sample: SampleHandler) -> None:
    arrays = [np.frombuffer(sample.as_buffer(), np.float32), np.asarray(sample.as_buffer()), np.array(1)]
    assert (sample.view_count, len(arrays)) == (2, 3)


def test_kept_buffer_does_not_hold_the_message(node: Node, sink: Sink) -> None:
    sample = node.send_output_raw("out", 8)
    buffer = sample.as_buffer()
    sample.send()
    sink.take()
    assert buffer is not None
    assert used_chunks(node) == 1  # the one with the types


# -- samples that are not sent -------------------------------------------------------------------------------


def test_dropped_sample_sends_nothing_and_holds_nothing(node: Node, sink: Sink) -> None:
    sample = node.send_output_raw("out", 1_000_000)
    del sample
    assert (sent(sink), used_chunks(node)) == ([], 0)


def test_view_of_a_dropped_sample_stays_usable(node: Node, sink: Sink) -> None:
    view = node.send_output_raw("out", 1_000_000).as_memoryview()
    gc.collect()
    node.send_output("out", bytes(1_000_000))
    view[:] = b"x" * 1_000_000
    assert bytes(view[-3:]) == b"xxx"
    assert sent(sink) == [bytes(1_000_000)]


def test_view_of_a_dropped_sample_outlives_the_node(node: Node) -> None:
    view = node.send_output_raw("out", 1_000_000).as_memoryview()
    node.close()
    gc.collect()
    view[:] = b"x" * 1_000_000
    assert bytes(view[-3:]) == b"xxx"


def test_chunk_of_a_dropped_view_is_used_again(node: Node) -> None:
    view = node.send_output_raw("out", 1_000_000).as_memoryview()
    assert used_chunks(node) == 1
    view.release()
    del view
    gc.collect()
    assert used_chunks(node) == 0


def test_sample_of_a_closed_node_is_refused(node: Node) -> None:
    sample = node.send_output_raw("out", 8)
    node.close()
    with pytest.raises(RuntimeError, match="cannot send on output 'out': this node's link to dora is closed"):
        sample.send()
