"""Whole files: the root, and that anything at all gives a dataflow or problems."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.conftest import Load, Problems
from dora.dataflow.descriptor import Dataflow
from dora.dataflow.load import load_dataflow
from dora.errors import DescriptorError

HELLO = """\
nodes:
- id: sender
  path: sender.py
  outputs:
  - message
- id: receiver
  path: receiver.py
  inputs:
    message: sender/message
"""


def test_seed_hello_world_loads_without_a_warning(load: Load, tmp_path: Path) -> None:
    dataflow = load(HELLO)
    assert [node.id for node in dataflow.nodes] == ["sender", "receiver"]
    assert (dataflow.path, dataflow.working_dir, dataflow.warnings) == (tmp_path / "dataflow.yml", tmp_path, ())


def test_root_fields_have_defaults(load: Load) -> None:
    found = load(HELLO)
    assert (found.env, found.exit_when_nodes_finish) == ({}, False)
    assert (found.strict_types, found.type_rules, found.deploy, found.timer_nodes) == (False, (), None, {})


def test_root_fields_are_read(load: Load) -> None:
    rule = "type_rules: [{from: std/core/v1/Int8, to: std/core/v1/Bool}]"
    text = f"health_check_interval: 0.1\nexit_when_nodes_finish: true\nstrict_types: true\n{rule}\n"
    found = load(text + HELLO)
    assert (found.exit_when_nodes_finish, found.strict_types) == (True, True)
    assert found.type_rules == (("std/core/v1/Int8", "std/core/v1/Bool"),)


NO_ENV = "expected a mapping from variable to value, found 5; write each as `NAME: value`"
NONE = "expected a list of nodes as 'nodes', found none; add `nodes: [{id: <name>, path: <script>}]`"
WRONG = [
    ("", "expected a dataflow with 'nodes', found an empty file"),
    ("# nothing", "expected a dataflow with 'nodes', found an empty file"),
    ("null", "expected a dataflow with 'nodes', found an empty file"),
    ("- a", "1:1: dataflow: expected a mapping with 'nodes', found a list; write `nodes:` above the list"),
    ("hello", "1:1: dataflow: expected a mapping with 'nodes', found the text 'hello'"),
    ("env: {}", f"1:1: {NONE}"),
    ("env: {}\nnodes:", f"2:1: {NONE}"),
    ("nodes: {a: b}", "1:8: 'nodes': expected a list of nodes, found a mapping; start each node with `- id: <name>`"),
    ("nodes: []\nstrict_types: yes", "2:15: 'strict_types': expected true or false, found the text 'yes'"),
    ("nodes: []\ntype_rules: [{from: A}]", "2:14: 'type_rules': expected a text as 'to', found none"),
    ("nodes: []\nnodes: []", "2:1: key 'nodes' is given twice (first one in line 1); remove one of them"),
    (
        "nodes: []\nhealth_check_interval: 0",
        "2:24: 'health_check_interval': expected a number of seconds above 0, found 0",
    ),
    ("nodes: []\nenv: 5", f"2:6: 'env': {NO_ENV}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_root_is_explained(problems: Problems, text: str, message: str) -> None:
    assert [line for line in problems(text) if "warning" not in line] == [message]


WARNED = [
    ("nodes: []", "1:1: the dataflow has no nodes"),
    (f"node: 5\n{HELLO}", "1:1: unknown key 'node' is ignored; did you mean 'nodes'?"),
    (f"deploy: {{machine: m}}\n{HELLO}", "1:1: 'deploy' has no effect here; write it on the nodes that need it"),
]


@pytest.mark.parametrize(("text", "message"), WARNED)
def test_odd_root_is_warned_about(warnings: Problems, text: str, message: str) -> None:
    assert warnings(text) == [message]


def test_warnings_are_errors_when_strict(problems: Problems) -> None:
    assert problems("nodes: []", is_strict=True) == ["1:1: the dataflow has no nodes"]


def test_variables_come_from_the_process_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "here")
    (tmp_path / "f.yml").write_text("env: {A: $WHERE}\nnodes: []")
    assert load_dataflow(tmp_path / "f.yml").env == {"A": "here"}


def test_file_is_named_in_messages_as_the_user_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.yml").write_text("nodes: 5")
    with pytest.raises(DescriptorError, match=r"^f\.yml:1:8: "):
        load_dataflow(Path("f.yml"))


def test_relative_file_has_an_absolute_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.yml").write_text("nodes: []")
    assert load_dataflow(Path("f.yml")).working_dir == Path(os.getcwd())


@pytest.mark.slow
def test_five_thousand_broken_nodes_are_told_in_bounded_time(problems: Problems) -> None:
    nodes = "\n".join(f"- {{id: n{n}, pth: x.py, inputs: {{i: nope{n}/x}}, otputs: [{n}]}}" for n in range(5_000))
    started = time.process_time()
    assert len(problems(f"nodes:\n{nodes}")) == 101
    assert time.process_time() - started < 10


def outcome(file: Path, data: bytes) -> Dataflow | list[str]:
    """What loading the bytes gives; anything but a dataflow or `DescriptorError` fails the test."""
    file.write_bytes(data)
    try:
        return load_dataflow(file, env={})
    except DescriptorError as error:
        found = error.problems
    assert found
    assert all("\n" not in line and line.startswith(f"{file}:") for line in found)
    return found


ANY_FILE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@given(data=st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
@ANY_FILE
def test_any_bytes_are_a_dataflow_or_problems(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path / "any.yml", data)


WORDS = (
    *("nodes", "id", "path", "args", "env", "inputs", "outputs", "source", "queue_size", "custom", "run", "x-a"),
    *("deploy", "max_log_size", "a", "a/b", "dora/timer/hz/5", "dora/timer/0", "dora/logs/info/a", "dynamic"),
    *("shell", "-1", ".nan", "null", "true", "''", "$A", "${A:-b}", "'it''s'", "!x y", "&k v", "*k", "<<", '"\\0"'),
)  # fmt: skip


def flow_text(value: object) -> str:
    """Nested lists and pairs of words as YAML."""
    if isinstance(value, list):
        return "[" + ", ".join(map(flow_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow_text(entry)}" for key, entry in value.items()) + "}"
    return str(value)


WORD = st.sampled_from(WORDS)
TREE = st.recursive(
    WORD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORD, inner, max_size=6), max_leaves=25
)


@given(
    root=st.dictionaries(WORD, TREE, max_size=4), nodes=st.lists(st.dictionaries(WORD, TREE, max_size=6), max_size=4)
)
@ANY_FILE
def test_any_tree_of_likely_words_is_a_dataflow_or_problems(
    tmp_path: Path, root: dict[str, object], nodes: list[object]
) -> None:
    text = flow_text({**root, "nodes": nodes})
    outcome(tmp_path / "any.yml", text.encode())


@given(cut=st.integers(0, len(HELLO)), inserted=st.text(max_size=8), length=st.integers(0, 8))
@ANY_FILE
def test_any_edit_of_hello_world_is_a_dataflow_or_problems(
    tmp_path: Path, cut: int, inserted: str, length: int
) -> None:
    text = HELLO[:cut] + inserted + HELLO[cut + length :]
    outcome(tmp_path / "any.yml", text.encode("utf-8", "surrogatepass"))


def test_module_file_is_no_dataflow(problems: Problems) -> None:
    (found,) = problems("module: {name: m}\nnodes: []")
    assert found.startswith("1:1: expected a dataflow, found a module file; check it with `dora expand --module FILE`")
