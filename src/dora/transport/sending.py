"""The sender's side of an edge, and of all edges of one output.

Strategy: the sender also holds the read end of each queue pipe, so when a queue is full it takes the oldest
record back itself: drop-oldest is exact under any stall, and the chunk is free at once.  It counts how
many records ago it wrote a correlated one; with FIONREAD it then knows, without popping, whether one is queued.  In
that case, or on flush, it drains the pipe with one read and writes survivors and newcomer with one write, so that no
reader sees them out of order.  Waiting for room is the node's business; nothing here blocks.
"""

from __future__ import annotations

import ctypes
import os
import select
from typing import Final

from dora.transport import libc
from dora.transport.arena import Arena
from dora.transport.counters import EDGE_BYTES_SENT, EDGE_DROPPED, EDGE_LAST_SEND_NS, EDGE_SENT, EDGE_WAITING, WORD_MASK
from dora.transport.pipes import CORRELATED, FLUSH, RECORD, RECORD_BYTES, WORD

_NEVER: Final = 1 << 62
_LARGEST_BATCH: Final = 64
_count = ctypes.c_int()
_count_at: Final = ctypes.addressof(_count)


def queued_records(queue_read: int) -> int:
    """Length of a queue, exactly (keeps the GIL, so the shared result word is safe)."""
    libc.ioctl(queue_read, libc.FIONREAD, _count_at)
    return _count.value // RECORD_BYTES


class SendEdge:
    """One edge, seen by its sender.  The output's lock guards it."""

    def __init__(
        self, number: int, fds: tuple[int, int, int], arena: Arena, counters: tuple[memoryview, int], queue_size: int
    ) -> None:
        """Take over `fds` (queue read, queue write, release read); `counters`: the page, the edge's place in it."""
        self.number: Final = number
        self.queue_read, self.queue_write, self.release_read = fds
        self.queue_size: Final = queue_size
        self.is_lossless = False
        self.is_stated = False
        self.reader = ""
        self.input = ""
        self.is_hung_up = False
        self._arena: Final = arena
        self._words, self._at = counters
        self.held: set[int] = set()
        self._since_correlated = _NEVER
        self._queued = 0
        self._batch = max(1, min(_LARGEST_BATCH, queue_size // 4))
        self._scratch = ctypes.create_string_buffer(max(RECORD_BYTES * (queue_size + 1), libc.PIECE_BYTES))
        self._scratch_at = ctypes.addressof(self._scratch)
        self._count = ctypes.c_int()
        self._count_at = ctypes.addressof(self._count)

    def has_room(self) -> bool:
        """Whether one more record fits; asks the kernel only when the own count says full."""
        if self._queued < self.queue_size:
            return True
        self._count_queued()
        return self._queued < self.queue_size

    def _count_queued(self) -> None:
        libc.ioctl(self.queue_read, libc.FIONREAD, self._count_at)
        self._queued = self._count.value // RECORD_BYTES

    def set_waiting(self, is_waiting: bool) -> None:
        """Ask the reader for a word on the release pipe when it takes records.

        A reader that takes them quickly says so once per batch of a quarter of the queue: else each message of a flood
        would cost two process switches.
        """
        self._words[self._at + EDGE_WAITING] = self._batch if is_waiting else 0

    def push(self, record: bytes, offset: int, size: int, flags: int, now_ns: int) -> bool:
        """Queue a record that was made in the arena chunk `offset`; drops by the queue's rule when it is full.

        Returns whether this edge holds the chunk now.
        """
        words = self._words
        at = self._at
        words[at + EDGE_SENT] = (words[at + EDGE_SENT] + 1) & WORD_MASK
        words[at + EDGE_BYTES_SENT] = (words[at + EDGE_BYTES_SENT] + size) & WORD_MASK
        words[at + EDGE_LAST_SEND_NS] = now_ns
        if flags & FLUSH or (self._queued >= self.queue_size and not self._make_room()):
            return self._rewrite(record, offset, flags)
        if libc.thread_count():
            libc.write(self.queue_write, record, RECORD_BYTES)
        else:
            os.write(self.queue_write, record)  # never refused: the pipe is sized for its queue
        self._queued += 1
        self._since_correlated = 0 if flags & CORRELATED else self._since_correlated + 1
        self.held.add(offset)
        return True

    def count_lost(self, size: int) -> None:
        """A message that was given up before it was queued: sent and dropped."""
        self._add(EDGE_SENT, 1)
        self._add(EDGE_BYTES_SENT, size)
        self._add(EDGE_DROPPED, 1)

    def _add(self, word: int, count: int) -> None:
        at = self._at + word
        self._words[at] = (self._words[at] + count) & WORD_MASK

    def _make_room(self) -> bool:
        """Pop the oldest records until one fits; False when correlated ones are queued (then rewrite)."""
        self._count_queued()
        if self._queued < self.queue_size:
            return True
        if self._since_correlated < self._queued:
            return False
        while self._queued >= self.queue_size:
            if libc.read(self.queue_read, self._scratch_at, RECORD_BYTES) != RECORD_BYTES:
                self._queued = 0
                break
            self._forget(RECORD.unpack_from(self._scratch)[1])
            self._queued -= 1
        return True

    def _forget(self, offset: int) -> None:
        self._add(EDGE_DROPPED, 1)
        self.held.discard(offset)
        self._arena.drop(offset)

    def _take_back(self) -> list[bytes]:
        """Everything that is queued, with one read."""
        got = libc.read(self.queue_read, self._scratch_at, RECORD_BYTES * (self.queue_size + 1))
        raw = self._scratch.raw[: max(got, 0)]
        return [raw[start : start + RECORD_BYTES] for start in range(0, len(raw), RECORD_BYTES)]

    def _rewrite(self, record: bytes, offset: int, flags: int) -> bool:
        """Correlated records outlive plain ones; a flush discards all older plain ones (dora node-api, section 5)."""
        queue = [(item, *_offset_and_flags(item)) for item in self._take_back()]
        queue.append((record, offset, flags))
        keep = [entry for entry in queue[:-1] if entry[2] & CORRELATED or not flags & FLUSH] + queue[-1:]
        while len(keep) > self.queue_size:
            plain = next((entry for entry in keep if not entry[2] & CORRELATED), keep[0])
            keep.remove(plain)
        kept = {id(entry) for entry in keep}
        for entry in queue[:-1]:
            if id(entry) not in kept:
                self._forget(entry[1])
        self._write_all([entry[0] for entry in keep])
        positions = [index for index, entry in enumerate(reversed(keep)) if entry[2] & CORRELATED]
        self._since_correlated = positions[0] if positions else _NEVER
        if id(queue[-1]) in kept:
            self.held.add(offset)
            return True
        self._add(EDGE_DROPPED, 1)
        return False

    def _write_all(self, records: list[bytes]) -> None:
        if records:
            libc.write(self.queue_write, b"".join(records), RECORD_BYTES * len(records))
        self._queued = len(records)

    def reclaim(self) -> None:
        """Take note of what the reader is done with."""
        held = self.held
        while held and (words := libc.read_some(self.release_read, self._scratch_at)):
            for (offset,) in WORD.iter_unpack(words[: len(words) & ~7]):
                if offset in held:  # `TAKEN` is not
                    held.discard(offset)
                    self._arena.drop(offset)
            if len(words) < libc.PIECE_BYTES:
                break

    def inherit(self, dead: SendEdge) -> None:
        """Take over what is still queued on the edge of a dead reader; free what that reader held."""
        dead.reclaim()
        records = dead._take_back()
        for record in records[: -self.queue_size]:
            dead._forget(_offset_and_flags(record)[0])
        records = records[-self.queue_size :]
        queued = [_offset_and_flags(record) for record in records]
        for offset, _ in queued:
            if offset in dead.held:
                dead.held.discard(offset)
                self.held.add(offset)
        self._write_all(records)
        self._since_correlated = 0 if any(flags & CORRELATED for _, flags in queued) else _NEVER

    def retire(self) -> None:
        """Nothing more is written: the reader sees EOF behind what is queued.  Ask `is_over` now and then."""
        os.close(self.queue_write)
        self.queue_write = -1
        self.set_waiting(False)

    def is_over(self) -> bool:
        """Whether the reader of a retired edge needs nothing of it any more; all of it is given back then.

        What the reader never took, because it had closed the input before, counts as dropped.
        """
        self.reclaim()
        if self.held and not self._is_abandoned():
            return False
        self._add(EDGE_DROPPED, queued_records(self.queue_read))
        self.close()
        return True

    def _is_abandoned(self) -> bool:
        """The reader has let go of its end."""
        poll = select.poll()
        poll.register(self.release_read, 0)
        return bool(poll.poll(0))

    def close(self) -> None:
        """The reader is gone for good: take everything back."""
        for offset in self.held:
            self._arena.drop(offset)
        self.held.clear()
        self.set_waiting(False)
        self.close_fds()

    def close_fds(self) -> None:
        """Close this process's ends; the reader then sees EOF behind what is queued."""
        for fd in (self.queue_read, self.queue_write, self.release_read):
            if fd >= 0:
                os.close(fd)
        self.queue_read = self.queue_write = self.release_read = -1


def _offset_and_flags(record: bytes) -> tuple[int, int]:
    fields = RECORD.unpack(record)
    return fields[1], fields[8]
