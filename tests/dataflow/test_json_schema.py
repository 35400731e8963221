"""The JSON Schema says what the loader says: it is shipped as it is made, and both agree on right and wrong files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dataflow.conftest import Load
from dora.dataflow.document import YamlList, YamlScalar, YamlValue, parse_document
from dora.dataflow.fields import Table
from dora.dataflow.json_schema import dataflow_schema, module_schema, schema_text
from dora.dataflow.report import Report
from dora.dataflow.scalars import meaning
from dora.dataflow.schema import INPUT_FIELDS, NODE_FIELDS, OPERATOR_FIELDS, ROOT_FIELDS
from dora.errors import DescriptorError

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "src" / "dora" / "dataflow" / "static" / "dataflow-schema.json"
DATAFLOW = jsonschema.Draft7Validator(dataflow_schema())


def plain(value: YamlValue | None) -> Any:
    """A document as editors hand it to the schema (YAML 1.2)."""
    if value is None or isinstance(value, YamlScalar):
        return None if value is None else meaning(value)
    if isinstance(value, YamlList):
        return [plain(item) for item in value.items]
    return {key: plain(entry.value) for key, entry in value.entries.items()}


def faults(text: str) -> list[str]:
    """What the schema does not like."""
    document = plain(parse_document(text, Report("f.yml")))
    return [f"{fault.json_path}: {fault.message}" for fault in DATAFLOW.iter_errors(document)]


def dataflow_files() -> list[Path]:
    """The dataflow files of the project."""
    found = [*ROOT.glob("examples/*/dataflow.yml"), *ROOT.glob("benchmarks/dataflows/*.yml")]
    return sorted(found, key=str)


def test_schemas_are_schemas() -> None:
    for schema in (dataflow_schema(), module_schema()):
        jsonschema.Draft7Validator.check_schema(schema)


def test_shipped_schema_is_that_of_the_model() -> None:
    assert SHIPPED.read_text() == schema_text(dataflow_schema()), "run scripts/docs"


@pytest.mark.parametrize("file", dataflow_files(), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_dataflows_of_the_project_are_right(file: Path) -> None:
    assert faults(file.read_text()) == []


def test_every_key_is_explained() -> None:
    schema = dataflow_schema()
    for table, known in ((ROOT_FIELDS, schema), (NODE_FIELDS, schema["definitions"]["node"])):
        assert list(known["properties"]) == list(table)
        assert all(key["description"] for key in known["properties"].values())


def test_module_file_is_right_and_wrong() -> None:
    validator = jsonschema.Draft7Validator(module_schema())
    good = {"module": {"name": "m", "inputs": ["a"]}, "nodes": [{"id": "n", "path": "n.py", "inputs": {"a": "_mod/a"}}]}
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "module": {"input": ["a"]}})
    assert not validator.is_valid({**good, "env": {}})


VALUES = [
    "5", "0", "-1", "1.5", "-0.5", "1e20", "1e400", "true", "''", "x", "'5'", "a/b", "/a", "a b", "64MB", "'64 XB'",
    "1.5gb", "info", "INFO", "always", "raw", "backpressure", "service-client", "service", "[]", "[a]", "[5]", "[a/b]",
    "['a b']",
    "[-1]", "[true]", "[[a]]", "{}", "{a: b}", "{a: 5}", "{a: raw}", "{a: [b]}", "{a: null}", "[{from: a, to: b}]",
    "[{from: a}]", "{machine: m}", "{distribute: ftp}", "{enable_debug_inspection: 1}", "{source: a.py}",
]  # fmt: skip
INSIDE: dict[str, tuple[Table, str]] = {
    "root": (ROOT_FIELDS, "{{nodes: [], {key}: {value}}}"),
    "node": (NODE_FIELDS, "nodes: [{{id: n, path: n.py, {key}: {value}}}]"),
    "operator": (OPERATOR_FIELDS, "nodes: [{{id: n, operator: {{python: o.py, {key}: {value}}}}}]"),
    "input": (
        INPUT_FIELDS,
        "nodes: [{{id: n, path: n.py, inputs: {{i: {{source: n/o, {key}: {value}}}}}, outputs: [o]}}]",
    ),
}
DECIDED_ELSEWHERE = {
    "nodes",
    "id",
    "path",
    "source",
    "python",
    "operator",
    "operators",
    "module",
    "params",
    "ros2",
    "hub",
}
DECIDED_ELSEWHERE |= {"shared-library", "wasm"}
PAIRS = [(where, key) for where, (table, _) in INSIDE.items() for key in table if key not in DECIDED_ELSEWHERE]


@pytest.mark.parametrize(("where", "key"), PAIRS)
def test_schema_and_loader_agree_on_what_a_key_may_hold(load: Load, where: str, key: str) -> None:
    """What the schema refuses has a problem for the loader; what has the wrong type for it, the schema refuses."""
    for value in VALUES:
        text = INSIDE[where][1].format(key=key, value=value)
        problems = said(load, text)
        wrong = [line for line in problems if f"'{key}'" in line and "expected" in line]
        refused = faults(text)
        assert not refused or problems, f"{text}: only the schema says {refused}"
        assert not wrong or refused, f"{text}: only the loader says {wrong}"


def said(load: Load, text: str) -> list[str]:
    """All that the loader says about a file, warnings too."""
    try:
        return list(load(text).warnings)
    except DescriptorError as error:
        return error.problems


WRONG = [
    "nodes: 5",
    "node: []",
    "nodes: [{path: a.py}]",
    "nodes: [{id: a}]",
    "nodes: [{id: a, path: null}]",
    "nodes: [{id: a, path: a.py, operator: {python: a.py}}]",
    "nodes: [{id: .a, path: a.py}]",
    "nodes: [{id: dora, path: a.py}]",
    "nodes: [{id: a, path: a.py, output: [x]}]",
    "nodes: [{id: a, path: a.py, outputs: [x/]}]",
    "nodes: [{id: a, path: a.py, venv: v, conda: c}]",
    "nodes: [{id: a, path: a.py, inputs: [b/x]}]",
    "nodes: [{id: a, path: a.py, inputs: {i: b}}]",
    "nodes: [{id: a, path: a.py, inputs: {i: dora/timer/days/1}}]",
    "nodes: [{id: a, path: a.py, inputs: {i: dora/logs/loud}}]",
    "nodes: [{id: a, path: a.py, inputs: {i: {queue_size: 1}}}]",
    "nodes: [{id: a, path: a.py, inputs: {i: {source: a/o, queue: 1}}, outputs: [o]}]",
    "nodes: [{id: a, path: a.py, inputs: {'i i': a/o}, outputs: [o]}]",
    "nodes: [{id: a, path: a.py, env: {A: [1]}}]",
    "nodes: [{id: a, operators: []}]",
    "nodes: [{id: a, operators: [{python: a.py}]}]",
    "nodes: [{id: a, operator: {inputs: {}}}]",
    "nodes: [{id: a, operator: {python: {conda_env: x}}}]",
]


@pytest.mark.parametrize("text", WRONG)
def test_schema_and_loader_refuse_the_same_files(load: Load, text: str) -> None:
    assert faults(text)
    assert said(load, text)


RIGHT = [
    "nodes: [{id: 5, path: a.py, inputs: , outputs: }]",
    "x-anchors: {a: 1}\nnodes: [{id: a, path: dynamic}]",
    "nodes: [{id: a, path: a.py, inputs: {t: dora/timer/hz/1.5, l: dora/logs/INFO/a, m: dora/logs}}]",
    "nodes: [{id: a, path: a.py, env: {A: 1, B: x, C: true, D: {__dora_env: HOME}}}]",
    "nodes: [{id: a, operators: [{id: b, python: {source: b.py, conda_env: c}, inputs: {t: dora/timer/secs/1}}]}]",
]


@pytest.mark.parametrize("text", RIGHT)
def test_schema_and_loader_accept_the_same_files(load: Load, text: str) -> None:
    assert faults(text) == []
    assert load(text, env={"HOME": "/home/u"}).warnings == ()


def test_schema_is_json_without_python_words() -> None:
    assert json.loads(schema_text(dataflow_schema()))["title"] == "dora dataflow"
