"""Arrow arrays as JSON: the very text that dora-rs 1.1.0 writes into its test files, and reads from them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from dora.arrow_json import array_from_json, array_to_json, type_from_json, type_to_json


def field(name: str, kind: Any, nullable: bool = True) -> dict[str, Any]:
    """A field as the Rust crate writes it."""
    rest = {"nullable": nullable, "dict_id": 0, "dict_is_ordered": False, "metadata": {}}
    return {"name": name, "data_type": kind, **rest}


WRITTEN_BY_DORA_RS = [
    ([5, None], "Int64"),
    ([18446744073709551615], "UInt64"),
    ([1.0, 2.5], "Float32"),
    (["NaN", 1e300, "Infinity", "-Infinity"], "Float64"),
    ([1.5], "Float16"),
    ([True, None], "Boolean"),
    ([], "Null"),
    (["hello"], "Utf8"),
    (["x"], "LargeUtf8"),
    (["6162"], "Binary"),
    (["78"], "LargeBinary"),
    (["6162"], {"FixedSizeBinary": 2}),
    (["2024-01-02"], "Date32"),
    (["1970-01-02T00:00:00"], "Date64"),
    (["1970-01-01T00:00:00.000001"], {"Timestamp": ["Microsecond", None]}),
    (["01:02:03.000004"], {"Time64": "Microsecond"}),
    (["00:00:05"], {"Time32": "Second"}),
    (["PT1.5S"], {"Duration": "Millisecond"}),
    (["1 mons 2 days 0.000000003 secs"], {"Interval": "MonthDayNano"}),
    ([1.5], {"Decimal128": [3, 2]}),
    ([[1], [2, 3]], {"List": field("item", "Int64")}),
    ([[1]], {"LargeList": field("item", "Int8")}),
    ([[1, 2]], {"FixedSizeList": [field("item", "Int8"), 2]}),
    ([{"x": 1, "y": "s"}], {"Struct": [field("x", "Int64"), field("y", "Utf8")]}),
    ([{"a": 1}, None], {"Struct": [field("a", "Int64")]}),
    ([{"a": [1, 2]}], {"Struct": [field("a", {"List": field("item", "Int64")}), field("t", "Null")]}),
    ([{}], {"Struct": []}),
    (
        [{"a": 1}],
        {
            "Map": [
                field("entries", {"Struct": [field("key", "Utf8", False), field("value", "Int32")]}, False),
                False,
            ]
        },
    ),
    (["a", "b"], {"Dictionary": ["Int32", "Utf8"]}),
    (["x", "x"], {"RunEndEncoded": [field("run_ends", "Int64", False), field("values", "Utf8")]}),
    (
        [[{"t": "2024-01-01T00:00:00"}]],
        {"List": field("item", {"Struct": [field("x", "Null"), field("t", {"Timestamp": ["Microsecond", None]})]})},
    ),
]


@pytest.mark.parametrize(
    ("data", "spec"), WRITTEN_BY_DORA_RS, ids=[json.dumps(spec)[:40] for _, spec in WRITTEN_BY_DORA_RS]
)
def test_what_dora_rs_writes_is_read_and_written_the_same(data: list[Any], spec: Any) -> None:
    array = array_from_json(data, spec)
    assert json.dumps(array_to_json(array)) == json.dumps(data)
    assert json.dumps(type_to_json(array.type)) == json.dumps(spec)


@pytest.mark.skipif(not hasattr(pa, "string_view"), reason="this pyarrow has no view types")
@pytest.mark.parametrize(
    ("data", "spec"),
    [(["x"], "Utf8View"), (["78"], "BinaryView"), ([[1]], {"ListView": field("item", "Int8")})],
)
def test_view_types_are_read_and_written_the_same(data: list[Any], spec: Any) -> None:
    array = array_from_json(data, spec)
    assert (array_to_json(array), type_to_json(array.type)) == (data, spec)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (5, pa.int64()),
        ([1, 2.5], pa.float64()),
        ("hello", pa.string()),
        (None, pa.null()),
        ([], pa.null()),
        ([[1, 2], [3]], pa.list_(pa.int64())),
        ({"x": [1], "y": "s"}, pa.struct([("x", pa.list_(pa.int64())), ("y", pa.string())])),
        ([{"a": 1}, {"b": "x"}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        (True, pa.bool_()),
    ],
)
def test_data_without_a_type_gets_the_one_that_fits(data: Any, kind: pa.DataType) -> None:
    array = array_from_json(data)
    assert array.type == kind
    assert len(array) == (len(data) if isinstance(data, list) else 1)


def test_names_of_pyarrow_and_lower_case_are_read() -> None:
    assert type_from_json("int32") == type_from_json("Int32") == pa.int32()
    assert type_from_json("utf8") == type_from_json("string") == pa.string()


@pytest.mark.parametrize(
    ("data", "spec", "text"),
    [
        ([1, "a"], None, "no Arrow type fits"),
        ([300], "UInt8", "expected data of Arrow type uint8, found [300]"),
        (["xyz"], "Binary", "expected data of Arrow type binary"),
        (["soon"], {"Duration": "Second"}, "'soon' is not a duration such as PT1.5S"),
        (["noon"], {"Time32": "Second"}, "'noon' is not a time of day such as 01:02:03.5"),
        (["later"], {"Interval": "MonthDayNano"}, "is not an interval"),
        ([5], {"List": field("item", "Int8")}, "expected a list, found 5"),
        ([5], {"Struct": []}, "expected an object, found 5"),
        ([1], "Int33", "there is no data type 'Int33' (there is: Null, Boolean,"),
        ([1], {"Lisst": 5}, "there is no data type 'Lisst' with arguments (there is: Decimal128,"),
        ([1], {"List": 5}, "wrong arguments of data type 'List': 5"),
        ([1], {"Interval": "YearMonth"}, "wrong arguments of data type 'Interval'"),
        ([1], 5, "expected a data type such as 'Int32'"),
    ],
)
def test_what_does_not_fit_is_named(data: Any, spec: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared below
        array_from_json(data, spec)
    assert text in str(caught.value)


def test_instants_keep_their_nanoseconds_and_are_told_in_utc() -> None:
    array = pa.array([1, None, -5_000_000_003], pa.timestamp("ns", "Europe/Berlin"))
    texts = array_to_json(array)
    assert texts == ["1970-01-01T00:00:00.000000001Z", None, "1969-12-31T23:59:54.999999997Z"]
    assert array_from_json(texts, type_to_json(array.type)) == array


def test_decimal_that_no_float_holds_is_text() -> None:
    array = array_from_json(["0.10000000000000000000000001"], {"Decimal128": [38, 26]})
    assert array_to_json(array) == ["0.10000000000000000000000001"]


def test_unions_are_written_though_they_cannot_be_read() -> None:
    array = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])
    assert array_to_json(array) == [1, "b"]
    with pytest.raises(ValueError, match="has no form in JSON"):
        type_to_json(array.type)


def test_extension_arrays_are_written_as_their_storage() -> None:
    array = pa.FixedShapeTensorArray.from_numpy_ndarray(pa.array([1, 2, 3, 4], pa.int32()).to_numpy().reshape(2, 2))
    assert array_to_json(array) == [[1, 2], [3, 4]]
    assert type_to_json(array.type) == type_to_json(array.storage.type)
