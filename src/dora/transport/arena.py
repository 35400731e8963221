"""The sender's side of one output's shared memory: chunks, and who still uses them.

Strategy: chunks are powers of two of at least 4 KiB (so 64-byte aligned), handed out by the sender only, kept in plain
dicts, last freed first used: a rotation through cold chunks costs twice the copy.  Free chunks beyond a budget
are given back to the kernel with MADV_REMOVE and then go to the cold end.  A chunk is free when nobody
refers to it: each edge counts as one while the record is queued or its reader holds the array.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Final

from dora.transport import libc

_SMALLEST_CLASS: Final = 12
_SMALLEST_BYTES: Final = 1 << _SMALLEST_CLASS
_KEEP_FREE_BYTES: Final = 256 << 20
_SPARE_UP_TO: Final = 16
_SPARES: Final = 7


class Arena:
    """Chunks of one memfd.  Not thread-safe: the output's lock guards it.

    Attributes:
        address: where the arena is mapped in this process.
        view: the same as unsigned bytes, `signed_view` as signed ones.
    """

    def __init__(self, fd: int, size_bytes: int) -> None:
        """Map the memfd; takes `fd` over and closes it."""
        self._is_mapped = False
        try:
            self.address: Final = libc.map_shared(fd, size_bytes, writable=True)
        finally:
            os.close(fd)
        self.view: Final = libc.view_of(self.address, size_bytes)
        self.signed_view: Final = self.view.cast("b")  # the format of pyarrow buffers
        self._size_bytes = size_bytes
        self._top = 0
        self._free: dict[int, deque[int]] = {}
        self._class_of: dict[int, int] = {}
        self._references: dict[int, int] = {}
        self._cold: set[int] = set()
        self._free_bytes = 0
        self._is_mapped = True

    @staticmethod
    def class_of(size: int) -> int:
        """The chunk class (binary logarithm of its size) for that many bytes."""
        return max(_SMALLEST_CLASS, (size - 1).bit_length())

    def take_free(self, size: int) -> int:
        """Take a freed chunk for `size` bytes, held once by the caller; -1: there is none."""
        chunk_class = (size - 1).bit_length() if size > _SMALLEST_BYTES else _SMALLEST_CLASS
        free = self._free.get(chunk_class)
        if not free:
            return -1
        offset = free.pop()
        if offset in self._cold:
            self._cold.discard(offset)
        else:
            self._free_bytes -= 1 << chunk_class
        self._references[offset] = 1
        return offset

    def allocate(self, size: int) -> int:
        """Take a chunk for `size` bytes, held once by the caller; returns its offset.

        Raises:
            MemoryError: the arena is full.
        """
        offset = self.take_free(size)
        if offset >= 0:
            return offset
        chunk_class = self.class_of(size)
        offset = self._top
        if offset + (1 << chunk_class) > self._size_bytes:
            raise MemoryError(f"no room for a message of {size} bytes: {self._why_full(size, offset)}")
        self._top = offset + (1 << chunk_class)
        self._class_of[offset] = chunk_class
        if chunk_class <= _SPARE_UP_TO:
            self._add_spares(chunk_class)
        self._references[offset] = 1
        return offset

    def _why_full(self, size: int, used: int) -> str:
        if size > self._size_bytes:
            return f"an output has {self._size_bytes} bytes in all"
        return f"{used} of {self._size_bytes} bytes of this output are in use (a reader keeps too many arrays)"

    def _add_spares(self, chunk_class: int) -> None:
        """A few chunks more, so that the sender need not look at the release pipes for every small message."""
        free = self._free.setdefault(chunk_class, deque())
        for _ in range(_SPARES):
            if self._top + (1 << chunk_class) <= self._size_bytes:
                self._class_of[self._top] = chunk_class
                self._cold.add(self._top)
                free.append(self._top)
                self._top += 1 << chunk_class

    def hand_over(self, offset: int, holders: int) -> None:
        """The caller's hold becomes that of so many readers, or none."""
        self._references[offset] = holders or 1
        if not holders:
            self.drop(offset)

    def drop(self, offset: int) -> None:
        """One user less; the last one frees the chunk."""
        left = self._references[offset] - 1
        if left:
            self._references[offset] = left
            return
        del self._references[offset]
        chunk_class = self._class_of[offset]
        free = self._free.get(chunk_class)
        if free is None:
            free = self._free[chunk_class] = deque()
        size = 1 << chunk_class
        if free and self._free_bytes + size > _KEEP_FREE_BYTES:
            libc.madvise(self.address + offset, size, libc.MADV_REMOVE)
            self._cold.add(offset)
            free.appendleft(offset)
        else:
            self._free_bytes += size
            free.append(offset)

    @property
    def used_chunks(self) -> int:
        """Chunks that somebody refers to."""
        return len(self._references)

    def close(self, unmap: Callable[[int, int], None] = libc.unmap) -> None:  # bound early: interpreter exit
        """Unmap.  Readers keep their own mapping."""
        if self._is_mapped:
            self._is_mapped = False
            unmap(self.address, self._size_bytes)

    __del__ = close
