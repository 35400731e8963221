"""Metadata <-> bytes: msgpack, with the rules of dora node-api section 7 and design.md section 10.

None, bool, int64, float, str, bytes, lists and dicts of those and instants in time travel natively; a nested
`parameters` dict is merged into the top level; anything else becomes `str(value)` with one warning per key.
Values are as deep as those of parameters at most, so that any receiver can decode what a sender could encode.
"""

from __future__ import annotations

import datetime
import sys
import warnings
from typing import Any, Final

import msgspec

from dora.messages.params import MAX_DEPTH

_PLAIN: Final = frozenset({str, float, bool, type(None), bytes})
_SPECIAL: Final = frozenset({"request_id", "goal_id", "goal_status", "parameters", "flush", "_framing"})
_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1
_UTC: Final = datetime.timezone.utc
_warned: set[str] = set()

_pack: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode
"""decode(buffer): a fresh dict"""


def encode(metadata: dict[str, Any]) -> tuple[bytes, bool, bool]:
    """Encode; returns (bytes, is correlated, is flush).

    Raises:
        TypeError: `metadata` is not a dict.
        RuntimeError: a key is not a str.
        OverflowError: an int does not fit into 64 bits.
        ValueError: a value is nested more than `MAX_DEPTH` levels deep, or is text that UTF-8 does not have.
    """
    if not isinstance(metadata, dict):
        raise TypeError(f"'{type(metadata).__name__}' object is not an instance of 'dict'")
    for key, value in metadata.items():
        kind = type(value)
        if kind not in _PLAIN and (kind is not int or not _INT64_MIN <= value <= _INT64_MAX):
            return _encode_carefully(metadata)
        if type(key) is not str or key in _SPECIAL or key[:7] == "__dora_":
            return _encode_carefully(metadata)
    return (_pack(metadata) if metadata else b""), False, False


def _encode_carefully(metadata: dict[str, Any]) -> tuple[bytes, bool, bool]:
    plain, correlated, is_flush = _made_plain(metadata)
    return _pack(plain), correlated, is_flush


def hand_over(metadata: dict[str, Any] | None) -> tuple[dict[str, Any], bool, bool]:
    """What a receiver in this same process gets: (a dict of its own, is correlated, is flush).  Raises as `encode`."""
    if metadata is None:
        return {}, False, False
    if not isinstance(metadata, dict):
        raise TypeError(f"'{type(metadata).__name__}' object is not an instance of 'dict'")
    for key, value in metadata.items():
        kind = type(value)
        if kind is int:
            if not _INT64_MIN <= value <= _INT64_MAX:
                break
        elif kind not in _PLAIN and (kind is not datetime.datetime or value.tzinfo is not _UTC):
            break
        if type(key) is not str or key in _SPECIAL or key[:7] == "__dora_":
            break
    else:
        return dict(metadata), False, False
    return _made_plain(metadata)


def _made_plain(metadata: dict[str, Any]) -> tuple[dict[str, Any], bool, bool]:
    plain: dict[str, Any] = {}
    for key, value in metadata.items():
        if type(key) is not str:
            if not isinstance(key, str):
                raise RuntimeError(f"Parsing metadata keys: expected str, found {type(key).__name__} ({key!r})")
            key = str.__str__(key)  # a str Enum's own `str` is its name
        plain[key] = value if type(value) in _PLAIN else _native(key, value)
    nested = plain.get("parameters")
    if type(nested) is dict:
        del plain["parameters"]
        plain.update(nested)
    for key in [key for key in plain if key == "_framing" or key.startswith("__dora_")]:
        del plain[key]
    correlated = "request_id" in plain or "goal_id" in plain or "goal_status" in plain
    return plain, correlated, plain.get("flush") is True


def _native(key: str, value: Any, level: int = 0) -> Any:
    """`level`: lists and dicts around the value."""
    if isinstance(value, (int, str, float)):
        return _number_or_text(value)
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo is _UTC else value.astimezone(_UTC)
    if isinstance(value, (dict, list, tuple)) and level == MAX_DEPTH:
        text = f"metadata {key!r} is nested more than {MAX_DEPTH} levels deep, or holds itself"
        raise ValueError(f"{text}; send such data as JSON text")
    if isinstance(value, dict):
        return {_text(name): _native(key, item, level + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _PLAIN else _native(key, item, level + 1) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return value if value is None else _as_text(key, value)


def _text(name: Any) -> str:
    return str.__str__(name) if isinstance(name, str) else str(name)


def _number_or_text(value: Any) -> Any:
    """Subclasses (numpy scalars, enums, bool) as the plain value they stand for."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bool, float)):
        return value if isinstance(value, bool) else float(value)
    if not _INT64_MIN <= value <= _INT64_MAX:
        raise OverflowError("Python int too large to convert to C long")
    return int(value)


def _as_text(key: str, value: Any) -> str:
    if key not in _warned:
        _warned.add(key)
        warnings.warn(
            f"metadata {key!r}: {type(value).__name__} is not a metadata type, sent as text "
            "(expected None, bool, int, float, str, bytes, datetime, list or dict)",
            stacklevel=_level_of_caller(),
        )
    return str(value)


def _level_of_caller() -> int:
    """For `warnings.warn` in the function that asks: how far up the code is that does not belong to dora."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("dora."):
        frame, level = frame.f_back, level + 1
    return level
