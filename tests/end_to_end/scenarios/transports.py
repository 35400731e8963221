"""The transport alone: short-lived processes on bare pipes, without runner and Arrow."""

from __future__ import annotations

import os
import select
import sys

from dora.transport import pipes
from dora.transport.arena import Arena
from dora.transport.counters import CountersPage
from dora.transport.receiving import Mapping, ReceiveEdge
from dora.transport.sending import SendEdge
from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

_SIZE = 16


def closed_pipes(flow: Flow, count: int) -> list[Mark]:
    """That many processes, one after the other, each sends one message and is gone: the message, then EOF."""
    before = len(os.listdir("/proc/self/fd"))
    page = CountersPage.create()
    received = closed = 0
    for number in range(count):
        message, is_closed = _one(page, number)
        received += message == number
        closed += is_closed
    page.close()
    after = len(os.listdir("/proc/self/fd"))
    return [
        Mark("messages", received, "==", count),
        Mark("ends after them", closed, "==", count),
        Mark("descriptors left", after - before, "==", 0),
    ]


def _one(page: CountersPage, number: int) -> tuple[int | None, bool]:
    edge = pipes.make_edge(10)
    memfd, size = pipes.make_arena()
    read_only = pipes.reopen_read_only(memfd)
    child = os.fork()
    if child == 0:
        try:
            _send(edge, memfd, size, page, number)
        finally:
            os._exit(0)
    for fd in (memfd, edge.queue_write, edge.release_read):
        os.close(fd)
    reader = ReceiveEdge(number, edge.queue_read, edge.release_write, Mapping(read_only, size))
    try:
        message = _wait(reader)
        found = None
        if message is not None:
            found = int.from_bytes(reader.mapping.view[message[1] : message[1] + _SIZE].tobytes(), "little")
        return found, message is not None and _wait(reader) is None and reader.is_ended
    finally:
        os.waitpid(child, 0)
        reader.abandon()


def _send(edge: pipes.EdgeFds, memfd: int, size: int, page: CountersPage, number: int) -> None:
    arena = Arena(memfd, size)
    fds = (edge.queue_read, edge.queue_write, edge.release_read)
    sender = SendEdge(number, fds, arena, (page.words, page.edge_word(0)), 10)
    offset = arena.allocate(_SIZE)
    arena.view[offset : offset + _SIZE] = number.to_bytes(_SIZE, "little")
    record = pipes.RECORD.pack(0, offset, _SIZE, 1, 0, 0, 0, 0, 0, 0)
    sender.push(record, offset, _SIZE, 0, 0)


def _wait(reader: ReceiveEdge) -> tuple[int, ...] | None:
    """The next record, or None at the end."""
    poll = select.poll()
    poll.register(reader.queue_read, select.POLLIN)
    while True:
        record = reader.pop()
        if record is not None or reader.is_ended:
            return record
        if not poll.poll(10_000):
            print("nothing came for 10 s", file=sys.stderr)
            return None
