"""Any Arrow array, nested and sliced at every level, for hypothesis."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_SHORT = st.text(max_size=20)
_BYTES = st.binary(max_size=20)
_INSTANTS = st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1))

LEAVES: list[tuple[Any, Any]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.string(), _SHORT),
    (pa.large_string(), _SHORT),
    (pa.binary(), _BYTES),
    (pa.large_binary(), _BYTES),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.null(), st.none()),
    (pa.date32(), st.dates()),
    (pa.timestamp("us", tz="UTC"), _INSTANTS),
    (pa.time64("us"), st.integers(0, 86_399_999_999)),
    (pa.duration("us"), st.integers(0, 10**12)),
    (pa.decimal128(20, 2), st.integers(-(10**9), 10**9).map(decimal.Decimal)),
]
if hasattr(pa, "string_view"):
    LEAVES += [(pa.string_view(), _SHORT), (pa.binary_view(), _BYTES)]


@st.composite
def leaves(draw: st.DrawFn, length: int) -> Any:
    """An array of a type without children."""
    kind, values = draw(st.sampled_from(LEAVES))
    return pa.array(draw(st.lists(st.none() | values, min_size=length, max_size=length)), kind)


@st.composite
def dictionaries(draw: st.DrawFn, length: int) -> Any:
    words = draw(st.lists(_SHORT, min_size=1, max_size=4))
    indices = draw(st.lists(st.none() | st.integers(0, len(words) - 1), min_size=length, max_size=length))
    kind = draw(st.sampled_from([pa.int8(), pa.int32()]))
    return pa.DictionaryArray.from_arrays(pa.array(indices, kind), pa.array(words, pa.string()))


@st.composite
def _masks(draw: st.DrawFn, length: int) -> Any:
    return pa.array(draw(st.lists(st.booleans(), min_size=length, max_size=length)), pa.bool_())


@st.composite
def structs(draw: st.DrawFn, length: int, depth: int) -> Any:
    children = [draw(arrays(length, depth)) for _ in range(draw(st.integers(1, 3)))]
    fields = [pa.field(f"f{number}", child.type) for number, child in enumerate(children)]
    return pa.StructArray.from_arrays(children, fields=fields, mask=draw(_masks(length)))


@st.composite
def lists(draw: st.DrawFn, length: int, depth: int) -> Any:
    lengths = draw(st.lists(st.integers(0, 3), min_size=length, max_size=length))
    ends = [sum(lengths[:number]) for number in range(length + 1)]
    child = draw(arrays(ends[-1], depth))
    make, width = draw(st.sampled_from([(pa.ListArray, pa.int32()), (pa.LargeListArray, pa.int64())]))
    offsets = pa.array([draw(st.booleans()) and number < length for number in range(length + 1)])
    nulls = [None if is_null else end for is_null, end in zip(offsets.to_pylist(), ends, strict=True)]
    return make.from_arrays(pa.array(nulls, width), child)


@st.composite
def fixed_size_lists(draw: st.DrawFn, length: int, depth: int) -> Any:
    size = draw(st.integers(1, 3))
    return pa.FixedSizeListArray.from_arrays(draw(arrays(size * length, depth)), size)


@st.composite
def maps(draw: st.DrawFn, length: int, depth: int) -> Any:
    keys = pa.array([str(number) for number in range(2 * length)], pa.string())
    offsets = pa.array(range(0, 2 * length + 1, 2), pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, draw(arrays(2 * length, depth)))


@st.composite
def list_views(draw: st.DrawFn, length: int, depth: int) -> Any:
    child = draw(arrays(5, depth))
    offsets = draw(st.lists(st.integers(0, 5), min_size=length, max_size=length))
    sizes = [draw(st.integers(0, 5 - offset)) for offset in offsets]
    return pa.ListViewArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(sizes, pa.int32()), child)


@st.composite
def sparse_unions(draw: st.DrawFn, length: int, depth: int) -> Any:
    types = pa.array(draw(st.lists(st.integers(0, 1), min_size=length, max_size=length)), pa.int8())
    return pa.UnionArray.from_sparse(types, [draw(arrays(length, depth)), draw(arrays(length, depth))])


@st.composite
def dense_unions(draw: st.DrawFn, length: int, depth: int) -> Any:
    types = draw(st.lists(st.integers(0, 1), min_size=length, max_size=length))
    offsets = [types[:number].count(kind) for number, kind in enumerate(types)]
    children = [draw(arrays(types.count(kind), depth)) for kind in (0, 1)]
    return pa.UnionArray.from_dense(pa.array(types, pa.int8()), pa.array(offsets, pa.int32()), children)


@st.composite
def run_end_encoded(draw: st.DrawFn, length: int) -> Any:
    ends = sorted({max(1, length), *draw(st.sets(st.integers(1, max(1, length)), max_size=length))})
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), draw(leaves(len(ends)))).slice(0, length)


@st.composite
def arrays(draw: st.DrawFn, length: int, depth: int = 2) -> Any:
    """An array of that length: any type, cut out of a longer one more often than not."""
    before, after = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    whole = before + length + after
    kinds = [leaves(whole), leaves(whole), dictionaries(whole)]
    nested = [structs, lists, fixed_size_lists, maps, sparse_unions, dense_unions]
    if hasattr(pa, "ListViewArray"):  # older versions cannot make all of these from parts
        kinds.append(run_end_encoded(whole))
        nested.append(list_views)
    if depth:
        kinds += [make(whole, depth - 1) for make in nested]
    return draw(st.one_of(kinds)).slice(before, length)
