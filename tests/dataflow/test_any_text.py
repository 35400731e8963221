"""Any text is a dataflow or a list of problems: never another exception, never a long wait.

`test_load.py` tries bytes, trees of likely words and edits of a good file; here are the parts of YAML that hurt
parsers, other files than the dataflow itself, and what is made from a dataflow.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora.dataflow.flattened import check_module, flatten_dataflow
from dora.dataflow.load import load_dataflow
from dora.dataflow.migration import migrate_text
from dora.errors import DescriptorError

pytestmark = pytest.mark.slow

ANY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
MOST_CPU_S = 1.0

USE = "nodes: [{id: m, module: m.yml, inputs: {i: m/o}, params: {k: 1}}]"
TYPED = "nodes: [{id: a, path: a.py, outputs: [o], output_types: {o: t/A}}]"


def bomb(letters: int) -> str:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for number in range(letters):
        before, after = chr(97 + number), chr(98 + number)
        lines.append(f"{after}: &{after} [{','.join([f'*{before}'] * 10)}]")
    return "\n".join(lines)


LIKELY = """\
nodes:
- id: a
  path: a.py
  path: &p b.py
  inputs: {i: a/o}
  outputs: [o, o]
  <<: *n
- &n {id: n, path: n}
- *n
- <<: [*n, *n]
  env: {A: $A, B: 0x10, C: 1e999, D: '1e3', E: $$x, F: "a\\nb"}
...
---
x-a: &a [*a]
x-b: &b {<<: *b}
x-c: &c {? [1] : 2}
%YAML 1.2
!!binary x
- !!python/object x
? [
: ]
- - - -
'
"
|
{a: 1, a: 2}
  operator:
    python: a.py
  inputs: {t: dora/timer/hz/3}
  operators: [{id: a, python: [x]}]
  custom: {run: 'a b'}
  custom:
    source: a.py
  _unstable_deploy: {machine: m}
  module: .
  module: m.yml
  git: x
  venv: ''
  ros2: {}
  hub: x
type_rules: [{from: a, to: b}]
  output_types: {o: 'std/core/v1/Bool[a=]'}
  cpu_affinity: [-1]
  args: "'"
health_check_interval: .nan
\t- tab
""".splitlines()
HARD = [bomb(8), "x: " + "[" * 200 + "]" * 200, "a: " + "9" * 5000, "b: 0x" + "f" * 500, "c: 1e" + "9" * 400]
HARD += ['d: "\\u0000"', 'e: "\\ud800"', "f: \u2028", "\0", "\x85", "&", "*", "@", "`", ": ", "}}", "[[[["]
HOSTILE = st.lists(st.sampled_from(LIKELY + HARD), max_size=12).map("\n".join)
"""Lines that are right, wrong and dangerous, in any order."""


def outcome(action: Any, *arguments: Any) -> Any:
    """What it gives, or the problems it tells of."""
    started = time.process_time()
    try:
        found = action(*arguments)
    except DescriptorError as error:
        found, problems = None, error.problems
    else:
        problems = ["none"]
    assert problems
    assert not any("\n" in line for line in problems)
    assert time.process_time() - started < MOST_CPU_S
    return found


@given(text=HOSTILE)
@ANY
def test_any_yaml_is_a_dataflow_or_problems(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.yml").write_text(text, encoding="utf-8", errors="surrogatepass")
    outcome(load_dataflow, tmp_path / "f.yml")


@given(text=HOSTILE)
@ANY
def test_any_module_file_is_one_or_problems(tmp_path: Path, text: str) -> None:
    header = "module: {name: m, inputs: [i], outputs: [o]}\n"
    (tmp_path / "m.yml").write_text(header + text)
    (tmp_path / "f.yml").write_text(USE)
    outcome(load_dataflow, tmp_path / "f.yml")
    outcome(check_module, tmp_path / "m.yml")


@given(text=HOSTILE | st.text())
@ANY
def test_any_file_of_types_is_one_or_problems(tmp_path: Path, text: str) -> None:
    (tmp_path / "types").mkdir(exist_ok=True)
    (tmp_path / "types" / "t.yml").write_text(f"types: {{A: {{arrow: Struct}}}}\n{text}", errors="ignore")
    (tmp_path / "f.yml").write_text(TYPED)
    outcome(load_dataflow, tmp_path / "f.yml")


@given(name=st.text(max_size=20))
@ANY
def test_any_text_may_stand_where_a_type_stands(tmp_path: Path, name: str) -> None:
    quoted = "'" + "".join(c for c in name if c.isprintable()).replace("'", "''") + "'"
    (tmp_path / "f.yml").write_text(TYPED.replace("t/A", quoted), errors="ignore")
    outcome(load_dataflow, tmp_path / "f.yml")


@given(text=HOSTILE)
@ANY
def test_any_yaml_is_rewritten_to_yaml_or_problems(text: str) -> None:
    migrated = outcome(migrate_text, text, "f.yml")
    if migrated is not None:
        assert outcome(migrate_text, migrated.text, "f.yml") is not None
        assert migrate_text(migrated.text, "f.yml").changes == []


@given(text=HOSTILE)
@ANY
def test_dataflow_that_can_be_loaded_can_be_flattened_and_loaded_again(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f.yml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    before = outcome(load_dataflow, file)
    if before is not None:
        file.write_text(flatten_dataflow(file).text)
        after = load_dataflow(file)
        assert [(node.id, node.env, node.inputs) for node in after.nodes] == [
            (node.id, node.env, node.inputs) for node in before.nodes
        ]
