"""The memory behind a sample, whose it is, and how a sample that is gone says so; shared by both kinds of exporter."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

GONE: Final = "Cannot acquire buffer view: the parent SampleHandler has been sent or dropped"
_Memory: Final = ctypes.c_ubyte * (1 << 46)
_probe: Final = ctypes.create_string_buffer(8)
PROBE_ADDRESS: Final = ctypes.addressof(_probe)
"""For a buffer that nobody looks at, from which the exporters learn how many references are their own."""


class Chunk:
    """Memory of a message that is filled in place.

    It is its sender's until the output sets `is_sent`, and it is given back when the last view of it is gone.

    Attributes:
        offset: its name at the output.
        address: where it begins.
    """

    __slots__ = ("_give_back", "address", "is_sent", "offset")

    def __init__(self, give_back: Callable[[int], None], offset: int, address: int) -> None:
        self._give_back = give_back
        self.offset = offset
        self.address = address
        self.is_sent = False

    def __del__(self) -> None:
        if not self.is_sent:
            self._give_back(self.offset)


def memory_view(address: int, size: int, owner: object) -> memoryview:
    """A writable view of `size` bytes at `address`, format B, that keeps `owner` alive."""
    memory = _Memory.from_address(address)
    memory.owner = owner  # type: ignore[attr-defined]  # the array's own dict keeps the owner alive
    return memoryview(memory).cast("B")[:size]


def refuse(self: object) -> Any:
    """What a dead buffer says to whoever wants to look."""
    raise BufferError(GONE)


def refuse_array(self: object, *args: object, **kwargs: object) -> Any:
    """`__array__` of a dead buffer; without it numpy would box the object and say nothing."""
    raise BufferError(GONE)
