"""Both ends of one edge in this process, over real pipes and real shared memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from dora.transport import pipes
from dora.transport.arena import Arena
from dora.transport.counters import CountersPage, EdgeCounts
from dora.transport.receiving import Mapping, ReceiveEdge, Record
from dora.transport.sending import SendEdge

ARENA_BYTES = 1 << 24


def make_memory(size_bytes: int = ARENA_BYTES) -> int:
    """A memfd of that size."""
    fd = os.memfd_create("test-output", os.MFD_CLOEXEC)
    os.ftruncate(fd, size_bytes)
    return fd


def join(arena: Arena, memory: int, page: CountersPage, queue_size: int, number: int) -> tuple[SendEdge, ReceiveEdge]:
    """A new edge of that output."""
    fds = pipes.make_edge(queue_size)
    at = page.edge_word(0)
    ends = (os.dup(fds.queue_read), fds.queue_write, fds.release_read)
    sender = SendEdge(number, ends, arena, (page.words, at), queue_size)
    mapping = Mapping(pipes.reopen_read_only(memory), ARENA_BYTES)
    reader = ReceiveEdge(number, fds.queue_read, fds.release_write, mapping)
    reader.count_into(page.words, at)
    return sender, reader


class Joined:
    """One output with one edge; messages are numbers, which are also their sequence numbers."""

    def __init__(self, queue_size: int = 10) -> None:
        self.memory = make_memory()
        self.arena = Arena(os.dup(self.memory), ARENA_BYTES)
        self.page = CountersPage.create()
        self.sender, self.reader = join(self.arena, self.memory, self.page, queue_size, 1)
        self.taken: dict[int, int] = {}

    @property
    def counts(self) -> EdgeCounts:
        """The edge's counters."""
        return self.page.edge(0)

    def push(self, number: int, flags: int = 0, size: int = 8) -> int:
        """Send a number as the first word of a message of `size` bytes; returns the chunk's offset."""
        offset = self.arena.take_free(size)
        if offset < 0:
            self.sender.reclaim()
            offset = self.arena.allocate(size)
        self.arena.view[offset : offset + 8] = number.to_bytes(8, "little")
        record = pipes.RECORD.pack(number, offset, size, 1, 0, 0, 0, 0, flags, 0)
        self.arena.hand_over(offset, self.sender.push(record, offset, size, flags, number + 1))
        return offset

    def pop(self) -> int | None:
        """Take the oldest message and keep its chunk (see `release`)."""
        record = self.reader.pop()
        return None if record is None else self._look(record)

    def pop_all(self) -> list[int]:
        """Take all that is queued."""
        found = []
        while (number := self.pop()) is not None:
            found.append(number)
        return found

    def _look(self, record: Record) -> int:
        number, offset = record[:2]
        view = self.reader.mapping.view
        assert int.from_bytes(view[offset : offset + 8], "little") == number, "the chunk was used again too early"
        self.taken[number] = offset
        return number

    def release(self, number: int) -> None:
        """Let go of a message that was taken."""
        self.reader.release(self.taken.pop(number))

    def replace(self, queue_size: int = 10) -> None:
        """The reader dies, a new one comes: its edge takes over what is still queued."""
        old = self.sender
        self.sender, reader = join(self.arena, self.memory, self.page, queue_size, old.number + 1)
        self.sender.inherit(old)
        old.close()
        self.reader.abandon()
        self.reader = reader
        self.taken.clear()

    def close(self) -> None:
        """Close everything."""
        self.sender.close()
        self.reader.abandon()
        self.arena.close()
        self.page.close()
        os.close(self.memory)


def in_threads(*actions: Callable[[], None]) -> None:
    """Run all of these at once, to their ends."""
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
