"""What a receiver gets of an array: laid out, written into shared memory, read back."""

from __future__ import annotations

import ctypes
from typing import Any

from dora import arrow
from dora.transport import libc

_ALIGNMENT = 64


class Memory:
    """Room for a message at a 64-byte boundary, with rubbish in it."""

    def __init__(self, size: int) -> None:
        self._room = ctypes.create_string_buffer(b"\xa5" * (size + _ALIGNMENT))
        start = ctypes.addressof(self._room)
        self.address = start + -start % _ALIGNMENT


def written(body: arrow.Body) -> Memory:
    """The body in memory, as an output puts it there."""
    memory = Memory(body.size)
    if body.write is not None:
        body.write(memory.address, libc.copy)
    elif body.size:
        ctypes.memmove(memory.address, body.buffer.address, body.size)
    return memory


def round_trip(data: Any, *, copied: bool = False) -> Any:
    """The array as a receiver has it: mapped, or copied out as small ones are."""
    body = arrow.body_of(data)
    memory = written(body)
    if copied:
        buffer = arrow.small_buffer(ctypes.string_at(memory.address, body.size))
    else:
        buffer = arrow.foreign_buffer(memory.address, body.size, memory)
    if body.encoding == arrow.STREAM:
        return arrow.decode_stream(buffer)
    return arrow.decoder_of(arrow.describe_type(body.type))(body.encoding, body.length, buffer)


def assert_same(found: Any, sent: Any) -> None:
    """Exactly the type and the values; a fresh array of its own."""
    assert found.type.equals(sent.type, check_metadata=True), f"{found.type} != {sent.type}"
    found.validate(full=True)
    assert (found.offset, len(found), found.null_count) == (0, len(sent), sent.null_count)
    assert found.equals(sent) or repr(found.to_pylist()) == repr(sent.to_pylist())  # NaN does not equal itself
