"""The JSON Schema of dataflow files, for editors: completion, help on hover, and a mark under a mistyped key.

Strategy: it is made from the same tables by which files are read (`schema.py`), so a new key is in it at once.  What
a table cannot say is here: that a node has exactly one kind, what inputs, environments and operators look like.
What needs the whole file (that a source exists) is for `dora validate` alone.  Keys of older versions are unknown here:
`dora validate` warns of them, and says what to write instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from dora.dataflow.environment import HOST_KEY
from dora.dataflow.examples import example
from dora.dataflow.fields import OUTPUT_ID, Field, Table
from dora.dataflow.schema import (
    INPUT_FIELDS,
    INTERPRETER_KEYS,
    KIND_KEYS,
    LATER_KEYS,
    LOG_LEVELS,
    MODULE_FILE_FIELDS,
    MODULE_HEADER_FIELDS,
    NODE_FIELDS,
    OPERATOR_FIELDS,
    OPERATOR_SOURCE_KEYS,
    PATTERNS,
    PYTHON_SOURCE_FIELDS,
    ROOT_FIELDS,
)

Schema = dict[str, Any]

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_NODE_ID: Final = r"(?!\.)(?!dora(?:/|$))[A-Za-z0-9_.-]+"
_PORT_ID: Final = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"
_TIMER: Final = r"dora/timer/(?:(?:secs|millis|micros|nanos)/[0-9]+|hz/[0-9.eE+-]+)"
_ANCHORS: Final[Schema] = {"^x-": {"description": "Anything; a place for YAML anchors."}}
_SCALARS: Final = ["string", "number", "boolean"]


def dataflow_schema() -> Schema:
    """The schema of dataflow files."""
    return {
        "$schema": _DRAFT,
        "title": "dora dataflow",
        **_mapping(ROOT_FIELDS, _ROOT_PARTS, "root"),
        "patternProperties": _ANCHORS,
        "definitions": _definitions(),
    }


def module_schema() -> Schema:
    """The schema of module files."""
    parts: Parts = {"nodes": _nodes, "module": lambda: _mapping(MODULE_HEADER_FIELDS, {}, "module_header")}
    return {
        "$schema": _DRAFT,
        "title": "dora module",
        **_mapping(MODULE_FILE_FIELDS, parts, "module_file"),
        "patternProperties": _ANCHORS,
        "definitions": _definitions(),
    }


def schema_text(schema: Schema) -> str:
    """A schema as it is written to files."""
    return json.dumps(schema, indent=1) + "\n"


Parts = Mapping[str, Callable[[], Schema]]
"""What replaces the schema of a table's type, by key."""


def _mapping(table: Table, parts: Parts, name: str) -> Schema:
    """A mapping with the keys of a table, and no others; `name` is that of the table in `examples.py`."""
    return {
        "type": "object",
        "required": [field.name for field in table.values() if field.is_required],
        "properties": {key: _key(field, parts, name) for key, field in table.items()},
        "additionalProperties": False,
    }


def _key(field: Field, parts: Parts, table: str) -> Schema:
    schema = parts[field.name]() if field.name in parts else dict(field.type.schema)
    if not field.is_required:
        schema = _or_nothing(schema)
    written = example(table, field.name)
    about = field.doc.replace("`", "") + (f"\n\nExample: {written}" if written else "")
    found = {"description": about, **schema}
    if field.default is not None:
        found["default"] = field.default
    return found


def _or_nothing(schema: Schema) -> Schema:
    """A key without a value is like one that is not there."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*types, "null"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _definitions() -> Schema:
    return {"node": _node(), "operator": _operator(), "input": _input(), "env": _env()}


def _node() -> Schema:
    schema = _mapping(NODE_FIELDS, _NODE_PARTS, "node")
    kinds = [key for key in KIND_KEYS if key not in LATER_KEYS]
    schema["oneOf"] = [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in kinds]
    schema["not"] = {"anyOf": [{"required": pair} for pair in _pairs(INTERPRETER_KEYS)]}
    return schema


def _operator() -> Schema:
    schema = _mapping(OPERATOR_FIELDS, _OPERATOR_PARTS, "operator")
    schema["required"] = [OPERATOR_SOURCE_KEYS[0]]
    return schema


def _input() -> Schema:
    long = _mapping(INPUT_FIELDS, {"source": _source}, "input")
    return {"anyOf": [_source(), long]}


def _env() -> Schema:
    host = {"type": "object", "required": [HOST_KEY], "properties": {HOST_KEY: {"type": "string"}}}
    value = {"anyOf": [{"type": _SCALARS}, {**host, "additionalProperties": False}]}
    return {"type": "object", "additionalProperties": value}


def _source() -> Schema:
    levels = "|".join(_any_case(level) for level in LOG_LEVELS)
    logs = rf"dora/logs(?:/(?:{levels})(?:/{_NODE_ID})?)?"
    return {"type": "string", "pattern": rf"^(?:{_TIMER}|{logs}|{_NODE_ID}/{_PORT_ID})$"}


def _level() -> Schema:
    pattern = "|".join(_any_case(level) for level in LOG_LEVELS)
    return {"anyOf": [{"enum": list(LOG_LEVELS)}, {"type": "string", "pattern": f"^(?:{pattern})$"}]}


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


def _python_source() -> Schema:
    return {"anyOf": [{"type": "string"}, _mapping(PYTHON_SOURCE_FIELDS, {}, "python_source")]}


def _nodes() -> Schema:
    return {"type": "array", "items": {"$ref": "#/definitions/node"}}


def _inputs() -> Schema:
    names = {"pattern": f"^{_PORT_ID}$"}
    return {"type": "object", "propertyNames": names, "additionalProperties": {"$ref": "#/definitions/input"}}


def _outputs() -> Schema:
    return {"type": "array", "items": dict(OUTPUT_ID.schema)}


def _pattern() -> Schema:
    return {"enum": list(PATTERNS)}


def _id() -> Schema:
    return {"type": ["string", "number"], "pattern": f"^{_NODE_ID}$"}


def _checksum() -> Schema:
    return {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}


def _git() -> Schema:
    return {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*://"}


def _one_operator() -> Schema:
    return {"anyOf": [{"$ref": "#/definitions/operator"}]}


def _operators() -> Schema:
    item = {"allOf": [{"$ref": "#/definitions/operator"}, {"required": ["id"]}]}
    return {"type": "array", "minItems": 1, "items": item}


def _env_key() -> Schema:
    return {"anyOf": [{"$ref": "#/definitions/env"}]}


def _pairs(keys: tuple[str, ...]) -> list[list[str]]:
    return [[one, other] for at, one in enumerate(keys) for other in keys[at + 1 :]]


_PORT_PARTS: Final[Parts] = {"inputs": _inputs, "outputs": _outputs, "pattern": _pattern}
_OPERATOR_PARTS: Final[Parts] = {**_PORT_PARTS, "python": _python_source, "min_log_level": _level}
_ROOT_PARTS: Final[Parts] = {"nodes": _nodes, "env": _env_key}
_NODE_PARTS: Final[Parts] = {
    **_PORT_PARTS,
    "id": _id,
    "env": _env_key,
    "path_sha256": _checksum,
    "git": _git,
    "min_log_level": _level,
    "operator": _one_operator,
    "operators": _operators,
}
