"""The reader's side of an edge: pop a record, look at the chunk, say when it is no longer used.

Strategy: a reader takes exactly one record per event it returns.  Whoever holds a chunk's memory holds a
`Hold`; its `__del__` writes the offset to the release pipe, never blocks, and when the pipe is full leaves
the word on a list that the next call writes.  The mapping lives as long as any hold.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
import weakref
from collections import deque
from typing import Final

from dora.transport import libc
from dora.transport.counters import EDGE_TAKEN, EDGE_WAITING, WORD_MASK
from dora.transport.pipes import RECORD, RECORD_BYTES, TAKEN, WORD

_RELEASE_BATCH: Final = 32
_SLOW_NS: Final = 1_000_000
_TAKEN_WORD: Final = WORD.pack(TAKEN)

Record = tuple[int, int, int, int, int, int, int, int, int, int]
"""the fields of `pipes.RECORD`, in order"""


class Mapping:
    """One arena, read-only in this process; unmapped when the last user is gone."""

    __slots__ = ("_size_bytes", "address", "view")

    def __init__(self, fd: int, size_bytes: int) -> None:
        try:
            self.address = libc.map_shared(fd, size_bytes, writable=False)
        finally:
            os.close(fd)
        self.view = libc.view_of(self.address, size_bytes)
        self._size_bytes = size_bytes

    def __del__(self, unmap=libc.unmap) -> None:  # type: ignore[no-untyped-def]  # bound early: interpreter exit
        address = getattr(self, "address", 0)
        if address:
            unmap(address, self._size_bytes)


_edges: Final[weakref.WeakSet[ReceiveEdge]] = weakref.WeakSet()


class ReceiveEdge:
    """One edge, seen by its reader.  The node's receive lock guards it, except `release`.

    Attributes:
        is_ended: the pipe is at EOF: every sender is gone and the queue is drained.  Or it is damaged.
        is_damaged: the pipe held something else than records; where the next one begins cannot be known.
        held_bytes: bytes of arrays that the user still keeps.
    """

    def __init__(self, number: int, queue_read: int, release_write: int, mapping: Mapping) -> None:
        """Take over both descriptors."""
        self.number: Final = number
        self.queue_read = queue_read
        self.release_write = release_write
        self.mapping: Final = mapping
        self.is_ended = False
        self.is_damaged = False
        self.held_bytes = 0
        self._words: memoryview | None = None
        self._taken_at = 0
        self._copied: list[int] = []
        self._untold_edges: list[ReceiveEdge] = []
        self._untold = 0
        self._popped_ns = 0
        self._waiting_at = 0
        self._pending: deque[bytes] = deque()
        self._buffer = ctypes.create_string_buffer(RECORD_BYTES)
        self._buffer_at = ctypes.addressof(self._buffer)
        _edges.add(self)

    def count_into(self, words: memoryview, at: int) -> None:
        """Count what is taken in the counters page, at the edge's first word."""
        self._words = words
        self._taken_at = at + EDGE_TAKEN
        self._waiting_at = at + EDGE_WAITING

    def tell_through(self, edges: list[ReceiveEdge]) -> None:
        """Where this edge enters itself while it has something for `tell_released` to tell."""
        self._untold_edges = edges

    def pop(self) -> Record | None:
        """The oldest record, or None: nothing queued, or `is_ended`."""
        if libc.thread_count():
            got = libc.read(self.queue_read, self._buffer_at, RECORD_BYTES)
            record = self._buffer.raw if got == RECORD_BYTES else None if got < 0 else self._buffer.raw[:got]
        else:
            try:
                record = os.read(self.queue_read, RECORD_BYTES)
            except BlockingIOError:
                record = None
        if record is None or len(record) != RECORD_BYTES:
            self.is_ended = record is not None
            self.is_damaged = bool(record)
            return None
        words = self._words
        if words is not None:
            words[self._taken_at] = (words[self._taken_at] + 1) & WORD_MASK
            waiting = words[self._waiting_at]
            if waiting:
                self._say_taken(waiting)
        if self._pending:
            self.flush_pending()
        return RECORD.unpack(record)

    def _say_taken(self, batch: int) -> None:
        """The sender waits for room: tell it at once if we are slow, else once per batch."""
        now_ns = time.monotonic_ns()
        self._untold += 1
        if self._untold >= batch or now_ns - self._popped_ns > _SLOW_NS:
            self._untold = 0
            self._write(_TAKEN_WORD)
        self._popped_ns = now_ns

    def release(self, offset: int) -> None:
        """Tell the sender that this chunk is no longer used.  Any thread, also a finalizer."""
        self._write(WORD.pack(offset))

    def release_soon(self, offset: int) -> None:
        """Like `release`, for a chunk that was copied out: told in batches, at the latest before the next wait."""
        if not self._copied:
            self._enter()
        self._copied.append(offset)
        if len(self._copied) >= _RELEASE_BATCH:
            self.tell_released()

    def _enter(self) -> None:
        if self not in self._untold_edges:  # it is there still if the reader never waits
            self._untold_edges.append(self)

    def tell_released(self) -> None:
        """Tell the sender what `release_soon` collected, and what the full release pipe refused."""
        copied = self._copied
        if copied:
            self._write(struct.pack(f"<{len(copied)}Q", *copied))
            copied.clear()
        if self._pending:
            self.flush_pending()

    def _write(self, word: bytes) -> None:
        if self.is_ended or self.release_write < 0:
            return
        if not libc.write_words(self.release_write, word):
            self._pending.append(word)
            self._enter()

    def flush_pending(self) -> None:
        """Try again what the full release pipe refused."""
        while self._pending:
            word = self._pending.popleft()
            if not libc.write_words(self.release_write, word):
                self._pending.appendleft(word)
                if self.queue_read >= 0 and not self.is_ended:
                    self._enter()
                return

    def close(self) -> None:
        """Stop reading.  What the user still holds stays valid, and is released when he lets go."""
        if self.queue_read >= 0:
            os.close(self.queue_read)
            self.queue_read = -1

    def abandon(self) -> None:
        """In a forked child: this edge belongs to the parent; never touch it again."""
        self.close()
        if self.release_write >= 0:
            os.close(self.release_write)
            self.release_write = -1

    def __del__(self, close=os.close) -> None:  # type: ignore[no-untyped-def]  # bound early: interpreter exit
        for name in ("queue_read", "release_write"):
            fd = getattr(self, name, -1)
            if fd >= 0:
                close(fd)
                setattr(self, name, -1)


def tell_all(untold: list[ReceiveEdge]) -> None:
    """Let each edge that has entered itself there tell its sender; one that is refused enters itself again."""
    for _ in range(len(untold)):
        untold.pop(0).tell_released()


def _abandon_all() -> None:
    """A forked child lets go of arrays that its parent still holds: it must not say so to their senders."""
    for edge in list(_edges):
        edge.abandon()


os.register_at_fork(after_in_child=_abandon_all)


class Hold:
    """Keeps one chunk from being used again; owner of a received array's memory."""

    __slots__ = ("_edge", "_offset", "_size")

    def __init__(self, edge: ReceiveEdge, offset: int, size: int) -> None:
        self._edge = edge
        self._offset = offset
        self._size = size
        edge.held_bytes += size

    def __del__(self) -> None:
        edge = self._edge
        edge.held_bytes -= self._size
        edge.release(self._offset)
