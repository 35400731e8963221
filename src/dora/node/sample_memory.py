"""The memory behind a sample, and how a sample that is gone says so; shared by both kinds of exporter."""

from __future__ import annotations

import ctypes
from typing import Any, Final

GONE: Final = "Cannot acquire buffer view: the parent SampleHandler has been sent or dropped"
_Memory: Final = ctypes.c_ubyte * (1 << 46)


def memory_view(address: int, size: int, owner: object) -> memoryview:
    """A writable view of `size` bytes at `address`, format B, that keeps `owner` alive."""
    memory = _Memory.from_address(address)
    memory.owner = owner  # type: ignore[attr-defined]  # the array's own dict keeps the owner alive
    return memoryview(memory).cast("B")[:size]


def refuse_array(self: object, *args: object, **kwargs: object) -> Any:
    """`__array__` of a dead buffer; without it numpy would box the object and say nothing."""
    raise BufferError(GONE)
