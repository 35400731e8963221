"""One array of every kind that `send_output` takes; copied beside the nodes that send and check them."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa

_NESTED_EMPTY = pa.struct([("inner", pa.struct([]))])


class Angle(pa.ExtensionType):  # type: ignore[misc]
    """An extension type of our own."""

    def __init__(self) -> None:
        super().__init__(pa.float32(), "example.angle")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> Angle:
        return cls()


pa.register_extension_type(Angle())

ARRAYS: dict[str, Any] = {
    "null": pa.nulls(3),
    "empty list": pa.array([]),
    "float32[0]": pa.array([], pa.float32()),
    "string[0]": pa.array([], pa.string()),
    "struct of an empty struct": pa.array([{"inner": {}}, None], _NESTED_EMPTY),
    "struct of an empty struct[0]": pa.array([], _NESTED_EMPTY),
    "list<float32>[0]": pa.array([], pa.list_(pa.float32())),
    "int8 with nulls": pa.array([1, None, -3], pa.int8()),
    "uint64": pa.array([0, 2**64 - 1], pa.uint64()),
    "float16": pa.array(np.array([1.5, -2], np.float16)),
    "float64 sliced": pa.array([1.0, 2.0, None, 4.0, 5.0])[1:4],
    "bool with nulls": pa.array([True, None, False] * 5),
    "bool sliced": pa.array([True, False] * 20)[3:30],
    "string": pa.array(["a", None, "", "žluť"]),
    "string sliced": pa.array(["zero", "one", "two", "three"])[1:3],
    "large string": pa.array(["x" * 9, "y"], pa.large_string()),
    "string view": pa.array(["short", "longer than twelve bytes"], pa.string_view()),
    "binary": pa.array([b"\0\1", None]),
    "fixed size binary": pa.array([b"abc", b"def"], pa.binary(3)),
    "timestamp": pa.array([0, None, 10**15], pa.timestamp("us", tz="Europe/Prague")),
    "date32": pa.array([0, 20000], pa.date32()),
    "time64": pa.array([1, 2], pa.time64("ns")),
    "duration": pa.array([5, None], pa.duration("ms")),
    "interval": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "decimal128": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(10, 2)),
    "list with nulls": pa.array([[1, None], None, [], [2]], pa.list_(pa.int16())),
    "list sliced": pa.array([[1, 2], [3], [4, 5, 6]], pa.list_(pa.int64()))[1:],
    "large list": pa.array([["a"], []], pa.large_list(pa.string())),
    "fixed size list": pa.array([[1, 2, 3], None], pa.list_(pa.float32(), 3)),
    "list view": pa.array([[1], [2, 3]], pa.list_view(pa.int32())),
    "map": pa.array([[("k", 1), ("l", None)], None], pa.map_(pa.string(), pa.int32())),
    "struct": pa.array([{"x": 1.5, "y": ["a"]}, None, {"x": None, "y": None}]),
    "struct sliced": pa.array([{"x": i, "y": {"z": str(i)}} for i in range(9)])[2:5],
    "struct with a field that is not nullable": pa.StructArray.from_arrays(
        [pa.array([1, 2])], fields=[pa.field("x", pa.int64(), nullable=False, metadata={"unit": "m"})]
    ),
    "dictionary": pa.array(["red", "blue", None, "red"]).dictionary_encode(),
    "struct of a dictionary": pa.StructArray.from_arrays([pa.array(["a", "b", "a"]).dictionary_encode()], ["d"]),
    "run end encoded": pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int32()), pa.array([1.0, None])),
    "sparse union": pa.UnionArray.from_sparse(
        pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
    ),
    "dense union": pa.UnionArray.from_dense(
        pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["b"])]
    ),
    "extension": pa.ExtensionArray.from_storage(Angle(), pa.array([0.5, None], pa.float32())),
    "fixed shape tensor": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int32(), [2, 2]), pa.array([[1, 2, 3, 4]], pa.list_(pa.int32(), 4))
    ),
    "large and nested": pa.array([{"image": list(range(40_000)), "name": "a"}] * 3),
}
"""what is sent -> what must arrive is equal to it, of the same type"""

OTHERS: dict[str, tuple[Any, Any]] = {
    "bytes": (b"abc", pa.array([97, 98, 99], pa.uint8())),
    "0 bytes": (b"", pa.array([], pa.uint8())),
    "bytearray": (bytearray(b"ab"), pa.array([97, 98], pa.uint8())),
    "memoryview": (memoryview(b"xyz")[1:], pa.array([121, 122], pa.uint8())),
    "numpy": (np.array([[1, 2], [3, 4]], np.int16), pa.array([1, 2, 3, 4], pa.int16())),
    "numpy of no elements": (np.zeros((0, 3), np.float32), pa.array([], pa.float32())),
    "record batch": (pa.record_batch({"x": [1, 2]}), pa.array([{"x": 1}, {"x": 2}])),
}
"""what is sent, what must arrive"""

MESSAGES: list[tuple[str, Any, Any]] = [(name, array, array) for name, array in ARRAYS.items()]
MESSAGES += [(name, sent, expected) for name, (sent, expected) in OTHERS.items()]
