"""Reads the keys of a mapping by a table: which keys there are, what each may hold, what it means.

Strategy: a `ValueType` turns one YAML value into Python and says in words (and as JSON Schema) what it
expects; a `Field` is a key with its type, default and meaning; `read_fields` walks one mapping by its
table.  The tables themselves are in `schema.py`; from them come the checks, the hints, and the
generated pages and JSON Schema.  A value that is wrong is reported and then counts as not stated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from dora.dataflow.document import YamlList, YamlMap, YamlScalar, YamlValue
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.scalars import described, is_null, meaning
from dora.ids import data_id_fault

Read = Callable[[YamlValue, str, Report], Any]
"""(value, subject for messages, report) -> the Python value, or None after a report."""


class ValueType(NamedTuple):
    """What a value may be.

    Attributes:
        expected: completes the sentence "expected ...".
        schema: the same as JSON Schema.
    """

    expected: str
    read: Read
    schema: Mapping[str, Any]


class Field(NamedTuple):
    """One key.

    Attributes:
        default: what is written in the documentation; None where absence means "not set".
        example: what to write; also in the hint where a required key is missing.
    """

    name: str
    type: ValueType
    doc: str
    default: Any = None
    is_required: bool = False
    example: str = ""


class Stated(NamedTuple):
    """The value of a key that the file states, with the places of key and value."""

    value: Any
    key_at: Place
    at: Place


@dataclass(frozen=True)
class Fields:
    """What one mapping states, by key; keys that are absent, null or wrong are not there.

    Attributes:
        wrong: keys with a value that was reported.
    """

    at: Place
    stated: dict[str, Stated] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def get(self, name: str, default: Any = None) -> Any:
        """The stated value, or `default`."""
        found = self.stated.get(name)
        return default if found is None else found.value

    def key_at(self, name: str) -> Place:
        """Where the key stands; the mapping itself if it is not stated."""
        found = self.stated.get(name)
        return self.at if found is None else found.key_at

    def value_at(self, name: str) -> Place:
        """Where the value stands; the mapping itself if it is not stated."""
        found = self.stated.get(name)
        return self.at if found is None else found.at


class Table(dict[str, Field]):
    """Fields by key.

    Attributes:
        required: those that must be stated.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        super().__init__({entry.name: entry for entry in fields})
        self.required: Final = tuple(entry for entry in self.values() if entry.is_required)


def table(*fields: Field) -> Table:
    """A table by key."""
    return Table(fields)


def read_fields(value: YamlMap, fields: Table, subject: str, report: Report) -> Fields:
    """Read a mapping by its table; unknown keys are warned about, with a suggestion.

    Args:
        subject: what messages call the mapping, empty for the root.
    """
    found = Fields(value.place)
    prefix = f"{subject}: " if subject else ""
    _check_required(value, fields, prefix, report)
    for key, (key_at, entry) in value.entries.items():
        known = fields.get(key)
        if known is None:
            report.warn(key_at, f"{prefix}unknown key {shown(key)} is ignored", report.suggest(key, fields))
        elif not is_null(entry):
            read = known.type.read(entry, f"{prefix}'{key}'", report)
            if read is None:
                found.wrong.add(key)
            else:
                found.stated[key] = Stated(read, key_at, entry.place)
    return found


def _check_required(value: YamlMap, fields: Table, prefix: str, report: Report) -> None:
    for entry in fields.required:
        name = entry.name
        given = value.entries.get(name)
        if given is None or is_null(given.value):
            at = value.place if given is None else given.place
            hint = f"add `{name}: {entry.example}`" if entry.example else ""
            report.error(at, f"{prefix}expected {entry.type.expected} as '{name}', found none", hint)


def unexpected(value: YamlValue, subject: str, expected: str, report: Report, hint: str = "") -> None:
    """Report that `value` is not what was expected."""
    report.error(value.place, f"{subject}: expected {expected}, found {described(value)}", hint)


def read_text(value: YamlValue, subject: str, report: Report) -> str | None:
    """Any scalar as the text that the file shows (dora-rs: numbers are stringified)."""
    if not isinstance(value, YamlScalar) or is_null(value):
        hint = "write it as one text" if isinstance(value, YamlList) else ""
        unexpected(value, subject, "a text", report, hint)
        return None
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value.text):
        report.error(value.place, f"{subject}: expected a text without NUL characters, found {shown(value.text)}")
        return None
    return value.text


TEXT: Final = ValueType("a text", read_text, {"type": ["string", "number", "boolean"]})


def _read_truth(value: YamlValue, subject: str, report: Report) -> bool | None:
    plain = meaning(value) if isinstance(value, YamlScalar) else None
    if isinstance(plain, bool):
        return plain
    unexpected(value, subject, "true or false", report)
    return None


TRUTH: Final = ValueType("true or false", _read_truth, {"type": "boolean"})


def whole_number(minimum: int, maximum: int) -> ValueType:
    """Integers in a range, both ends included."""
    expected = f"a whole number from {minimum} to {maximum}"
    if maximum >= 2**31:
        expected = f"a whole number of at least {minimum}" if minimum else "a whole number, 0 or more"

    def read(value: YamlValue, subject: str, report: Report) -> int | None:
        plain = meaning(value) if isinstance(value, YamlScalar) else None
        if isinstance(plain, int) and not isinstance(plain, bool) and minimum <= plain <= maximum:
            return plain
        unexpected(value, subject, expected, report, _unquote_hint(value))
        return None

    return ValueType(expected, read, {"type": "integer", "minimum": minimum, "maximum": maximum})


def seconds(*, may_be_zero: bool = True) -> ValueType:
    """A finite number of seconds."""
    expected = "a number of seconds, 0 or more" if may_be_zero else "a number of seconds above 0"

    def read(value: YamlValue, subject: str, report: Report) -> float | None:
        plain = meaning(value) if isinstance(value, YamlScalar) else None
        if isinstance(plain, (int, float)) and not isinstance(plain, bool) and abs(plain) < 1e15:
            number = float(plain)
            if number > 0 or (number == 0 and may_be_zero):
                return number
        unexpected(value, subject, expected, report, _unquote_hint(value))
        return None

    limit = "minimum" if may_be_zero else "exclusiveMinimum"
    return ValueType(expected, read, {"type": "number", limit: 0, "exclusiveMaximum": 1e15})


def one_of(*values: str, any_case: bool = False) -> ValueType:
    """One of a few words."""
    expected = "one of " + ", ".join(values)

    def read(value: YamlValue, subject: str, report: Report) -> str | None:
        text = value.text if isinstance(value, YamlScalar) else None
        word = text.lower() if text is not None and any_case else text
        if word in values:
            return word
        hint = report.suggest(text.lower().replace("_", "-"), values) if text is not None else ""
        unexpected(value, subject, expected, report, hint if hint.startswith("did") else "")
        return None

    return ValueType(expected, read, {"enum": list(values)})


def list_of(item: ValueType, what: str) -> ValueType:
    """A list whose items have one type; wrong items are reported and left out."""
    expected = f"a list of {what}"

    def read(value: YamlValue, subject: str, report: Report) -> list[tuple[Any, Place]] | None:
        if not isinstance(value, YamlList):
            hint = f"write it as a list: [{value.text}]" if isinstance(value, YamlScalar) and value.text else ""
            unexpected(value, subject, expected, report, hint)
            return None
        read_items = [(item.read(entry, subject, report), entry.place) for entry in value.items]
        return [(entry, at) for entry, at in read_items if entry is not None]

    return ValueType(expected, read, {"type": "array", "items": item.schema})


def map_of(item: ValueType, what: str) -> ValueType:
    """A mapping from any key to values of one type: `{key: Stated}`."""
    expected = f"a mapping {what}"

    def read(value: YamlValue, subject: str, report: Report) -> dict[str, Stated] | None:
        if not isinstance(value, YamlMap):
            unexpected(value, subject, expected, report)
            return None
        found: dict[str, Stated] = {}
        for key, (key_at, entry) in value.entries.items():
            read_item = item.read(entry, f"{subject}: {shown(key)}", report)
            if read_item is not None:
                found[key] = Stated(read_item, key_at, entry.place)
        return found

    return ValueType(expected, read, {"type": "object", "additionalProperties": item.schema})


def group(fields: Table, expected: str) -> ValueType:
    """A mapping that has a table of its own, read to `Fields`."""

    def read(value: YamlValue, subject: str, report: Report) -> Fields | None:
        if isinstance(value, YamlMap):
            return read_fields(value, fields, subject, report)
        unexpected(value, subject, expected, report)
        return None

    return ValueType(expected, read, schema_of(fields))


def schema_of(fields: Table) -> dict[str, Any]:
    """The JSON Schema of a mapping with these keys."""
    properties = {name: entry.type.schema for name, entry in fields.items()}
    return {
        "type": "object",
        "required": [name for name, entry in fields.items() if entry.is_required],
        "properties": properties,
        "additionalProperties": False,
    }


def _read_as_is(value: YamlValue, subject: str, report: Report) -> YamlValue:
    return value


def as_is(expected: str, schema: Mapping[str, Any]) -> ValueType:
    """The YAML value itself, for keys with a reader of their own."""
    return ValueType(expected, _read_as_is, schema)


def plain_map(found: Mapping[str, Stated] | None) -> dict[str, Any]:
    """What `map_of` read, without places."""
    return {key: entry.value for key, entry in (found or {}).items()}


def items_of(found: list[tuple[Any, Place]] | None) -> tuple[Any, ...] | None:
    """What `list_of` read, without places."""
    return None if found is None else tuple(item for item, _ in found)


_SIZE_TEXT: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_SIZE_UNITS: Final = {"": 0, "B": 0, "K": 10, "KB": 10, "M": 20, "MB": 20, "G": 30, "GB": 30}
_SIZE_SCHEMA: Final = {
    "type": ["integer", "string"],
    "minimum": 0,
    "exclusiveMaximum": 2**63,
    "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([Bb]|[KkMmGg][Bb]?)?\s*$",
}
_SIZE_EXPECTED: Final = "a size in bytes or with a unit, such as 64MB (B, KB, MB, GB)"


def _read_size(value: YamlValue, subject: str, report: Report) -> int | None:
    plain = meaning(value) if isinstance(value, YamlScalar) else None
    if isinstance(plain, int) and not isinstance(plain, bool) and 0 <= plain < 2**63:
        return plain
    if isinstance(plain, str) and len(plain) < 40:
        found = _SIZE_TEXT.fullmatch(plain)
        if found and found.group(2).upper() in _SIZE_UNITS:
            size = float(found.group(1)) * 2 ** _SIZE_UNITS[found.group(2).upper()]
            if math.isfinite(size) and size < 2**63:
                return int(size)
    unexpected(value, subject, _SIZE_EXPECTED, report)
    return None


SIZE: Final = ValueType(_SIZE_EXPECTED, _read_size, _SIZE_SCHEMA)


def _read_data_id(value: YamlValue, subject: str, report: Report) -> str | None:
    text = read_text(value, subject, report)
    fault = data_id_fault(text) if text is not None else None
    if text is None or fault is None:
        return text
    report.error(value.place, f"{subject}: {shown(text)} cannot be an output id: {fault}")
    return None


OUTPUT_ID: Final = ValueType(
    "an output id",
    _read_data_id,
    {"type": ["string", "number", "boolean"], "pattern": "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"},
)


def _unquote_hint(value: YamlValue) -> str:
    is_quoted = isinstance(value, YamlScalar) and not value.is_plain and value.tag is None
    return "remove the quotes" if is_quoted and _is_number(value) else ""


def _is_number(value: YamlValue) -> bool:
    return isinstance(value, YamlScalar) and isinstance(meaning(value._replace(is_plain=True)), (int, float))
