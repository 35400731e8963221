"""Wiring, and timer nodes."""

from __future__ import annotations

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.descriptor import TimerSource

CAMERA = "- {id: camera, path: c.py, outputs: [image, info]}"

WIRING = [
    ("camera/imgae", "node 'plot': input 'i': node 'camera' has no output 'imgae'; did you mean 'image'?"),
    ("camera/x", "node 'plot': input 'i': node 'camera' has no output 'x'; has: image, info"),
    ("camra/image", "node 'plot': input 'i': there is no node 'camra'; did you mean 'camera'?"),
    ("x/image", "node 'plot': input 'i': there is no node 'x'; nodes: camera, plot"),
    ("clock/timer/hz/5", "node 'plot': input 'i': there is no node 'clock'; did you mean 'dora/timer/hz/5'?"),
    ("plot/x", "node 'plot': input 'i': node 'plot' has no output 'x'; add it to the node's `outputs`"),
]


@pytest.mark.parametrize(("source", "message"), WIRING)
def test_source_that_does_not_exist_is_named_with_its_place(problems: Problems, source: str, message: str) -> None:
    text = f"nodes:\n{CAMERA}\n- id: plot\n  path: p.py\n  inputs:\n    i: {source}"
    assert problems(text) == [f"6:8: {message}"]


def test_cycles_and_self_loops_are_fine(problems: Problems) -> None:
    a = "{id: a, path: a.py, outputs: [o], inputs: {i: a/o, j: b/o}}"
    assert problems(f"nodes: [{a}, {{id: b, path: b.py, outputs: [o], inputs: {{i: a/o}}}}]") == []


def test_node_id_used_twice_is_one_problem(problems: Problems) -> None:
    text = "nodes:\n- {id: a, path: a.py, outputs: [x]}\n- {id: a, path: b.py}\n- {id: b, path: b.py, inputs: {i: a/x}}"
    assert problems(text) == ["3:8: node id 'a' is used twice (first one in line 2); rename one"]


def test_all_problems_are_told_at_once_in_file_order(problems: Problems) -> None:
    text = "nodes:\n- {id: a, path: a.py, inputs: {i: b/x}, max_restarts: -1}\n- {id: c}\nexit_when_nodes_finish: 5"
    assert [line.split(":")[0] for line in problems(text)] == ["2", "2", "3", "4"]


TIMER = "nodes:\n- {id: tick, path: dora/timer/millis/100, outputs: [t], env: {A: 1}, name: n}\n"


def test_timer_node_becomes_a_timer_input_of_its_readers(load: Load) -> None:
    dataflow = load(TIMER + "- {id: a, path: a.py, inputs: {i: {source: tick/t, queue_size: 3}}}")
    (node,) = dataflow.nodes
    assert node.inputs["i"].source == TimerSource(100_000_000, "dora/timer/millis/100")
    assert node.inputs["i"].queue_size == 3
    assert dataflow.timer_nodes == {"tick": "dora/timer/millis/100"}


def test_undeclared_output_of_a_timer_node_does_not_exist(problems: Problems) -> None:
    found = problems(TIMER + "- {id: a, path: a.py, inputs: {i: tick/x}}")
    assert found == ["3:35: node 'a': input 'i': node 'tick' has no output 'x'; has: t"]


def test_wrong_timer_node_is_one_problem(problems: Problems) -> None:
    text = "nodes:\n- {id: t, path: dora/timer/foo/1, outputs: [o]}\n- {id: a, path: a.py, inputs: {i: t/o}}"
    (found,) = problems(text)
    assert found.startswith("2:17: node 't': a timer has one of the units secs, millis, micros, nanos, hz, found 'foo'")


@pytest.mark.parametrize(
    "field", ["inputs: {i: t/o}", "args: x", "build: x", "restart_policy: always", "startup_timeout: 5"]
)
def test_process_field_on_a_timer_node_is_an_error(problems: Problems, field: str) -> None:
    (found,) = problems(f"nodes: [{{id: t, path: dora/timer/hz/1, outputs: [o], {field}}}]")
    key = field.partition(":")[0]
    assert f"node 't': '{key}' cannot be on a timer node: it has no process; remove it" in found


def test_timer_node_without_outputs_is_warned_about(warnings: Problems) -> None:
    expected = "1:9: node 't': a timer node without outputs does nothing; add `outputs: [tick]`"
    assert warnings("nodes: [{id: t, path: dora/timer/hz/1}]") == [expected]
