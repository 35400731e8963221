"""Every key has an example, and every example is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dataflow.conftest import Load
from dora.dataflow import schema
from dora.dataflow.examples import EXAMPLES, example
from dora.dataflow.fields import Table
from dora.dataflow.load import load_dataflow
from dora.errors import DescriptorError

TABLES: dict[str, Table] = {
    "root": schema.ROOT_FIELDS,
    "node": schema.NODE_FIELDS,
    "operator": schema.OPERATOR_FIELDS,
    "input": schema.INPUT_FIELDS,
    "python_source": schema.PYTHON_SOURCE_FIELDS,
    "deploy": schema.DEPLOY_FIELDS,
    "debug": schema.DEBUG_FIELDS,
    "type_rule": schema.TYPE_RULE_FIELDS,
    "module_header": schema.MODULE_HEADER_FIELDS,
    "module_file": schema.MODULE_FILE_FIELDS,
}


def test_every_key_has_an_example_and_there_are_no_others() -> None:
    assert EXAMPLES.keys() == TABLES.keys()
    for name, table in TABLES.items():
        assert all(example(name, key).startswith(f"{key}: ") for key in table), name
        assert EXAMPLES[name].keys() <= table.keys()


CAMERA = "- {id: camera, path: c.py, outputs: [image], inputs: {t: dora/timer/secs/1}}"
INSIDE = {
    "root": "{example}\nnodes: []",
    "node": "nodes:\n- id: n\n  path: n.py\n  outputs: [image]\n  {example}\n" + CAMERA,
    "input": "nodes:\n- id: n\n  path: n.py\n  inputs:\n    i:\n      source: camera/image\n      {example}\n" + CAMERA,
    "deploy": "nodes:\n- id: n\n  path: n.py\n  deploy:\n    {example}",
    "operator": "nodes:\n- id: n\n  operator:\n    python: o.py\n    {example}\n    inputs: {t: dora/timer/secs/1}",
}
ELSEWHERE = {
    "root": {"nodes"},
    "node": {
        *("id", "path", "outputs", "operator", "operators", "module", "params", "ros2", "hub"),
        *("git", "branch", "tag", "rev", "path_sha256"),
    },
    "input": {"source"},
    "operator": {"python", "shared-library", "wasm"},
}
"""Read in other tests, or not by themselves."""
READ = [(name, key) for name in INSIDE for key in EXAMPLES[name] if key not in ELSEWHERE.get(name, ())]


@pytest.mark.parametrize(("table", "key"), READ)
def test_example_has_the_right_type(load: Load, table: str, key: str) -> None:
    text = INSIDE[table].replace("{example}", example(table, key))
    try:
        said = list(load(text, env={"CAMERA_TOKEN": "x"}).warnings)
    except DescriptorError as error:
        said = error.problems
    assert not [line for line in said if "expected" in line or "unknown" in line or "error" in line]


def test_files_of_the_documentation_are_right(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "dataflow-yaml.md"
    first, module, user = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "camera.yml").write_text(module)
    for name, text in (("first.yml", first), ("dataflow.yml", user)):
        (tmp_path / name).write_text(text)
        assert load_dataflow(tmp_path / name).warnings == ()
    assert [node.id for node in load_dataflow(tmp_path / "dataflow.yml").nodes] == ["front.driver", "plot"]
