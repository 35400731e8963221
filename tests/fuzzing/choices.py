"""Bytes that somebody chose at random, as the choices that a fuzz target makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Gives numbers and bytes until there are none left; then zeros and nothing.

    The same bytes give the same choices, so a failure is repeated by its bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Nothing is left to choose from."""
        return self._at >= len(self._data)

    def bytes(self, most: int) -> bytes:
        """At most that many."""
        found = self._data[self._at : self._at + most]
        self._at += len(found)
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self.bytes(len(self._data))

    def below(self, limit: int) -> int:
        """A number from 0 on."""
        return int.from_bytes(self.bytes(2), "little") % limit

    def word(self, bits: int) -> int:
        """A number of that many bits: often a small one or one near a power of two, where mistakes live."""
        kind = self.below(4)
        if kind == 0:
            return self.below(16)
        if kind == 1:
            return self.below(1 << 14)
        if kind == 2:
            return ((1 << self.below(bits + 1)) + self.below(5) - 2) & ((1 << bits) - 1)
        return int.from_bytes(self.bytes(bits // 8), "little")

    def one(self, of: Sequence[T]) -> T:
        """One of these."""
        return of[self.below(len(of))]

    def mutated(self, good: bytes) -> bytes:
        """Something that was right, with a few bytes changed, removed, doubled or cut off."""
        data = bytearray(good)
        for _ in range(self.below(6)):
            at = self.below(len(data) + 1)
            change = self.below(5)
            if change == 0:
                data[at : at + 1] = self.bytes(1)
            elif change == 1:
                del data[at : at + self.below(9)]
            elif change == 2:
                data[at:at] = data[at : at + self.below(40)]
            elif change == 3:
                data[at : at + 8] = self.word(64).to_bytes(8, "little")
            else:
                del data[at:]
        return bytes(data)
