"""What a receiver's metadata dict has for each value that was sent (dora node-api, section 7)."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora.messages import metadata
from dora.messages.params import MAX_DEPTH

UTC = datetime.timezone.utc
INSTANT = datetime.datetime(2024, 5, 17, 12, 30, 1, 250_001, UTC)


class Number(enum.IntEnum):
    TWO = 2


class Word(str, enum.Enum):
    HELLO = "hello"


class Text(str):
    __slots__ = ()


class Real(float):
    pass


@pytest.fixture(autouse=True)
def nothing_warned_yet() -> Iterator[None]:
    """Warnings are given once per key and process."""
    metadata._warned.clear()
    yield
    metadata._warned.clear()


def received(sent: dict[Any, Any]) -> dict[str, Any]:
    """What arrives."""
    encoded, _, _ = metadata.encode(sent)
    return metadata.decode(encoded) if encoded else {}


SAME = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    1.5,
    float("inf"),
    "",
    "text",
    "\u00f6\U0001f600",
    b"",
    b"\0\xff",
]
SAME += ["x" * 100_000, [], [1, 2], [1.5, 2.5], ["a", "b"], [1, 2.5], ["a", 1], [None, True, b"x"], [[1], []]]
SAME += [{}, {"a": {"b": [1, None]}}, [{"a": 1}], INSTANT, [INSTANT], {"when": INSTANT}]


@pytest.mark.parametrize("value", SAME, ids=lambda value: repr(value)[:30])
def test_value_arrives_as_it_was_sent(value: Any) -> None:
    found = received({"key": value})["key"]
    assert (found, type(found)) == (value, type(value))


CHANGED = [
    (Number.TWO, 2),
    (Text("t"), "t"),
    (Word.HELLO, "hello"),
    (np.str_("n"), "n"),
    (np.float64(1.5), 1.5),
    (Real(2.5), 2.5),
    ((1, 2), [1, 2]),
    ((), []),
    (bytearray(b"x"), b"x"),
    (memoryview(b"x"), b"x"),
    ([Number.TWO, np.float64(0.5), Word.HELLO, (1,)], [2, 0.5, "hello", [1]]),
    (INSTANT.astimezone(datetime.timezone(datetime.timedelta(hours=5))), INSTANT),
    ({1: "a", "b": (2,)}, {"1": "a", "b": [2]}),
    ({Word.HELLO: 1}, {"hello": 1}),
]


@pytest.mark.parametrize(("sent", "found"), CHANGED, ids=lambda value: repr(value)[:30].partition(" at 0x")[0])
def test_kin_of_a_known_type_arrive_as_that_type(sent: Any, found: Any) -> None:
    arrived = received({"key": sent})["key"]
    assert (arrived, type(arrived)) == (found, type(found))


def test_nan_arrives() -> None:
    assert received({"key": float("nan")})["key"] != received({"key": float("nan")})["key"]


def test_instant_arrives_in_utc() -> None:
    sent = INSTANT.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    assert received({"key": sent})["key"].utcoffset() == datetime.timedelta(0)


def test_naive_datetime_is_local_time() -> None:
    naive = datetime.datetime(2024, 5, 17, 12)
    assert received({"key": naive})["key"] == naive.astimezone(UTC)


TEXTS = [{1, 2}.__class__([1]), datetime.date(2024, 5, 17), datetime.timedelta(seconds=1), np.int64(5), np.float32(1.5)]
TEXTS += [np.bool_(True), np.array([1, 2]), decimal.Decimal("1.5"), uuid.UUID(int=5), 1 + 2j, range(3)]


@pytest.mark.parametrize("value", TEXTS, ids=lambda value: type(value).__name__)
def test_anything_else_arrives_as_text_with_a_warning_that_names_the_key(value: Any) -> None:
    kind = type(value).__name__
    with pytest.warns(UserWarning, match=rf"metadata 'key': {kind} is not a metadata type, sent as text \(expected"):
        assert received({"key": value}) == {"key": str(value)}


@pytest.mark.parametrize("value", [1j, [1j], {"a": [1j]}], ids=["plain", "list", "dict"])
def test_warning_points_at_the_line_that_sends(value: Any) -> None:
    with pytest.warns(UserWarning, match="metadata .key.") as warned:
        metadata.encode({"key": value})
    assert [warning.filename for warning in warned] == [__file__]


def test_key_is_warned_of_once() -> None:
    with pytest.warns(UserWarning, match="metadata 'key'"):
        metadata.encode({"key": 1j})
    assert received({"key": 2j}) == {"key": "2j"}


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30])
@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: [n], lambda n: {"a": n}], ids=["plain", "list", "dict"])
def test_number_beyond_64_bits_is_refused(number: int, wrap: Any) -> None:
    with pytest.raises(OverflowError, match="Python int too large to convert to C long"):
        metadata.encode({"key": wrap(number)})


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    """A number within that many lists or dicts."""
    return functools.reduce(lambda value, _: wrap(value), range(levels), 1)


WRAPS = pytest.mark.parametrize(
    "wrap", [lambda value: [value], lambda value: (value,), lambda value: {"a": value}], ids=["list", "tuple", "dict"]
)


@WRAPS
def test_value_may_be_nested_as_deep_as_a_parameter(wrap: Callable[[Any], Any]) -> None:
    wrap_as_sent = (lambda v: [v]) if wrap(1) == (1,) else wrap
    assert received({"key": nested(MAX_DEPTH, wrap)}) == {"key": nested(MAX_DEPTH, wrap_as_sent)}


@WRAPS
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 100_000])
@pytest.mark.parametrize("send", [metadata.encode, metadata.hand_over])
def test_value_that_is_nested_deeper_is_refused(send: Any, levels: int, wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="metadata 'key' is nested more than 128 levels deep"):
        send({"key": nested(levels, wrap)})


def test_value_that_holds_itself_is_refused() -> None:
    own: dict[str, Any] = {}
    own["own"] = [own]
    with pytest.raises(ValueError, match=r"metadata 'key' is nested more than 128 levels deep, or holds itself; "):
        metadata.encode({"key": own})


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        metadata.encode({"key": "\ud800"})


@pytest.mark.parametrize("key", [1, None, b"x", ("a",)])
def test_key_that_is_no_text_is_refused(key: Any) -> None:
    with pytest.raises(RuntimeError, match="Parsing metadata keys: expected str, found"):
        metadata.encode({key: 1})


@pytest.mark.parametrize("key", [Text("k"), Word.HELLO])
def test_key_of_a_kind_of_str_is_its_text(key: str) -> None:
    assert received({key: 1}) == {key.__str__() if isinstance(key, Text) else "hello": 1}


def test_empty_key_is_allowed() -> None:
    assert received({"": 1}) == {"": 1}


@pytest.mark.parametrize("value", [[("a", 1)], "text", (), 5])
def test_metadata_that_is_no_dict_is_refused(value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(TypeError, match=f"'{kind}' object is not an instance of 'dict'"):
        metadata.encode(value)


def test_subclass_of_dict_is_a_dict() -> None:
    class Ordered(dict):  # type: ignore[type-arg]
        pass

    assert received(Ordered(a=1)) == {"a": 1}


def test_no_metadata_takes_no_room() -> None:
    assert metadata.encode({}) == (b"", False, False)


# -- special keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["request_id", "goal_id", "goal_status"])
def test_message_with_such_a_key_is_correlated(key: str) -> None:
    assert metadata.encode({key: "1"})[1:] == (True, False)


@pytest.mark.parametrize("key", ["session_id", "segment_id", "seq", "fin", "requestid"])
def test_message_with_another_key_is_not(key: str) -> None:
    assert metadata.encode({key: "1"})[1:] == (False, False)


@pytest.mark.parametrize(("value", "is_flush"), [(True, True), (False, False), (1, False), ("true", False)])
def test_only_true_flushes(value: Any, is_flush: bool) -> None:
    assert metadata.encode({"flush": value})[1:] == (False, is_flush)


@pytest.mark.parametrize("key", ["request_id", "goal_id", "goal_status", "flush", "seq", "timestamp"])
def test_special_keys_arrive_unchanged(key: str) -> None:
    assert received({key: "value"}) == {key: "value"}


def test_nested_parameters_are_merged_into_the_top() -> None:
    assert received({"a": 1, "parameters": {"b": 2, "c": [3]}}) == {"a": 1, "b": 2, "c": [3]}


def test_flush_and_correlation_count_among_nested_parameters() -> None:
    assert metadata.encode({"parameters": {"request_id": "1", "flush": True}})[1:] == (True, True)


def test_parameters_that_are_no_dict_arrive_as_they_are() -> None:
    assert received({"parameters": [1]}) == {"parameters": [1]}


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"parameters": d}], ids=["top", "nested"])
def test_internal_keys_are_left_out(wrap: Any) -> None:
    assert received(wrap({"_framing": 1, "__dora_x": 2, "_schema": 3})) == {"_schema": 3}


def test_what_arrives_is_a_dict_of_its_own() -> None:
    encoded, _, _ = metadata.encode({"a": [1]})
    metadata.decode(encoded)["a"].append(2)
    assert metadata.decode(encoded) == {"a": [1]}


def test_sender_keeps_its_dict_unchanged() -> None:
    sent = {"parameters": {"a": (1,)}, "_framing": 1}
    metadata.encode(sent)
    assert sent == {"parameters": {"a": (1,)}, "_framing": 1}


# -- any -----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INSTANTS = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30), timezones=st.just(UTC))
LEAF = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
LEAF |= TEXT | st.binary() | INSTANTS
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(st.dictionaries(TEXT.filter(lambda key: key != "parameters" and not key.startswith(("__dora_", "_fr"))), VALUE))
def test_any_native_metadata_arrives_as_it_was_sent(sent: dict[str, Any]) -> None:
    assert received(sent) == sent
