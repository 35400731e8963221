"""Metadata within a process are what they would be after a journey."""

from __future__ import annotations

import datetime
import enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora.messages import metadata

UTC = datetime.timezone.utc
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
KEYS = st.text(max_size=4) | st.sampled_from(["request_id", "flush", "parameters", "_framing", "__dora_x", "timestamp"])


class Colour(str, enum.Enum):
    """Text of a kind of its own."""

    RED = "red"


def through_bytes(sent: dict[str, Any]) -> tuple[dict[str, Any], bool, bool]:
    """What a receiver in another process gets."""
    encoded, is_correlated, is_flush = metadata.encode(sent)
    return metadata.decode(encoded) if encoded else {}, is_correlated, is_flush


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_hand_over_is_the_same_as_a_journey(sent: dict[str, Any]) -> None:
    assert metadata.hand_over(sent) == through_bytes(sent)


KIN: list[dict[str, Any]] = [
    {"k": np.float64(1.5)},
    {"k": Colour.RED},
    {Colour.RED: 1},
    {"k": (1, 2)},
    {"k": bytearray(b"x")},
    {"k": datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))},
    {"parameters": {"request_id": "r", "flush": True}},
]


@pytest.mark.parametrize("sent", KIN)
def test_kin_of_a_known_type_are_handed_over_as_that_type(sent: dict[str, Any]) -> None:
    found = metadata.hand_over(sent)
    assert found == through_bytes(sent)
    assert [type(value) for value in found[0].values()] == [type(value) for value in through_bytes(sent)[0].values()]


def test_no_metadata_are_an_empty_dict() -> None:
    assert metadata.hand_over(None) == ({}, False, False)


def test_what_is_handed_over_shares_nothing_with_what_was_sent() -> None:
    sent = {"list": [[1]], "dict": {"a": {"b": 1}}}
    found, _, _ = metadata.hand_over(sent)
    found["list"][0].append(2)
    found["dict"]["a"]["b"] = 2
    found["more"] = 1
    assert sent == {"list": [[1]], "dict": {"a": {"b": 1}}}


WRONG: list[tuple[Any, type[Exception]]] = [([1], TypeError), ({"k": 2**63}, OverflowError), ({5: 1}, RuntimeError)]


@pytest.mark.parametrize(("sent", "error"), WRONG)
def test_what_cannot_travel_cannot_be_handed_over(sent: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        metadata.hand_over(sent)
