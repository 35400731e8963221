"""Keys and values of parameters: what is taken, what is refused and with which words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora.messages import params
from dora.messages.params import ParamFault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(JSON)
def test_every_json_value_arrives_as_it_was(value: Any) -> None:
    assert params.decode_value(params.text_of(value)) == value


TYPED = [
    ("5", 5),
    ("-5", -5),
    ("1.0", 1.0),
    ("true", True),
    ("null", None),
    ('"5"', "5"),
    ('{"a": [1, 2]}', {"a": [1, 2]}),
    ("12345678901234567890123", 12345678901234567890123),
    ("fast", "fast"),
    ("1.2.3", "1.2.3"),
    ("01234", "01234"),
    ("two words", "two words"),
    ("True", "True"),
]


@pytest.mark.parametrize(("words", "value"), TYPED)
def test_what_is_typed_is_json_or_else_a_text(words: str, value: Any) -> None:
    found = params.value_of(words)
    assert (found, type(found)) == (value, type(value))


WRONG = [
    ('{"a": 1', '`{"a": 1` is not valid JSON: it ends too early'),
    ("[1 2]", "`[1 2]` is not valid JSON: expected ',' or ']' (byte 3)"),
    ('"x', '`"x` is not valid JSON: it ends too early'),
    ("", "`` is not valid JSON: it ends too early"),
    ("NaN", "JSON has no number `NaN`"),
    ("-1e400", "JSON has no number `-1e400`"),
    ("[" * 129 + "]" * 129, "the value is nested more than 128 levels deep"),
]


@pytest.mark.parametrize(("words", "text"), WRONG)
def test_broken_json_is_no_text(words: str, text: str) -> None:
    with pytest.raises(ParamFault) as caught:
        params.value_of(words)
    assert str(caught.value) == text


@pytest.mark.parametrize("value", [math.nan, b"x", object(), {1, 2}, "\udcff"])
def test_what_json_does_not_have_is_refused(value: Any) -> None:
    with pytest.raises(ParamFault, match=r"the value cannot be written as JSON|is not valid JSON"):
        params.text_of(value)


def test_a_value_has_at_most_65536_bytes() -> None:
    assert len(params.text_of("x" * 65534)) == 65536
    with pytest.raises(ParamFault, match="the value has 65537 bytes as JSON, the most is 65536"):
        params.text_of("x" * 65535)


def test_brackets_in_a_text_are_not_depth() -> None:
    params.check_text('"' + "[" * 500 + '\\""')


KEYS = [
    ("", "the key of a parameter must not be empty"),
    ("a\0b", r"the key 'a\x00b' holds a control character"),
    ("é" * 129, "the key `éééééééééééééééééééé...` has 258 bytes, the most is 256"),
    ("\udcff", r"the key '\udcff' is not valid Unicode"),
]


@pytest.mark.parametrize(("key", "text"), KEYS)
def test_a_wrong_key_is_refused(key: str, text: str) -> None:
    with pytest.raises(ParamFault) as caught:
        params.check_key(key)
    assert str(caught.value) == text


@pytest.mark.parametrize("key", ["exposure", "a/b", "two words", "é" * 128, "a.b:c"])
def test_other_keys_are_fine(key: str) -> None:
    params.check_key(key)
