"""Every Arrow type arrives exactly as it was sent (dora node-api, section 6)."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arrow_round_trip import assert_same, round_trip
from arrow_strategies import arrays
from dora import arrow

BIG = 10_000
"""elements of an array that is more than 4 KiB"""


def since(version: int) -> Any:
    """The type exists from that pyarrow version on."""
    return pytest.mark.skipif(int(pa.__version__.split(".")[0]) < version, reason=f"pyarrow {version}")


class Celsius(pa.ExtensionType):
    """A type of the user's own."""

    def __init__(self) -> None:
        super().__init__(pa.float64(), "test.celsius")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"v1"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Celsius:
        return cls()


@pytest.fixture
def celsius() -> Any:
    """The registered type."""
    pa.register_extension_type(Celsius())
    yield Celsius()
    pa.unregister_extension_type("test.celsius")


def dense_union() -> Any:
    types, offsets = pa.array([0, 1, 0, 1], pa.int8()), pa.array([0, 0, 1, 1], pa.int32())
    return pa.UnionArray.from_dense(types, offsets, [pa.array([1, 2]), pa.array(["a", "b"])], ["n", "s"])


def sparse_union() -> Any:
    types = pa.array([0, 1, 0], pa.int8())
    return pa.UnionArray.from_sparse(types, [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])])


def struct_with_metadata() -> Any:
    kind = pa.struct([pa.field("x", pa.int32(), nullable=False, metadata={"unit": "m"}), pa.field("y", pa.string())])
    return pa.array([{"x": 1, "y": "a"}, {"x": 2, "y": None}], kind)


NUMBERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
NUMBERS += [pa.float32(), pa.float64()]
INSTANT = datetime.datetime(2024, 5, 17, 12, 30, 1, 250_000, datetime.timezone.utc)
ARRAYS: dict[str, Callable[[], Any]] = {
    **{str(kind): lambda kind=kind: pa.array([1, 0, 100], kind) for kind in NUMBERS},
    "float16": lambda: pa.array(np.array([1.5, -2.0], np.float16)),
    "bool": lambda: pa.array([True, False] * 9),
    "string": lambda: pa.array(["alice", "", "b\u00f6b", "\U0001f600"]),
    "large_string": lambda: pa.array(["alice", ""], pa.large_string()),
    "binary": lambda: pa.array([b"\0\xff", b""]),
    "large_binary": lambda: pa.array([b"\0\xff", b""], pa.large_binary()),
    "fixed_size_binary": lambda: pa.array([b"abc", b"def"], pa.binary(3)),
    "fixed_size_binary of nothing": lambda: pa.array([b"", b""], pa.binary(0)),
    "null": lambda: pa.nulls(3),
    "struct": struct_with_metadata,
    "struct of structs": lambda: pa.array([{"a": {"b": [1, None]}}, None]),
    "struct without fields": lambda: pa.array([{}, {}], pa.struct([])),
    "list": lambda: pa.array([[1, 2], [], None, [None]]),
    "large_list": lambda: pa.array([[1.0], []], pa.large_list(pa.float32())),
    "fixed_size_list": lambda: pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
    "map": lambda: pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "dictionary": lambda: pa.array(["x", "y", "x", None]).dictionary_encode(),
    "ordered dictionary": lambda: pa.DictionaryArray.from_arrays(
        pa.array([1, 0], pa.int8()), ["lo", "hi"], ordered=True
    ),
    "list of dictionaries": lambda: pa.array([["x"], ["y", "x"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    "run_end_encoded": lambda: pa.RunEndEncodedArray.from_arrays([2, 5], pa.array([7, None])),
    "dense_union": dense_union,
    "sparse_union": sparse_union,
    "timestamp": lambda: pa.array([INSTANT, None], pa.timestamp("us", tz="Europe/Rome")),
    "date32": lambda: pa.array([INSTANT.date()]),
    "date64": lambda: pa.array([INSTANT.date()], pa.date64()),
    "time32": lambda: pa.array([INSTANT.time()], pa.time32("ms")),
    "time64": lambda: pa.array([INSTANT.time()], pa.time64("ns")),
    "duration": lambda: pa.array([datetime.timedelta(seconds=3)], pa.duration("ms")),
    "decimal128": lambda: pa.array([decimal.Decimal("1.25"), None], pa.decimal128(10, 2)),
    "decimal256": lambda: pa.array([decimal.Decimal("1.25")], pa.decimal256(50, 2)),
    "interval": lambda: pa.array([pa.MonthDayNano([1, 2, 3])]),
}
VIEWS: dict[str, Callable[[], Any]] = {
    "string_view": lambda: pa.array(["short", "longer than twelve bytes", None], pa.string_view()),
    "binary_view": lambda: pa.array([b"short", b"longer than twelve bytes"], pa.binary_view()),
    "list_view": lambda: pa.array([[1, 2], [], None], pa.list_view(pa.int64())),
    "fixed_shape_tensor": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12.0).reshape(2, 2, 3)),
}
EVERY = [pytest.param(make, id=name) for name, make in ARRAYS.items()]
EVERY += [pytest.param(make, id=name, marks=since(17)) for name, make in VIEWS.items()]


@pytest.mark.parametrize("copied", [False, True], ids=["mapped", "copied"])
@pytest.mark.parametrize("make", EVERY)
def test_array_arrives_with_its_exact_type_and_values(make: Callable[[], Any], copied: bool) -> None:
    assert_same(round_trip(make(), copied=copied), make())


@pytest.mark.parametrize("make", EVERY)
def test_array_with_nulls_arrives(make: Callable[[], Any]) -> None:
    sent = pa.concat_arrays([make(), make()[:0]]) if "union" in str(make().type) else with_nulls(make())
    assert_same(round_trip(sent), sent)


def with_nulls(array: Any) -> Any:
    """The array and two nulls around it."""
    try:
        null = pa.nulls(1, array.type)
        return pa.concat_arrays([null, array, null])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return array


@pytest.mark.parametrize("make", EVERY)
def test_empty_array_keeps_its_type(make: Callable[[], Any]) -> None:
    assert_same(round_trip(make()[:0]), make()[:0])


@pytest.mark.parametrize("make", EVERY)
def test_slice_arrives_without_what_it_was_cut_from(make: Callable[[], Any]) -> None:
    array = pa.concat_arrays([make(), make(), make()])
    sent = array.slice(1, len(array) - 2)
    assert_same(round_trip(sent), sent)


@pytest.mark.parametrize("make", EVERY)
def test_slice_of_an_array_with_nulls_arrives(make: Callable[[], Any]) -> None:
    array = with_nulls(pa.concat_arrays([make(), make()]))
    sent = array.slice(0, len(array) - 1).slice(1)
    assert_same(round_trip(sent), sent)


@pytest.mark.parametrize("make", EVERY)
def test_large_array_arrives(make: Callable[[], Any]) -> None:
    sent = pa.concat_arrays([make()] * 30_000)
    assert_same(round_trip(sent), sent)


@pytest.mark.parametrize("values", [[float("nan"), float("inf"), -0.0], [None, 1.0, float("nan")]])
def test_special_floats_arrive(values: list[float]) -> None:
    assert_same(round_trip(pa.array(values)), pa.array(values))


def test_extension_type_stays_one(celsius: Any) -> None:
    sent = pa.ExtensionArray.from_storage(celsius, pa.array([20.5, None]))
    assert_same(round_trip(sent), sent)


def test_extension_type_unknown_to_the_receiver_arrives_as_its_storage() -> None:
    sent = pa.ExtensionArray.from_storage(Celsius(), pa.array([20.5, None]))
    assert_same(round_trip(sent), sent.storage)


def test_strings_whose_offsets_do_not_begin_at_0_arrive() -> None:
    offsets, text = pa.py_buffer(np.array([3, 5, 6], np.int32)), pa.py_buffer(b"abcdef")
    sent = pa.Array.from_buffers(pa.string(), 2, [None, offsets, text])
    assert round_trip(sent).to_pylist() == ["de", "f"]


@pytest.mark.parametrize("starts", [[1, 1, 3], [None, 1, 3]])
def test_lists_that_do_not_begin_at_0_arrive(starts: list[int | None]) -> None:
    sent = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pa.array([5, 6, 7]))
    found = round_trip(sent)
    found.validate(full=True)
    assert found.to_pylist() == sent.to_pylist()


def test_strings_without_characters_arrive() -> None:
    assert round_trip(pa.array(["", ""])).to_pylist() == ["", ""]


def test_bitmap_that_marks_nothing_null_is_left_out() -> None:
    bitmap = pa.py_buffer(b"\xff")
    sent = pa.Array.from_buffers(pa.int32(), 2, [bitmap, pa.py_buffer(np.array([1, 2], np.int32))])
    found = round_trip(sent)
    assert (found.to_pylist(), found.buffers()[0]) == ([1, 2], None)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 6).flatmap(arrays))
def test_any_nested_and_sliced_array_arrives(sent: Any) -> None:
    assert_same(round_trip(sent), sent)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 6).flatmap(arrays))
def test_any_large_nested_array_arrives(sent: Any) -> None:
    large = pa.concat_arrays([sent] * 40_000)
    assert_same(round_trip(large), large)


# -- other things that can be sent ---------------------------------------------------------------------------


class Exporter:
    """Anything that exports an Arrow array, of whatever library."""

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return pa.array(["from", "elsewhere"]).__arrow_c_array__(requested_schema)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"\1\2", [1, 2]),
        (b"", []),
        (bytearray(b"\1\2"), [1, 2]),
        (memoryview(b"\1\2\3\4")[::2], [1, 3]),
        (memoryview(np.array([1, 256], np.uint16)), [1, 0, 0, 1]),
        (memoryview(b""), []),
    ],
)
def test_bytes_arrive_as_uint8(data: Any, values: list[int]) -> None:
    found = round_trip(data)
    assert (found.type, found.to_pylist()) == (pa.uint8(), values)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (np.array([1, 2], np.int16), pa.int16()),
        (np.array([[1.5, 2], [3, 4]], np.float32), pa.float32()),
        (np.array([[1, 2], [3, 4]])[:, 1], pa.int64()),
        (np.array([True, False]), pa.bool_()),
        (np.array(["a", "bc"]), pa.string()),
        (np.array([], np.uint8), pa.uint8()),
        (np.array(["2024-05-17"], "datetime64[D]"), pa.date32()),
        (np.ones(2).view(np.recarray), pa.float64()),
        (np.asfortranarray([[1, 2], [3, 4]]), pa.int64()),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else str(value),
)
def test_numpy_array_arrives_flat_with_its_dtype(data: Any, kind: Any) -> None:
    found = round_trip(data)
    assert (found.type, found.to_pylist()) == (kind, pa.array(data.ravel()).to_pylist())


def test_masked_values_of_a_numpy_array_arrive_as_nulls() -> None:
    found = round_trip(np.ma.masked_array([1, 2, 3], mask=[False, True, False]))
    assert found.to_pylist() == [1, None, 3]


def test_record_batch_arrives_as_struct_array() -> None:
    found = round_trip(pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None]}))
    assert found.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_object_that_exports_an_arrow_array_arrives_as_that() -> None:
    assert round_trip(Exporter()).to_pylist() == ["from", "elsewhere"]


REFUSED = ["text", 1, 1.5, None, [1], (1,), {"a": 1}, object(), True, range(3)]
REFUSED += [pa.scalar(1), pa.py_buffer(b"x"), pa.chunked_array([[1]]), pa.table({"a": [1]}), pa.int64()]
REFUSED += [np.int64(1), np.array(1), np.array([1j]), np.array([1, 2], ">i4"), np.array([object()])]


@pytest.mark.parametrize("error", [TypeError, RuntimeError])
@pytest.mark.parametrize("data", REFUSED, ids=lambda data: f"{type(data).__module__}.{type(data).__qualname__}")
def test_other_things_are_refused(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^invalid `data`"):
        arrow.body_of(data)


def test_refusal_names_what_was_found_and_what_is_accepted() -> None:
    expected = (
        "invalid `data` type, must be `PyBytes` or arrow array: found builtins.object, expected an Arrow array (or "
        "anything with __arrow_c_array__), a RecordBatch, bytes, bytearray, memoryview or a numpy array"
    )
    with pytest.raises(arrow.InvalidDataError) as caught:
        arrow.body_of(object())
    assert str(caught.value) == expected


class Convertible:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.zeros(2)


class Series:
    def __arrow_array__(self, type: Any = None) -> Any:
        return pa.array([1])


class Frame:
    columns = ("a",)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table({"a": [1]}).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("data", ["text", 1, {"a": 1}, [1], (1,), range(3), np.float32(1), pa.scalar(1)], ids=repr)
def test_refusal_of_plain_python_says_what_to_send(data: Any) -> None:
    with pytest.raises(arrow.InvalidDataError, match=r"; send `pa\.array\(\[?data\]?\)`$") as caught:
        arrow.body_of(data)
    meant = eval(str(caught.value).rpartition("; send ")[2].strip("`"), {"pa": pa, "data": data})
    arrow.body_of(meant)


CONVERTIBLE = [pa.chunked_array([[1], [2]]), pa.table({"a": [1]}), Convertible(), Series(), Frame()]


@pytest.mark.parametrize("data", CONVERTIBLE, ids=type)
def test_refusal_of_what_can_be_converted_says_how(data: Any) -> None:
    with pytest.raises(arrow.InvalidDataError) as caught:
        arrow.body_of(data)
    meant = eval(str(caught.value).rpartition("; send ")[2].strip("`"), {"np": np, "pa": pa, "data": data})
    arrow.body_of(meant)


def test_refusal_of_a_numpy_array_names_its_dtype() -> None:
    with pytest.raises(arrow.InvalidDataError, match="numpy array of dtype complex128 has no Arrow type"):
        arrow.body_of(np.array([1j]))


def test_refusal_of_a_numpy_array_without_dimensions_says_how_to_send_it() -> None:
    with pytest.raises(arrow.InvalidDataError, match=r"a numpy array without dimensions; send `array\.reshape\(1\)`"):
        arrow.body_of(np.array(5))


# -- memory --------------------------------------------------------------------------------------------------


FLAT = [pa.int8(), pa.int64(), pa.float32(), pa.timestamp("ns"), pa.decimal128(20)]


@pytest.mark.parametrize("kind", FLAT, ids=str)
def test_values_and_bitmap_of_flat_arrays_begin_at_multiples_of_64(kind: Any) -> None:
    for sent in (pa.array([1] * BIG).cast(kind), pa.array([1, None] * BIG).cast(kind)):
        buffers = [buffer for buffer in round_trip(sent).buffers() if buffer is not None]
        assert [buffer.address % 64 for buffer in buffers] == [0] * len(buffers)


def test_offsets_and_characters_of_strings_begin_at_multiples_of_64() -> None:
    _, offsets, characters = round_trip(pa.array(["abc"] * BIG)).buffers()
    assert (offsets.address % 64, characters.address % 64) == (0, 0)


@pytest.mark.parametrize("copied", [False, True], ids=["mapped", "copied"])
@pytest.mark.parametrize("make", [lambda: pa.array(np.arange(BIG)), lambda: pa.array([[1.0, 2.0]])[0].values])
def test_view_of_a_received_array_refuses_writing(make: Callable[[], Any], copied: bool) -> None:
    view = round_trip(make(), copied=copied).to_numpy()
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


@pytest.mark.parametrize("make", [lambda: pa.array(np.arange(BIG)), lambda: pa.array([[1, 2]] * BIG)])
def test_buffers_of_a_received_array_are_not_mutable(make: Callable[[], Any]) -> None:
    assert not any(buffer.is_mutable for buffer in round_trip(make()).buffers() if buffer is not None)


def test_received_array_is_made_without_a_copy() -> None:
    body = arrow.body_of(pa.array(np.arange(BIG)))
    buffer = arrow.foreign_buffer(body.buffer.address, body.size, body)
    found = arrow.decoder_of(arrow.describe_type(body.type))(body.encoding, body.length, buffer)
    assert found.buffers()[1].address == body.buffer.address


def test_change_of_the_source_after_writing_is_not_seen() -> None:
    source = np.arange(BIG)
    found = round_trip(source)
    source[:] = 0
    assert found[5].as_py() == 5


def test_tick_value_is_the_count_as_uint64() -> None:
    assert_same(arrow.tick_value(7), pa.array([7], pa.uint64()))


def test_text_decoder_reads_strings_written_without_pyarrow() -> None:
    body = (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + bytes(56) + b"hello"
    assert arrow.text_decoder()(arrow.TEXT, 1, arrow.small_buffer(body)).to_pylist() == ["hello"]
