"""Arrow arrays as JSON and back, in the form of dora-rs's test files (dora node-api, section 21).

Strategy: a type is written as the Rust `arrow` crate serializes it (`"Int32"`, `{"List": {"name": "item", ...}}`), so
that files made for dora-rs work here and the other way round; names that pyarrow knows (`int32`) are read, too.  Bytes
are hex, instants and dates ISO 8601, NaN and the infinities text, a map is an object, an absent field is null.
Values go through plain Python values; only times are converted by Arrow, which keeps nanoseconds.
"""

from __future__ import annotations

import decimal
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

_NO_TYPE: Final = object()
_UNITS: Final = {"Second": "s", "Millisecond": "ms", "Microsecond": "us", "Nanosecond": "ns"}
_UNIT_NAMES: Final = {short: name for name, short in _UNITS.items()}
_NS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DURATION: Final = re.compile(r"(-?)PT(-?)([0-9]+)(?:\.([0-9]{1,9}))?S")
_TIME_OF_DAY: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")
_INTERVAL: Final = re.compile(r"(-?[0-9]+) mons (-?[0-9]+) days (-?[0-9]+(?:\.[0-9]{1,9})?) secs")
_SIMPLE: Final = {
    "Null": "null", "Boolean": "bool_", "Int8": "int8", "Int16": "int16", "Int32": "int32", "Int64": "int64",
    "UInt8": "uint8", "UInt16": "uint16", "UInt32": "uint32", "UInt64": "uint64", "Float16": "float16",
    "Float32": "float32", "Float64": "float64", "Utf8": "string", "LargeUtf8": "large_string",
    "Utf8View": "string_view", "Binary": "binary", "LargeBinary": "large_binary", "BinaryView": "binary_view",
    "Date32": "date32", "Date64": "date64",
}  # fmt: skip
"""name in JSON -> its constructor in pyarrow; older versions lack the views"""
_TYPES: Final[dict[str, Any]] = {name: getattr(pa, maker)() for name, maker in _SIMPLE.items() if hasattr(pa, maker)}
_NAMES: Final[dict[Any, str]] = {kind: name for name, kind in _TYPES.items()}


# -- types -------------------------------------------------------------------------------------------------------


def type_from_json(spec: Any) -> Any:
    """The Arrow type that `spec` names.

    Raises:
        ValueError: it names none.
    """
    if isinstance(spec, str):
        return _simple_type(spec)
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise ValueError(f"expected a data type such as 'Int32' or {{'List': ...}}, found {spec!r}")
    ((name, argument),) = spec.items()
    make = _MAKERS.get(name)
    if make is None:
        raise ValueError(f"there is no data type {name!r} with arguments (there is: {', '.join(sorted(_MAKERS))})")
    try:
        return make(argument)
    except (KeyError, TypeError, IndexError, pa.ArrowInvalid) as error:
        raise ValueError(f"wrong arguments of data type {name!r}: {argument!r} ({error})") from error


def type_to_json(kind: Any) -> Any:
    """The type as JSON.

    Raises:
        ValueError: it has no form there.
    """
    name = _NAMES.get(kind)
    if name is not None:
        return name
    for matches, write in _WRITERS:
        if matches(kind):
            return write(kind)
    raise ValueError(f"Arrow type {kind} has no form in JSON")


def _simple_type(name: str) -> Any:
    if name in _TYPES:
        return _TYPES[name]
    for known, kind in _TYPES.items():
        if known.lower() == name.lower():
            return kind
    try:
        return pa.type_for_alias(name)
    except ValueError:
        raise ValueError(f"there is no data type {name!r} (there is: {', '.join(_TYPES)})") from None


def _field(spec: Mapping[str, Any]) -> Any:
    return pa.field(spec["name"], type_from_json(spec["data_type"]), spec.get("nullable", True))


def _field_json(field: Any) -> dict[str, Any]:
    # dict_id and dict_is_ordered mean nothing here, but the crate refuses a field without them
    return {
        "name": field.name,
        "data_type": type_to_json(field.type),
        "nullable": field.nullable,
        "dict_id": 0,
        "dict_is_ordered": False,
        "metadata": {},
    }


def _make_map(argument: Sequence[Any]) -> Any:
    key, value = (_field(entry) for entry in argument[0]["data_type"]["Struct"])
    return pa.map_(key.type, value.with_nullable(True), keys_sorted=argument[1])


def _make_interval(unit: str) -> Any:
    if unit != "MonthDayNano":
        raise KeyError(unit)
    return pa.month_day_nano_interval()


_MAKERS: Final[dict[str, Callable[[Any], Any]]] = {
    "Timestamp": lambda a: pa.timestamp(_UNITS[a[0]], a[1]),
    "Time32": lambda unit: pa.time32(_UNITS[unit]),
    "Time64": lambda unit: pa.time64(_UNITS[unit]),
    "Duration": lambda unit: pa.duration(_UNITS[unit]),
    "Interval": _make_interval,
    "FixedSizeBinary": lambda size: pa.binary(size),
    "List": lambda field: pa.list_(_field(field)),
    "LargeList": lambda field: pa.large_list(_field(field)),
    "ListView": lambda field: pa.list_view(_field(field)),
    "LargeListView": lambda field: pa.large_list_view(_field(field)),
    "FixedSizeList": lambda a: pa.list_(_field(a[0]), a[1]),
    "Struct": lambda fields: pa.struct([_field(field) for field in fields]),
    "Dictionary": lambda a: pa.dictionary(type_from_json(a[0]), type_from_json(a[1])),
    "Decimal128": lambda a: pa.decimal128(a[0], a[1]),
    "Decimal256": lambda a: pa.decimal256(a[0], a[1]),
    "Map": _make_map,
    "RunEndEncoded": lambda a: pa.run_end_encoded(_field(a[0]).type, _field(a[1]).type),
}


def _children(kind: Any) -> list[dict[str, Any]]:
    return [_field_json(kind.field(at)) for at in range(kind.num_fields)]


def _item_json(kind: Any) -> dict[str, Any]:
    return _field_json(kind.value_field)


def _map_json(kind: Any) -> dict[str, Any]:
    entries = pa.field("entries", pa.struct([kind.key_field, kind.item_field]), nullable=False)
    return {"Map": [_field_json(entries), kind.keys_sorted]}


def _ree_json(kind: Any) -> dict[str, Any]:
    ends = pa.field("run_ends", kind.run_end_type, nullable=False)
    return {"RunEndEncoded": [_field_json(ends), _field_json(pa.field("values", kind.value_type))]}


def _is(name: str) -> Callable[[Any], bool]:
    """The predicate of that name; older versions of pyarrow lack some."""
    found: Callable[[Any], bool] = getattr(pa.types, f"is_{name}", lambda kind: False)
    return found


_WRITERS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...]] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda kind: type_to_json(kind.storage_type)),
    (_is("timestamp"), lambda kind: {"Timestamp": [_UNIT_NAMES[kind.unit], kind.tz]}),
    (_is("time32"), lambda kind: {"Time32": _UNIT_NAMES[kind.unit]}),
    (_is("time64"), lambda kind: {"Time64": _UNIT_NAMES[kind.unit]}),
    (_is("duration"), lambda kind: {"Duration": _UNIT_NAMES[kind.unit]}),
    (_is("interval"), lambda kind: {"Interval": "MonthDayNano"}),
    (_is("fixed_size_binary"), lambda kind: {"FixedSizeBinary": kind.byte_width}),
    (_is("decimal128"), lambda kind: {"Decimal128": [kind.precision, kind.scale]}),
    (_is("decimal256"), lambda kind: {"Decimal256": [kind.precision, kind.scale]}),
    (_is("struct"), lambda kind: {"Struct": _children(kind)}),
    (_is("map"), _map_json),
    (_is("fixed_size_list"), lambda kind: {"FixedSizeList": [_item_json(kind), kind.list_size]}),
    (_is("large_list"), lambda kind: {"LargeList": _item_json(kind)}),
    (_is("list"), lambda kind: {"List": _item_json(kind)}),
    (_is("list_view"), lambda kind: {"ListView": _item_json(kind)}),
    (_is("large_list_view"), lambda kind: {"LargeListView": _item_json(kind)}),
    (_is("dictionary"), lambda kind: {"Dictionary": [type_to_json(kind.index_type), type_to_json(kind.value_type)]}),
    (_is("run_end_encoded"), _ree_json),
)


# -- arrays from JSON --------------------------------------------------------------------------------------------


def array_from_json(data: Any, spec: Any = _NO_TYPE) -> Any:
    """An array from JSON data.

    Args:
        data: a list is the elements; anything else is the one element.
        spec: the type as JSON; without it Arrow finds one that fits.

    Raises:
        ValueError: the data does not have that type, or no one type.
    """
    values = data if isinstance(data, list) else [data]
    if spec is _NO_TYPE or spec is None:
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError) as error:
            raise ValueError(f"no Arrow type fits {data!r}: {error}") from error
    kind = type_from_json(spec)
    try:
        return _build([_value(value, kind) for value in values], kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise ValueError(f"expected data of Arrow type {kind}, found {data!r}: {error}") from error


def array_from_file(path: str | os.PathLike[str], batch_index: int = 0, column: str | None = None) -> Any:
    """A record batch of an Arrow IPC file: one column of it, or all of it as a struct array.

    Raises:
        ValueError: the file has no such batch or column, or is none.
        OSError: there is no such file.
    """
    try:
        with pa.OSFile(os.fspath(path)) as source, pa.ipc.open_file(source) as reader:
            count = reader.num_record_batches
            if not 0 <= batch_index < count:
                raise ValueError(f"{os.fspath(path)!r} has {count} record batches, so none with index {batch_index}")
            batch = reader.get_batch(batch_index)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{os.fspath(path)!r} is not an Arrow file: {error}") from error
    if column is None:
        return batch.to_struct_array()
    if column not in batch.schema.names:
        names = ", ".join(batch.schema.names)
        raise ValueError(f"{os.fspath(path)!r} has no column {column!r} (it has: {names})")
    return batch.column(column)


def _build(values: list[Any], kind: Any) -> Any:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    if _is("run_end_encoded")(kind):
        import pyarrow.compute as pc  # slow to import

        return pc.run_end_encode(pa.array(values, kind.value_type), kind.run_end_type)
    return pa.array(values, kind)


def _value(value: Any, kind: Any) -> Any:
    """What `pa.array` takes for one JSON value of that type."""
    if value is None:
        return None
    for matches, read in _READERS:
        if matches(kind):
            return read(value, kind)
    return value


def _read_integer(value: Any, kind: Any) -> Any:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is no whole number")  # Arrow would cut it off
    return value


def _read_half(value: Any, kind: Any) -> Any:
    import numpy  # older versions of pyarrow take nothing else for float16

    return numpy.float16(value)


def _read_bytes(value: Any, kind: Any) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


def _read_time(value: Any, kind: Any) -> Any:
    """Text as the integer that stands for it (dates and instants by Arrow's own parser); numbers as they are."""
    if not isinstance(value, str):
        return value
    if pa.types.is_time(kind):
        return _read_time_of_day(value) // _NS[kind.unit]
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    if pa.types.is_date64(kind):
        return pa.scalar(value).cast(pa.timestamp("ms")).cast(width).as_py()
    text = value[:-1] if value.endswith("Z") and not getattr(kind, "tz", None) else value
    return pa.scalar(text).cast(kind).cast(width).as_py()


def _read_time_of_day(text: str) -> int:
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time of day such as 01:02:03.5")
    seconds = (int(found[1]) * 60 + int(found[2])) * 60 + int(found[3] or 0)
    return seconds * _NS["s"] + int((found[4] or "").ljust(9, "0"))


def _read_interval(value: Any, kind: Any) -> Any:
    found = _INTERVAL.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not an interval such as '1 mons 2 days 0.5 secs'")
    seconds = decimal.Decimal(found[3])
    return pa.MonthDayNano([int(found[1]), int(found[2]), int(seconds * _NS["s"])])


def _read_duration(value: Any, kind: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a duration such as PT1.5S")
    total_ns = int(found[3]) * _NS["s"] + int((found[4] or "").ljust(9, "0"))
    return (-1 if found[1] or found[2] else 1) * total_ns // _NS[kind.unit]


def _read_list(value: Any, kind: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {value!r}")
    return [_value(entry, kind.value_type) for entry in value]


def _read_struct(value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {value!r}")
    fields = (kind.field(at) for at in range(kind.num_fields))
    return {field.name: _value(value.get(field.name), field.type) for field in fields}


def _read_map(value: Any, kind: Any) -> list[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else value
    return [(_value(key, kind.key_type), _value(entry, kind.item_type)) for key, entry in pairs]


def _is_binary(kind: Any) -> bool:
    return bool(_is("binary")(kind) or _is("large_binary")(kind)) or (
        _is("fixed_size_binary")(kind) or _is("binary_view")(kind)
    )


def _is_list(kind: Any) -> bool:
    names = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
    return any(_is(name)(kind) for name in names)


_READERS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]], ...]] = (
    (_is("integer"), _read_integer),
    (_is("float16"), _read_half),
    (_is("floating"), lambda value, kind: float(value) if isinstance(value, str) else value),
    (_is_binary, _read_bytes),
    (_is("decimal"), lambda value, kind: decimal.Decimal(str(value))),
    (_is("duration"), _read_duration),
    (_is("interval"), _read_interval),
    (_is("temporal"), _read_time),
    (_is("map"), _read_map),
    (_is_list, _read_list),
    (_is("struct"), _read_struct),
    (_is("dictionary"), lambda value, kind: _value(value, kind.value_type)),
    (_is("run_end_encoded"), lambda value, kind: _value(value, kind.value_type)),
)


# -- arrays to JSON ----------------------------------------------------------------------------------------------


def array_to_json(array: Any) -> list[Any]:
    """The elements as JSON values.

    Raises:
        ValueError: its type has no form in JSON.
    """
    kind = array.type
    for matches, write in _ENCODERS:
        if matches(kind):
            return write(array)
    raise ValueError(f"Arrow type {kind} has no form in JSON")


def _plain(array: Any) -> list[Any]:
    values: list[Any] = array.to_pylist()
    return values


def _each(write: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda array: [None if value is None else write(value) for value in array.to_pylist()]


def _float_json(value: float) -> Any:
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else "Infinity" if value > 0 else "-Infinity"


def _decimal_json(value: decimal.Decimal) -> Any:
    number = float(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def _times(array: Any) -> list[Any]:
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit))
    if pa.types.is_date64(kind):
        array = array.cast(pa.timestamp("s"))
    end = "Z" if pa.types.is_timestamp(kind) and kind.tz is not None else ""
    texts = array.cast(pa.string()).to_pylist()
    return [None if text is None else _short_fraction(text.replace(" ", "T")) + end for text in texts]


def _short_fraction(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _durations(array: Any) -> list[Any]:
    scale = _NS[array.type.unit]
    return _each(lambda ticks: _duration_json(ticks * scale))(array.cast(pa.int64()))


def _duration_json(total_ns: int) -> str:
    seconds, rest = divmod(abs(total_ns), _NS["s"])
    return f"{'-' if total_ns < 0 else ''}PT{_short_fraction(f'{seconds}.{rest:09}')}S"


def _interval_json(value: Any) -> str:
    seconds = decimal.Decimal(value[2]).scaleb(-9)
    return f"{value[0]} mons {value[1]} days {seconds:.9f} secs"


def _lists(array: Any) -> list[Any]:
    return [None if not item.is_valid else array_to_json(item.values) for item in array]


def _structs(array: Any) -> list[Any]:
    kind = array.type
    names = [kind.field(at).name for at in range(kind.num_fields)]
    columns = [array_to_json(column) for column in array.flatten()]
    rows = zip(*columns, strict=True) if columns else ((),) * len(array)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} if is_valid else None
        for row, is_valid in zip(rows, array.is_valid().to_pylist(), strict=True)
    ]


def _maps(array: Any) -> list[Any]:
    rows = []
    for item in array:
        entries = item.values if item.is_valid else None
        rows.append(None if entries is None else _pairs(entries))
    return rows


def _pairs(entries: Any) -> dict[str, Any]:
    keys, values = (array_to_json(entries.field(at)) for at in (0, 1))
    return {str(key): value for key, value in zip(keys, values, strict=True)}


def _run_end_encoded(array: Any) -> list[Any]:
    import pyarrow.compute as pc  # slow to import

    return array_to_json(pc.run_end_decode(array))


def _is_simple(kind: Any) -> bool:
    names = ("null", "boolean", "integer", "string", "large_string", "string_view")
    return any(_is(name)(kind) for name in names)


_ENCODERS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Any]]], ...]] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda array: array_to_json(array.storage)),
    (_is_simple, _plain),
    (_is("floating"), _each(lambda value: _float_json(float(value)))),
    (_is_binary, _each(bytes.hex)),
    (_is("decimal"), _each(_decimal_json)),
    (_is("duration"), _durations),
    (_is("interval"), _each(_interval_json)),
    (_is("temporal"), _times),
    (_is("map"), _maps),
    (_is_list, _lists),
    (_is("struct"), _structs),
    (_is("dictionary"), lambda array: array_to_json(array.dictionary_decode())),
    (_is("run_end_encoded"), _run_end_encoded),
    (_is("union"), _plain),
)
