"""Runtime parameters of nodes on every link: JSON values under names, how long they may be, and how they are written.

Strategy: a value travels as JSON text from whoever sets it to the node, which makes Python values of it; so every side
speaks of the same thing, and no link has to know its type.  Whoever takes one in from outside checks it here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

MAX_KEY_BYTES: Final = 256
MAX_VALUE_BYTES: Final = 65_536
MAX_DEPTH: Final = 128
MAX_KEYS: Final = 1024
"""of one node"""
MAX_TOTAL_BYTES: Final = 16 << 20
"""of all nodes of a dataflow, keys and values"""

_MOST_SHOWN: Final = 60
_STARTS_LIKE_JSON: Final = ("{", "[", '"')
_CONTROL: Final = re.compile("[\0-\x1f\x7f]")
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"')

decode_value: Final = msgspec.json.Decoder().decode


class ParamFault(ValueError):
    """A key or a value that no parameter may have."""


def check_key(key: str) -> None:
    """Raises `ParamFault` for a key that no parameter may have."""
    if not key:
        raise ParamFault("the key of a parameter must not be empty")
    if _CONTROL.search(key):
        raise ParamFault(f"the key {key!r} holds a control character")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise ParamFault(f"the key {key!r} is not valid Unicode") from None
    if size > MAX_KEY_BYTES:
        raise ParamFault(f"the key `{key[:20]}...` has {size} bytes, the most is {MAX_KEY_BYTES}")


def check_text(text: str) -> None:
    """Raises `ParamFault` for a text that is no JSON value, or a value that is too long or nested too deep."""
    size = len(text.encode(errors="replace"))
    if size > MAX_VALUE_BYTES:
        raise ParamFault(f"the value has {size} bytes as JSON, the most is {MAX_VALUE_BYTES}")
    _parse(text)


def text_of(value: Any) -> str:
    """A Python value as the JSON text of a parameter.

    Raises:
        ParamFault: JSON has no such value (NaN, bytes, an object), or it is too long or nested too deep.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ParamFault(f"the value cannot be written as JSON: {error}") from None
    except RecursionError:
        raise ParamFault(f"the value is nested more than {MAX_DEPTH} levels deep") from None
    check_text(text)
    return text


def value_of(words: str) -> Any:
    """What somebody typed as a value: JSON, or else the words themselves, as a string.

    Raises:
        ParamFault: it begins like JSON and is none, or is a number that JSON does not have.
    """
    try:
        return _parse(words)
    except ParamFault:
        if not words.strip() or words.lstrip().startswith(_STARTS_LIKE_JSON):
            raise
    if _is_infinite(words):
        raise ParamFault(f"JSON has no number `{words}`")
    return words


def _parse(text: str) -> Any:
    if _depth(text) > MAX_DEPTH:
        raise ParamFault(f"the value is nested more than {MAX_DEPTH} levels deep")
    try:
        return decode_value(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        shown = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
        raise ParamFault(f"`{shown}` is not valid JSON: {_plain(error)}") from None


def values_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of parameters, by key, in the order of the keys."""
    return {key: decode_value(texts[key]) for key in sorted(texts)}


def _is_infinite(words: str) -> bool:
    try:
        return not math.isfinite(float(words))
    except ValueError:
        return False


def _depth(text: str) -> int:
    """How deep it is nested, if it is JSON at all."""
    level = deepest = 0
    for character in _STRINGS.sub("", text):
        if character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")
