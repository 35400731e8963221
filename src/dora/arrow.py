"""An Arrow array <-> the bytes of one message; the only user of pyarrow.

Strategy: a message's body is a few Arrow buffers, each 64-byte aligned, in one chunk.  Flat arrays, strings and
booleans are laid out by hand, because that is what control loops send and it costs microseconds; their type is
described once per output (an Arrow schema of one field) and named by its place in the arena.  Everything
else (nested, sliced strings, dictionaries, unions, views, extension types) is an Arrow IPC stream, which keeps every
type exactly (Apache Arrow columnar format, "IPC streaming format").

    encoding  body
    FLAT      values
    BITS      values, one bit each
    NULLS     values, then (at the next multiple of 64) the validity bitmap
    TEXT      n + 1 offsets of 4 or 8 bytes, then (at the next multiple of 64) the characters
    STREAM    an IPC stream with one batch of one column
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pyarrow as pa

from dora.errors import NodeError

FLAT: Final = 0
BITS: Final = 1
NULLS: Final = 2
TEXT: Final = 3
STREAM: Final = 4

_ALIGNMENT: Final = 64
_STREAM_IN_PLACE_FROM: Final = 256 * 1024
_CHECKED_WHOLLY_UP_TO: Final = 4096
"""bytes; up to here a body is a copy of the receiver's own, so that a check holds for good"""
_WRITES_LISTS_WRONGLY: Final = int(pa.__version__.split(".")[0]) < 21
"""with offsets that point past the values, when the first list does not begin at 0"""
_ACCEPTED: Final = (
    "an Arrow array (or anything with __arrow_c_array__), a RecordBatch, bytes, bytearray, memoryview or a numpy array"
)
_ONE_VALUE: Final = "`pa.array([data])`"
_HINTS: Final = {
    **dict.fromkeys((str, int, float, bool, dict), _ONE_VALUE),
    **dict.fromkeys((list, tuple, range), "`pa.array(data)`"),
    pa.ChunkedArray: "`data.combine_chunks()`",
    pa.Table: "`data.to_struct_array().combine_chunks()`",
}
"""what to send in place of such things"""
_HINTS_BY_ATTRIBUTE: Final = {
    "columns": "`pa.table(data).to_struct_array().combine_chunks()`",
    "__arrow_c_stream__": "`pa.array(data)`",
    "__arrow_array__": "`pa.array(data)`",
    "__array__": "`np.asarray(data)`",
}
"""the same for objects of other libraries: tables, series and arrays of pandas and polars, tensors"""


class InvalidDataError(NodeError, TypeError):
    """`send_output` was given something that has no clear meaning as an Arrow array."""


Copy = Callable[[int, Any, int], object]
"""copies `size` bytes from an address, or a bytes object, to an address: (target, source, size)"""
Writer = Callable[[int, Copy], None]


class Body(NamedTuple):
    """What is to be written into a chunk.

    Attributes:
        encoding: how the receiver reads it.
        size: bytes.
        length: elements.
        key: what the type description is cached under, or None: the body describes itself.
        type: the Arrow type.
        write: called with the chunk's address and a function that copies (target, source, size), or None:
        buffer: all of the body as one Arrow buffer, so that small ones are copied without a foreign call.
    """

    encoding: int
    size: int
    length: int
    key: Any
    type: Any
    write: Writer | None
    buffer: Any = None


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


_FLAT_TYPES: Final = {
    pa.Int8Array: pa.int8(),
    pa.Int16Array: pa.int16(),
    pa.Int32Array: pa.int32(),
    pa.Int64Array: pa.int64(),
    pa.UInt8Array: pa.uint8(),
    pa.UInt16Array: pa.uint16(),
    pa.UInt32Array: pa.uint32(),
    pa.UInt64Array: pa.uint64(),
    pa.HalfFloatArray: pa.float16(),
    pa.FloatArray: pa.float32(),
    pa.DoubleArray: pa.float64(),
    pa.Date32Array: pa.date32(),
    pa.Date64Array: pa.date64(),
}
FLAT_CLASSES: Final = {kind: (flat, flat.bit_width // 8) for kind, flat in _FLAT_TYPES.items()}
"""array classes whose type needs no parameters -> (type, bytes per element)"""
_TEXT_CLASSES: Final[dict[type, int]] = {
    pa.StringArray: 4,
    pa.BinaryArray: 4,
    pa.LargeStringArray: 8,
    pa.LargeBinaryArray: 8,
}
_UINT8: Final = pa.uint8()
_UINT64: Final = pa.uint64()


def _is_parametric_flat(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_temporal(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind)
    ) and not isinstance(kind, pa.BaseExtensionType)


def body_of(data: Any) -> Body:
    """Lay out anything that `send_output` accepts.  The data must not change until `write` was called.

    Raises:
        InvalidDataError: `data` is of another kind.
    """
    kind = type(data)
    flat = FLAT_CLASSES.get(kind)
    if flat is not None:
        validity, buffer = data.buffers()
        length = len(data)
        if validity is None and length:
            size = length * flat[1]
            if buffer.size == size:
                return Body(FLAT, size, length, kind, flat[0], None, buffer)
        return _fixed_width(data, kind, flat[1])
    if kind is bytes:
        return bytes_body(data, len(data), data)
    array = _as_array(data)
    return body_of(array) if array is not data else _body_of_array(data)


def _body_of_array(data: Any) -> Body:
    kind = type(data)
    if kind in _TEXT_CLASSES and data.offset == 0 and not data.null_count and len(data):
        return _text(data, _TEXT_CLASSES[kind])
    if _is_parametric_flat(data.type) and not isinstance(data, pa.ExtensionArray):
        return _fixed_width(data, data.type, data.type.bit_width // 8)
    if kind is pa.BooleanArray and data.offset == 0 and not data.null_count and len(data):
        size = -(-len(data) // 8)
        return Body(BITS, size, len(data), kind, data.type, _Copy(data.buffers()[1].address, size, data))
    if kind is pa.NullArray:
        return Body(FLAT, 0, len(data), kind, data.type, _nothing)
    return _stream(data)


class _Copy:
    """Copies bytes from an address (or a bytes object) into the chunk; keeps their owner alive."""

    __slots__ = ("_owner", "_size", "_source")

    def __init__(self, source: Any, size: int, owner: Any) -> None:
        self._source = source
        self._size = size
        self._owner = owner

    def __call__(self, address: int, copy: Copy) -> None:
        if self._size:
            copy(address, self._source, self._size)


def _nothing(address: int, copy: Copy) -> None:
    """There are no bytes."""


def bytes_body(source: Any, size: int, owner: Any) -> Body:
    """`size` bytes at an address (or a bytes object) as a uint8 array."""
    return Body(FLAT, size, size, pa.UInt8Array, _UINT8, _Copy(source, size, owner))


def _as_array(data: Any) -> Any:
    if isinstance(data, pa.Array):
        return data
    if isinstance(data, (bytearray, memoryview)):
        view = memoryview(data)
        return pa.UInt8Array.from_buffers(_UINT8, view.nbytes, [None, pa.py_buffer(_contiguous(view))])
    if isinstance(data, pa.RecordBatch):
        return data.to_struct_array()
    if _is_of_numpy(data, "ndarray"):
        if not data.shape:
            raise InvalidDataError("invalid `data`: a numpy array without dimensions; send `array.reshape(1)`")
        try:
            return pa.array(data.ravel())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise InvalidDataError(f"invalid `data`: numpy array of dtype {data.dtype} has no Arrow type") from error
    if hasattr(data, "__arrow_c_array__") and not isinstance(data, pa.Scalar):
        return pa.array(data)
    raise InvalidDataError(
        f"invalid `data` type, must be `PyBytes` or arrow array: found {type(data).__module__}."
        f"{type(data).__qualname__}, expected {_ACCEPTED}{_hint(data)}"
    )


def _hint(data: Any) -> str:
    hint = _HINTS.get(type(data), "")
    if not hint and (isinstance(data, pa.Scalar) or _is_of_numpy(data, "generic")):
        hint = _ONE_VALUE
    elif not hint and not isinstance(data, type):
        hint = next((hint for name, hint in _HINTS_BY_ATTRIBUTE.items() if hasattr(data, name)), "")
    return f"; send {hint}" if hint else ""


def _is_of_numpy(data: Any, name: str) -> bool:
    """Of that class or a subclass (of arrays: masked, recarray, memmap); without loading numpy."""
    return any(kind.__module__ == "numpy" and kind.__name__ == name for kind in type(data).__mro__)


def array_of(data: Any) -> Any:
    """Anything that `send_output` accepts as the array that a receiver in this same process gets; nothing is copied.

    Raises:
        InvalidDataError: `data` is of another kind.
    """
    if type(data) is bytes:
        return pa.UInt8Array.from_buffers(_UINT8, len(data), [None, pa.py_buffer(data)])
    return _as_array(data)


def raw_bytes(array: Any) -> bytes:
    """The payload as dora 0.1 knew it: the one binary or text element, else the values as they lie in memory."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    is_text = pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)
    is_text = is_text or pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    if is_text and len(array) == 1:
        value = array[0].as_py()
        return value.encode() if isinstance(value, str) else value or b""
    if _has_width(array.type) and array.type.bit_width >= 8:
        width = array.type.bit_width // 8
        values = array.buffers()[1]
        return b"" if values is None else bytes(memoryview(values)[array.offset * width :][: len(array) * width])
    buffers = [buffer for buffer in array.buffers() if buffer is not None]
    return buffers[-1].to_pybytes() if buffers else b""


def _contiguous(view: memoryview) -> Any:
    return view if view.c_contiguous else view.tobytes()


def _fixed_width(data: Any, key: Any, width: int) -> Body:
    length = len(data)
    size = length * width
    if not size:
        return Body(FLAT, 0, length, key, data.type, _nothing) if width else _stream(data)
    buffers = data.buffers()
    source = buffers[1].address + data.offset * width
    if not data.null_count:
        return Body(FLAT, size, length, key, data.type, _Copy(source, size, data))
    if data.offset:
        return _stream(data)
    at = _padded(size)
    bitmap_bytes = -(-length // 8)
    return Body(
        NULLS,
        at + bitmap_bytes,
        length,
        key,
        data.type,
        _both(_Copy(source, size, data), at, _Copy(buffers[0].address, bitmap_bytes, data)),
    )


def _both(first: _Copy, at: int, second: _Copy) -> Writer:
    def write(address: int, copy: Copy) -> None:
        first(address, copy)
        second(address + at, copy)

    return write


def _text(data: Any, offset_bytes: int) -> Body:
    length = len(data)
    _, offsets, characters = data.buffers()
    head = (length + 1) * offset_bytes
    end = int.from_bytes(ctypes.string_at(offsets.address + length * offset_bytes, offset_bytes), "little")
    at = _padded(head)
    text = _Copy(characters.address if end else 0, end, data)
    write = _both(_Copy(offsets.address, head, data), at, text)
    return Body(TEXT, at + end, length, type(data), data.type, write)


def _stream(data: Any) -> Body:
    if _WRITES_LISTS_WRONGLY and _has(data.type, _is_list):
        data = pa.concat_arrays([data[:0], data])  # makes every list begin at 0
    batch = pa.RecordBatch.from_arrays([data], schema=pa.schema([pa.field("", data.type)]))
    if data.get_total_buffer_size() < _STREAM_IN_PLACE_FROM or _has(data.type, pa.types.is_dictionary):
        sink = pa.BufferOutputStream()
        _write_stream(sink, batch)
        buffer = sink.getvalue()
        return Body(STREAM, buffer.size, len(data), None, data.type, _Copy(buffer.address, buffer.size, buffer))
    counter = pa.MockOutputStream()
    _write_stream(counter, batch)
    size = counter.size()

    def write(address: int, copy: Copy) -> None:
        chunk = (ctypes.c_char * size).from_address(address)
        _write_stream(pa.FixedSizeBufferWriter(pa.py_buffer(chunk)), batch)

    return Body(STREAM, size, len(data), None, data.type, write)


def _has(kind: Any, is_wanted: Callable[[Any], bool]) -> bool:
    """Whether the type or one within it is of that kind."""
    if isinstance(kind, pa.BaseExtensionType):
        return _has(kind.storage_type, is_wanted)
    return is_wanted(kind) or any(_has(kind.field(i).type, is_wanted) for i in range(kind.num_fields))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind))


def _write_stream(sink: Any, batch: Any) -> None:
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)


def text_decoder() -> Decoder:
    """The decoder for one-element string arrays that were written without pyarrow (log lines)."""
    return decoder_of(describe_type(pa.string()))


def describe_type(kind: Any) -> bytes:
    """The type as bytes, for `decoder_of`."""
    # malloc: the pool of Arrow takes 2 MB with its first byte, and many nodes need none of it
    return bytes(pa.schema([pa.field("", kind)]).serialize(pa.system_memory_pool()))


Decoder = Callable[[int, int, Any], Any]
"""(encoding, elements, body buffer) -> array"""


def decoder_of(description: bytes) -> Decoder:
    """The function that turns bodies of that type into arrays; it raises ValueError for a body that is too short.

    What a sender wrote must not crash its readers: lengths and the ends of offsets are always checked, the offsets
    within and the text only where the body is small, because that takes time in proportion to it.
    """
    kind = pa.ipc.read_schema(pa.py_buffer(description)).field(0).type
    if kind.num_fields or pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        raise ValueError(f"a body of type {kind} describes itself")
    from_buffers = pa.Array.from_buffers
    width = kind.bit_width // 8 if _has_width(kind) else 0
    offset_bytes = 8 if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind) else 4

    def decode(encoding: int, length: int, body: Any) -> Any:
        if encoding == FLAT:
            if length * width > body.size:
                raise _too_short(length, kind, body)
            return from_buffers(kind, length, [None, body] if width else [None])
        if encoding == BITS:
            if length > body.size * 8:
                raise _too_short(length, kind, body)
            return from_buffers(kind, length, [None, body])
        if encoding == NULLS:
            at = _padded(length * width)
            if at + -(-length // 8) > body.size:
                raise _too_short(length, kind, body)
            return from_buffers(kind, length, [body.slice(at), body.slice(0, length * width)])
        head = (length + 1) * offset_bytes
        if encoding != TEXT or head > body.size:
            raise _too_short(length, kind, body)
        characters = body.slice(min(_padded(head), body.size))
        return _checked(from_buffers(kind, length, [None, body.slice(0, head), characters]), body.size)

    return decode


def _too_short(length: int, kind: Any, body: Any) -> ValueError:
    return ValueError(f"{length} elements of type {kind} do not fit into {body.size} bytes")


def _checked(array: Any, size: int) -> Any:
    array.validate(full=size <= _CHECKED_WHOLLY_UP_TO)
    return array


def _has_width(kind: Any) -> bool:
    try:
        return bool(kind.bit_width)
    except ValueError:
        return False


def decode_stream(body: Any) -> Any:
    """The array in an IPC stream; its buffers stay in `body`."""
    return _checked(pa.ipc.open_stream(body).read_next_batch().column(0), body.size)


small_buffer: Final = pa.py_buffer
"""small_buffer(bytes): a buffer over bytes that are ours"""
foreign_buffer: Final = pa.foreign_buffer
"""foreign_buffer(address, size, owner): a read-only buffer over memory that `owner` keeps"""


def int8_array(data: bytes) -> Any:
    """Bytes as an int8 array (the form of a CUDA memory handle)."""
    return pa.Int8Array.from_buffers(pa.int8(), len(data), [None, pa.py_buffer(data)])


def tick_value(count: int) -> Any:
    """The value of a timer's tick: uint64[1]."""
    return pa.UInt64Array.from_buffers(_UINT64, 1, [None, pa.py_buffer(count.to_bytes(8, sys.byteorder))])
