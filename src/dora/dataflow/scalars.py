"""What a YAML scalar means: nothing, a truth value, a number or a text (YAML 1.2 core schema).

Strategy: only unquoted scalars can be anything but text, `yes` and `on` are texts, dates are texts;
`007` is the number 7 as in dora-rs.  An explicit `!!str` makes a text of anything.
"""

from __future__ import annotations

import re
from typing import Final, Union

from dora.dataflow.document import TAG_PREFIX, YamlList, YamlMap, YamlScalar, YamlValue
from dora.dataflow.report import shown

Plain = Union[None, bool, int, float, str]

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?[0-9]{1,400}")
_BASED: Final = re.compile(r"([-+]?)0(?:x([0-9a-fA-F]{1,400})|o([0-7]{1,400})|b([01]{1,400}))")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: Final = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


def meaning(scalar: YamlScalar) -> Plain:
    """The value of a scalar."""
    if scalar.tag == TAG_PREFIX + "str" or (not scalar.is_plain and scalar.tag is None):
        return scalar.text
    text = scalar.text
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    number = _number(text)
    return text if number is None else number


def is_null(value: YamlValue) -> bool:
    """Nothing is written after the key, or `null`."""
    return isinstance(value, YamlScalar) and meaning(value) is None


def described(value: YamlValue) -> str:
    """What was found, for a message."""
    if isinstance(value, YamlMap):
        return "a mapping"
    if isinstance(value, YamlList):
        return "a list"
    plain = meaning(value)
    if plain is None:
        return "nothing"
    if isinstance(plain, str):
        return f"the text {shown(plain)}"
    return shown(value.text)[1:-1]


def _number(text: str) -> int | float | None:
    if _INT.fullmatch(text):
        return int(text)
    based = _BASED.fullmatch(text)
    if based:
        sign, *digits = based.groups()
        value = next(int(found, base) for found, base in zip(digits, (16, 8, 2), strict=True) if found)
        return -value if sign == "-" else value
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.get(text.lower())
    return None if special is None else float(special)
