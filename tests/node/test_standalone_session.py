"""A node without a runner: what is sent reads as a receiver would get it."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora.node.standalone_session import delivered, received_metadata

ARRAYS = [
    pa.array([1, 2, 3]),
    pa.array([1, None], pa.int8()),
    pa.array([1, 2, 3])[1:],
    pa.array([], pa.float32()),
    pa.array([True, None, False]),
    pa.array(["a", "", None]),
    pa.array(["a", "bc"]),
    pa.array([{"x": 1, "y": ["a", None]}, None]),
    pa.array([[1, 2], [], None]),
    pa.array(["a", "b", "a"]).dictionary_encode(),
    pa.array([decimal.Decimal("1.50")]),
    pa.nulls(3),
    pa.array([1], pa.timestamp("ns", "UTC")),
]


@pytest.mark.parametrize("array", ARRAYS, ids=[str(array.type) for array in ARRAYS])
def test_arrays_are_delivered_with_their_type(array: pa.Array) -> None:
    found = delivered(array)
    assert found.equals(array)
    assert found.type == array.type


@pytest.mark.parametrize("data", [b"ab", bytearray(b"ab"), memoryview(b"ab"), np.frombuffer(b"ab", np.uint8)])
def test_bytes_are_delivered_as_uint8(data: Any) -> None:
    assert delivered(data) == pa.array([97, 98], pa.uint8())


def test_what_is_delivered_is_a_copy() -> None:
    data = np.arange(4)
    found = delivered(data)
    data[:] = 0
    assert found.to_pylist() == [0, 1, 2, 3]


def test_what_cannot_be_sent_is_refused_as_in_a_dataflow() -> None:
    with pytest.raises(RuntimeError, match="invalid `data` type"):
        delivered("text")


def test_metadata_is_what_travels() -> None:
    sent = {"parameters": {"flush": True}, "t": (1, 2), "_framing": "x"}
    assert received_metadata(sent) == {"flush": True, "t": [1, 2]}
    assert received_metadata(None) == received_metadata({}) == {}
