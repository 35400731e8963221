"""A dataflow as YAML without modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from dora.dataflow.flattened import check_module, flatten_dataflow
from dora.dataflow.load import load_dataflow
from dora.errors import DescriptorError

MODULE = """\
module: {name: leaf, inputs: [frame], inputs_optional: [mask], outputs: [result]}
build: pip install x
nodes:
  - id: work
    path: work.py
    args: $PARAM_MODE
    inputs: {frame: {source: _mod/frame, queue_size: 1}, mask: _mod/mask, t: clock/tick}
    outputs: [result]
  - {id: clock, path: dora/timer/hz/10, outputs: [tick]}
"""
FLOW = """\
env: {A: $HOME, B: $$HOME, C: '007', D: 1.50, E: yes, F: '1e3', G: 'true', H: "two\\nlines"}
health_check_interval: 2
nodes:
  - {id: camera, path: camera.py, outputs: [image], max_restarts: 0, restart_policy: never, deploy: {labels: {gpu: 1}}}
  - {id: m, module: leaf.yml, inputs: {frame: camera/image}, params: {mode: fast}}
  - {id: one, operator: {python: one.py, inputs: {r: m/result}, outputs: [x]}}
  - id: two
    operators:
      - {id: p, python: {source: p.py, conda_env: e}, inputs: {x: one/x, l: dora/logs/WARN}, outputs: [y]}
      - {id: q, python: {source: q.py, conda_env: e}, inputs: {y: two/p/y, t: dora/timer/secs/1}}
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "leaf.yml").write_text(MODULE)
    file = tmp_path / "flow.yml"
    file.write_text(FLOW)
    return file


def test_flattened_dataflow_means_the_same(flow: Path) -> None:
    env = {"HOME": "/home/$me"}
    before = load_dataflow(flow, env=env)
    text = flatten_dataflow(flow, env=env).text
    flow.write_text(text)
    after = load_dataflow(flow, env={})
    assert [(node.id, node.env, node.inputs, node.build, node.deploy) for node in after.nodes] == [
        (node.id, node.env, node.inputs, node.build, node.deploy) for node in before.nodes
    ]
    assert [[operator.inputs for operator in node.operators] for node in after.nodes] == [
        [operator.inputs for operator in node.operators] for node in before.nodes
    ]
    assert (after.env, after.timer_nodes, after.raw["nodes"]) == (before.env, before.timer_nodes, before.raw["nodes"])


def test_flattening_twice_changes_nothing(flow: Path) -> None:
    text = flatten_dataflow(flow, env={"HOME": "x"}).text
    flow.write_text(text)
    assert flatten_dataflow(flow, env={}).text == text


def test_flattened_dataflow_shows_nodes_of_modules_and_no_defaults(flow: Path) -> None:
    flow.write_text("nodes:\n  - {id: camera, path: c.py, outputs: [image], max_restarts: 0}\n" + FLOW.splitlines()[4])
    text = flatten_dataflow(flow, env={}).text
    camera = "nodes:\n- id: camera\n  path: c.py\n  outputs:\n  - image\n"
    assert text.startswith(camera + "- id: m.work\n  env:\n    PARAM_MODE: fast\n  path: work.py\n  args: fast\n")


def test_dataflow_with_wrong_wiring_is_shown_all_the_same(flow: Path) -> None:
    flow.write_text("nodes: [{id: a, path: a.py, inputs: {i: b/o}}]")
    flattened = flatten_dataflow(flow, env={})
    assert "i: b/o" in flattened.text
    assert flattened.errors == [f"{flow}:1:41: node 'a': input 'i': there is no node 'b'; nodes: a"]


def test_dataflow_without_nodes_stays_one(flow: Path) -> None:
    flow.write_text("nodes: []")
    assert flatten_dataflow(flow, env={}).text == "nodes: []\n"


def test_file_that_is_no_dataflow_cannot_be_flattened(flow: Path) -> None:
    flow.write_text("x")
    with pytest.raises(DescriptorError, match="expected a mapping with 'nodes'"):
        flatten_dataflow(flow)


def test_module_file_is_checked_for_itself(flow: Path) -> None:
    assert check_module(flow.parent / "leaf.yml", env={}) == []


def test_module_file_may_name_nodes_that_are_not_its_own(flow: Path) -> None:
    file = flow.parent / "leaf.yml"
    file.write_text(
        MODULE.replace("_mod/mask", "camera/depth").replace("t: clock/tick", "t: clock/tick, c: camera/rgb")
    )
    first, second = check_module(file, env={})
    assert "module: no node reads the input 'mask'" in first
    text = "node 'work': input 'mask': there is no node 'camera' in this module; the dataflow that uses it must have it"
    assert text in second


WRONG = [
    (
        ("outputs: [result]}", "outputs: [resul]}"),
        "module: no node of it sends the output 'resul'; did you mean 'result'?",
    ),
    (("clock/tick", "clock/tock"), "node 'work': input 't': node 'clock' has no output 'tock'; did you mean 'tick'?"),
    (("- id: work", "- {id: z, module: nope.yml}\n  - id: work"), "node 'z': module 'nope.yml': file not found"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_module_file_is_explained(flow: Path, change: tuple[str, str], message: str) -> None:
    file = flow.parent / "leaf.yml"
    file.write_text(MODULE.replace(*change))
    with pytest.raises(DescriptorError) as caught:
        check_module(file, env={})
    assert message in caught.value.problems[0]


def test_dataflow_is_no_module(flow: Path) -> None:
    with pytest.raises(DescriptorError, match="expected a module file with a 'module' header, found a dataflow"):
        check_module(flow)
