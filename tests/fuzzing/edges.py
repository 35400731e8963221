"""What the two sides of an edge write to each other: records, bodies, types, metadata, releases, counters."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pyarrow as pa

from dora import arrow
from dora.clock import HybridClock
from dora.messages import metadata as metadata_codec
from dora.messages import node_runner as m
from dora.node.inputs import Input
from dora.transport import pipes
from dora.transport.counters import CountersPage
from dora.transport.pipes import RECORD
from fuzzing.choices import Choices
from transport.joined import ARENA_BYTES, Joined, make_memory

CHUNK = 4096
CLOCK = HybridClock()
LARGE = 5000
"""longer than what is copied, so that the array lies in the shared memory"""


@cache
def samples() -> tuple[Any, ...]:
    """Arrays of every encoding, small and large."""
    flat = [1, 2, None, 4]
    return (
        pa.array(range(8)),
        pa.array(flat, pa.float32()),
        pa.array([True, False, True]),
        pa.nulls(3),
        pa.array(["a", "bc", ""]),
        pa.array([b"x" * 40], pa.large_binary()),
        pa.array([["a"], ["b", None], []]),
        pa.array(["x", "y", "x"]).dictionary_encode(),
        pa.array([{"a": 1, "b": "c"}, None]),
        pa.array(range(LARGE)),
        pa.array([str(number) for number in range(LARGE)]),
        pa.array([[number] for number in range(LARGE)]),
    )


@cache
def bodies() -> tuple[tuple[int, int, bytes, bytes], ...]:
    """(encoding, length, body, type) of each sample."""
    found = []
    for array in samples():
        body = arrow.body_of(array)
        buffer = bytearray(body.size)
        address = pa.py_buffer(buffer).address
        if body.write is not None:
            body.write(address, _copy)
        else:
            buffer[:] = body.buffer.to_pybytes()
        found.append((body.encoding, body.length, bytes(buffer), arrow.describe_type(array.type)))
    return tuple(found)


def _copy(target: int, source: Any, size: int) -> None:
    import ctypes

    ctypes.memmove(target, source, size)


def walk(array: Any, *, is_checked: bool) -> None:
    """Look at all of an array, as a node would; of one that was not checked wholly, at its outside."""
    assert len(array) >= 0
    assert str(array.type)
    if is_checked and len(array) <= LARGE:
        array.to_pylist()
        assert array.null_count >= 0


class Edge:
    """A sender's pipe and memory, written by hand, and the input that reads it."""

    def __init__(self) -> None:
        self.page = CountersPage.create()
        self.memory = make_memory()
        self.reopen()

    def reopen(self) -> None:
        """A new edge in place of one that was damaged."""
        self.fds = pipes.make_edge(64)
        self.input = Input("in", "reader", CLOCK, [])
        message = m.AddInputEdge(1, "in", "sender", "out", 1, ARENA_BYTES)
        ends = [self.fds.queue_read, self.fds.release_write, pipes.reopen_read_only(self.memory)]
        self.input.add(message, ends, self.page.words, self.page.edge_word(1))

    def close_ends(self) -> None:
        self.input.drop_edge()
        os.close(self.fds.queue_write)
        os.close(self.fds.release_read)


@cache
def edge() -> Edge:
    """One for the whole process."""
    return Edge()


def messages(data: bytes) -> None:
    """Records and chunks: every message is an event, right or ERROR, and none crashes the reader."""
    choices, place = Choices(data), edge()
    count = 0
    while not choices.is_over and count < 8:
        os.write(place.fds.queue_write, _record(choices, place.memory))
        count += 1
    while (event := place.input.take()) is not None:
        count -= 1
        assert event["type"] in ("INPUT", "ERROR")
        if event["type"] == "INPUT":
            walk(event["value"], is_checked=event["value"].get_total_buffer_size() <= CHUNK)
        else:
            assert "sender/out" in event["error"]
    assert count == 0
    for source in place.input.edges:
        source.decoders.clear()
        source.link.tell_released()
    while True:
        try:
            os.read(place.fds.release_read, 1 << 16)
        except BlockingIOError:
            break


def _record(choices: Choices, memory: int) -> bytes:
    encoding, length, body, kind = choices.one(bodies())
    encoded = metadata_codec.encode({"a": [1, 2], "b": "c"})[0]
    size, offset, reference = len(body), CHUNK * (1 + choices.below(64)), 0
    flags = encoding
    if choices.below(3):
        body, kind, encoded = choices.mutated(body), choices.mutated(kind), choices.mutated(encoded)
    tail = offset + ((size + 7) & ~7)
    os.pwrite(memory, body, offset)
    os.pwrite(memory, encoded + kind, tail)
    fields = [0, offset, size, length, 1_700_000_000 * 10**9, reference, len(encoded), len(kind), flags, 0]
    for _ in range(choices.below(3)):
        place = choices.below(len(fields))
        fields[place] = choices.word(32 if place >= 6 else 63 if place == 4 else 64)
    fields[2] = _bounded(fields[2])
    return RECORD.pack(*fields)


def _bounded(size: int) -> int:
    """A body as large as the arena is real to its reader; here it would only be slow."""
    return size if size < LARGE * 16 or size > ARENA_BYTES else size % (LARGE * 16)


def torn_records(data: bytes) -> None:
    """Bytes that are no records at all: one ERROR event, then silence."""
    choices, place = Choices(data), edge()
    rubbish = choices.bytes(63) or b"x"
    os.write(place.fds.queue_write, rubbish)
    event = place.input.take()
    assert event is not None
    assert event["type"] == "ERROR"
    assert "sender wrote something that is no message" in event["error"]
    assert place.input.take() is None
    place.close_ends()
    place.reopen()


@cache
def joined() -> Joined:
    """An edge with a right sender, for readers that write nonsense."""
    return Joined(queue_size=8)


def releases(data: bytes) -> None:
    """What a reader writes back: the sender frees only what that reader holds, and sends on."""
    choices, place = Choices(data), joined()
    before = place.counts.sent
    for number in range(4):
        place.push(before + number)
    rubbish = choices.bytes(1 + choices.below(512)) or b"1234567"
    os.write(place.reader.release_write, rubbish)
    place.sender.reclaim()
    for number in range(4, 16):
        place.push(before + number)
    assert place.pop_all()[-1] == before + 15
    for number in list(place.taken):
        place.release(number)
    place.sender.reclaim()
    assert place.arena.used_chunks <= 200_000
    if len(rubbish) % 8:
        _renew(place)


def _renew(place: Joined) -> None:
    """Words are torn from now on: a reader that does so keeps its chunks, and is replaced here."""
    place.replace(8)


def counters(data: bytes) -> None:
    """Numbers that another process wrote into the counters page stop neither side."""
    choices, place = Choices(data), joined()
    at = place.page.edge_word(0)
    for _ in range(choices.below(12)):
        place.page.words[at + choices.below(16)] = choices.word(64)
    assert place.counts.sent >= 0
    for number in range(12):
        place.push(number)
    assert place.pop_all() == list(range(4, 12))
    for number in list(place.taken):
        place.release(number)
    place.page.announce(choices.below(4))
    for word in range(16):
        place.page.words[at + word] = 0
