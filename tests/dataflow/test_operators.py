"""Runtime nodes: operators, their fields, how others name their outputs, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.describe import node_config
from dora.dataflow.descriptor import (
    Dataflow,
    Input,
    LogSettings,
    Node,
    Operator,
    OutputSource,
    RestartPolicy,
    TimerSource,
)
from dora.dataflow.load import load_dataflow
from dora.dataflow.programs import check_sources
from dora.dataflow.schema import KIND_KEYS

CAMERA = "- {id: camera, path: c.py, outputs: [image]}\n"
PAIR = """nodes:
- {id: camera, path: c.py, outputs: [image]}
- id: rt
  operators:
  - {id: pre, python: pre.py, inputs: {image: camera/image}, outputs: [small]}
  - {id: post, python: lib/post.py, inputs: {small: rt/pre/small, tick: dora/timer/hz/5}, outputs: [box]}
- {id: plot, path: p.py, inputs: {box: rt/post/box}}
"""
TIMER = TimerSource(200_000_000, "dora/timer/millis/200")


def single(fields: str, *, beside: str = "", reader: str = "") -> str:
    """A camera, and a node `det` with one operator that reads it."""
    operator = f"- {{id: det, operator: {{python: det.py, {fields}}}{beside}}}\n"
    return f"nodes:\n{CAMERA}{operator}{reader}"


def runtime(load: Load, text: str) -> Node:
    """The runtime node of that file."""
    return next(node for node in load(text).nodes if node.is_runtime)


def test_one_operator_is_a_node_with_its_ports_under_the_name_op(load: Load) -> None:
    node = runtime(load, single("inputs: {i: camera/image}, outputs: [box]"))
    assert node.inputs == {"op/i": Input("op/i", OutputSource("camera", "image"))}
    assert (node.outputs, node.path, node.is_single_operator) == (("op/box",), "", True)
    expected = Operator("op", "det.py", {"i": Input("i", OutputSource("camera", "image"))}, ("box",))
    (operator,) = node.operators
    assert (operator.id, operator.source, operator.inputs, operator.outputs) == (
        expected.id,
        expected.source,
        expected.inputs,
        expected.outputs,
    )


def test_several_operators_are_one_node_and_a_sibling_feeds_no_input_of_it(load: Load) -> None:
    node = runtime(load, PAIR)
    assert [operator.id for operator in node.operators] == ["pre", "post"]
    assert node.inputs == {
        "pre/image": Input("pre/image", OutputSource("camera", "image")),
        "post/tick": Input("post/tick", TIMER),
    }
    assert node.outputs == ("pre/small", "post/box")
    assert node.operators[1].inputs["small"] == Input("small", OutputSource("rt", "pre/small"))
    assert not node.is_single_operator


@pytest.mark.parametrize("source", ["det/box", "det/op/box"])
def test_output_of_one_operator_is_named_with_or_without_it(load: Load, source: str) -> None:
    reader = f"- {{id: plot, path: p.py, inputs: {{i: {source}}}}}"
    dataflow = load(single("outputs: [box], inputs: {i: camera/image}", reader=reader))
    assert dataflow.nodes[2].inputs["i"].source == OutputSource("det", "op/box")
    assert dataflow.raw["nodes"][2]["inputs"] == {"i": source}


def test_operator_may_state_its_id(load: Load) -> None:
    reader = "- {id: plot, path: p.py, inputs: {a: det/box, b: det/find/box}}"
    dataflow = load(single("id: find, outputs: [box], inputs: {i: camera/image}", reader=reader))
    assert {port.source for port in dataflow.nodes[2].inputs.values()} == {OutputSource("det", "find/box")}


def test_operator_may_read_its_own_output(load: Load) -> None:
    node = runtime(load, single("outputs: [box], inputs: {i: camera/image, back: det/box}"))
    assert list(node.inputs) == ["op/i"]
    assert node.operators[0].inputs["back"].source == OutputSource("det", "op/box")


def test_timer_node_feeds_an_operator(load: Load) -> None:
    timer = "{id: t, path: dora/timer/hz/5, outputs: [tick]}"
    text = f"nodes: [{timer}, {{id: d, operator: {{python: d.py, inputs: {{i: t/tick}}}}}}]"
    (node,) = load(text).nodes
    assert node.inputs["op/i"].source == node.operators[0].inputs["i"].source == TIMER


def test_queue_rules_are_those_of_the_operators_input(load: Load) -> None:
    source = "{source: camera/image, queue_size: 3, queue_policy: backpressure}"
    node = runtime(load, single(f"inputs: {{i: {source}}}"))
    port = node.inputs["op/i"]
    assert (port.queue_size, port.queue_policy, port.is_stated) == (3, "backpressure", True)


FIELDS: list[tuple[str, str, object]] = [
    ("build: pip install x", "build", "pip install x"),
    ("outputs: [o], output_types: {o: T}", "output_types", {"op/o": "T"}),
    ("input_types: {i: T}", "input_types", {"op/i": "T"}),
    ("outputs: [o], output_framing: {o: arrow-ipc}", "output_framing", {"op/o": "arrow-ipc"}),
    ("outputs: [o], output_metadata: {o: [k]}", "output_metadata", {"op/o": ("k",)}),
    ("send_stdout_as: lines", "outputs", ("op/lines",)),
    (
        "send_stdout_as: lines, send_logs_as: logs, min_log_level: info, max_log_size: 1KB, max_rotated_files: 2",
        "log",
        LogSettings("op/lines", "op/logs", "info", 1024, 2),
    ),
]


@pytest.mark.parametrize(("fields", "attribute", "value"), FIELDS)
def test_field_of_an_operator_is_that_of_its_node(load: Load, fields: str, attribute: str, value: object) -> None:
    node = runtime(load, single(f"inputs: {{i: camera/image}}, {fields}"))
    assert getattr(node, attribute) == value


OWN_FIELDS: list[tuple[str, str, object]] = [
    ("name: Find it", "name", "Find it"),
    ("description: d", "description", "d"),
    ("pattern: service-server", "pattern", "service-server"),
]


@pytest.mark.parametrize(("fields", "attribute", "value"), OWN_FIELDS)
def test_field_is_read_to_the_operator(load: Load, fields: str, attribute: str, value: object) -> None:
    (operator,) = runtime(load, single(f"inputs: {{i: camera/image}}, {fields}")).operators
    assert getattr(operator, attribute) == value


NODE_FIELDS: list[tuple[str, str, object]] = [
    ("env: {A: 1}", "env", {"A": "1"}),
    ("cpu_affinity: [0]", "cpu_affinity", (0,)),
    ("name: n", "name", "n"),
    ("restart_policy: always, max_restarts: 2", "restart", RestartPolicy("always", 2)),
    ("health_check_timeout: 5", "health_check_timeout_s", 5.0),
    ("startup_timeout: 5", "startup_timeout_s", 5.0),
]


@pytest.mark.parametrize(("fields", "attribute", "value"), NODE_FIELDS)
def test_runtime_node_has_what_concerns_its_process(load: Load, fields: str, attribute: str, value: object) -> None:
    node = runtime(load, single("inputs: {i: camera/image}", beside=f", {fields}"))
    assert getattr(node, attribute) == value


def test_builds_of_all_operators_are_one_script(load: Load) -> None:
    operators = [
        f"{{id: {name}, python: x.py, inputs: {{i: camera/image}}, build: {build}}}"
        for name, build in ("ap", "bq", "cp")
    ]
    node = runtime(load, f"nodes:\n{CAMERA}- {{id: rt, operators: [{', '.join(operators)}]}}")
    assert node.build == "p\nq"


def test_conda_environment_is_that_of_the_node(load: Load) -> None:
    operator = "{python: {source: d.py, conda_env: e}, inputs: {i: camera/image}}"
    node = runtime(load, f"nodes:\n{CAMERA}- {{id: d, operator: {operator}}}")
    assert (node.operators[0].source, node.conda_env) == ("d.py", "e")


def test_variables_in_the_file_name_are_replaced(load: Load) -> None:
    text = "nodes: [{id: d, operator: {python: $HOME/d.py, inputs: {t: dora/timer/hz/1}}}]"
    assert load(text, env={"HOME": "/h"}).nodes[0].operators[0].source == "/h/d.py"


@pytest.mark.parametrize("written", ["operator: {python: det.py}", "operators: [{id: op, python: det.py}]"])
def test_ports_beside_one_operator_are_its_own_with_a_warning(load: Load, written: str) -> None:
    text = f"nodes:\n{CAMERA}- {{id: det, {written}, inputs: {{i: camera/image}}, outputs: [box]}}"
    dataflow = load(text)
    assert list(dataflow.nodes[1].inputs) == ["op/i"]
    assert dataflow.nodes[1].outputs == ("op/box",)
    said = [warning.partition(": ")[2] for warning in dataflow.warnings]
    assert said == [
        f"node 'det': '{key}' beside the operator is read as the operator's; move it into the operator"
        for key in ("inputs", "outputs")
    ]


def test_ports_beside_an_operator_join_those_inside(load: Load) -> None:
    beside = ", inputs: {j: dora/timer/hz/5}, outputs: [box, more]"
    node = runtime(load, single("inputs: {i: camera/image}, outputs: [box]", beside=beside))
    assert set(node.inputs) == {"op/i", "op/j"}
    assert node.outputs == ("op/box", "op/more")


ONE = "inputs: {i: camera/image}"
PROBLEMS = [
    (
        "operator: {inputs: {i: camera/image}}",
        "node 'det': 'operator': expected a Python file as 'python', found none; add `python: <file>.py`",
    ),
    (
        "operator: x.py",
        "node 'det': 'operator': expected a mapping with python, inputs and outputs, found the text 'x.py'",
    ),
    (
        "operators: {python: x.py}",
        "node 'det': 'operators': expected a list of operators, found a mapping; start each operator with `- id: "
        "<name>`",
    ),
    (
        "operators: [5]",
        "node 'det': operators[0]: expected a mapping with python, inputs and outputs, found 5",
    ),
    (
        f"operator: {{python: x.py, {ONE}}}, inputs: x",
        "node 'det': 'operator': 'inputs': expected a mapping from input id to source, found the text 'x'; "
        "write each as `input_id: node/output`",
    ),
    ("operators: []", "node 'det': expected at least one operator in 'operators', found none"),
    (
        f"operators: [{{python: x.py, {ONE}}}]",
        "node 'det': operators[0]: expected a text as 'id', found none; add `id: <name>`",
    ),
    (
        f"operators: [{{id: a/b, python: x.py, {ONE}}}]",
        "node 'det': operator 'a/b': 'a/b' cannot be an operator id: '/' is not allowed",
    ),
    (
        f"operators: [{{id: a, python: x.py, {ONE}}}, {{id: a, python: y.py, {ONE}}}]",
        "node 'det': operator id 'a' is used twice; rename one",
    ),
    (
        f"operator: {{python: x.py, wasm: y, {ONE}}}",
        "node 'det': 'operator': expected one of python, shared-library, wasm, found python and wasm; remove one",
    ),
    (
        f"operator: {{shared-library: y, {ONE}}}",
        "node 'det': 'operator': 'shared-library' cannot run here: operators are written in Python; write "
        "`python: <file>.py`, or make it a node of its own (`path:`)",
    ),
    (
        f"operator: {{wasm: y, {ONE}}}",
        "node 'det': 'operator': 'wasm' cannot run here: operators are written in Python; write `python: "
        "<file>.py`, or make it a node of its own (`path:`)",
    ),
    (
        f"operator: {{python: '', {ONE}}}",
        "node 'det': 'operator': 'python': expected a Python file, found an empty text",
    ),
    (
        f"operator: {{python: [x], {ONE}}}",
        "node 'det': 'operator': 'python': expected a Python file, or a mapping with source and conda_env, found "
        "a list",
    ),
    (
        f"operator: {{python: {{conda_env: e}}, {ONE}}}",
        "node 'det': 'operator': 'python': expected a text as 'source', found none; add `source: <file>.py`",
    ),
    (
        f"operator: {{python: x.py, {ONE}}}, path: y.py",
        f"node 'det': expected one of {', '.join(KIND_KEYS)}, found path and operator; remove all but one",
    ),
    (
        f"operator: {{python: x.py, {ONE}}}, build: b, min_log_level: info",
        "node 'det': 'build', 'min_log_level' cannot be on a node with operators; move it into the operator",
    ),
    (
        f"operator: {{python: x.py, {ONE}}}, args: b",
        "node 'det': 'args' cannot be on a node with operators; remove it: there is no program of yours to start",
    ),
    (
        f"operator: {{python: x.py, {ONE}}}, inputs: {{i: camera/image}}",
        "node 'det': input 'i' is stated both in the operator and beside it; remove one",
    ),
    (
        f"operators: [{{id: a, python: x.py, {ONE}}}, {{id: b, python: x.py, {ONE}}}], outputs: [x]",
        "node 'det': 'outputs' cannot be on a node with 'operators'; move it into the operator that it belongs to",
    ),
    (
        f"operators: [{{id: a, python: x.py, {ONE}, min_log_level: info}}, {{id: b, python: x.py, {ONE}, "
        f"min_log_level: warn}}]",
        "node 'det': operator 'b': 'min_log_level' is already set by operator 'a'; all operators of a node print "
        "to the same place",
    ),
    (
        f"operators: [{{id: a, python: {{source: x.py, conda_env: p}}, {ONE}}}, {{id: b, python: {{source: x.py, "
        f"conda_env: q}}, {ONE}}}]",
        "node 'det': operator 'b': 'conda_env' is 'q', but that of operator 'a' is 'p'; operators of one node "
        "share its process",
    ),
    (
        "operator: {python: x.py, inputs: {i: camera/imgae}}",
        "node 'det': 'operator': input 'i': node 'camera' has no output 'imgae'; did you mean 'image'?",
    ),
]


@pytest.mark.parametrize(("fields", "message"), PROBLEMS)
def test_mistake_is_one_problem_that_says_what_to_do(problems: Problems, fields: str, message: str) -> None:
    found = [line for line in problems(f"nodes:\n{CAMERA}- {{id: det, {fields}}}") if "warning: " not in line]
    assert [line.split(": ", 1)[1] for line in found] == [message]


SOURCES = [
    ("rt/small", "node 'rt' has no output 'small'; expected rt/<operator>/<output>: did you mean 'rt/pre/small'?"),
    ("rt/x", "node 'rt' has no output 'x'; expected rt/<operator>/<output>; operators: post, pre"),
    ("rt/pro/small", "node 'rt' has no output 'pro/small'; expected rt/<operator>/<output>; did you mean 'pre'?"),
    ("rt/pre/smal", "operator 'pre' of node 'rt' has no output 'smal'; did you mean 'small'?"),
]


@pytest.mark.parametrize(("source", "message"), SOURCES)
def test_wrong_output_of_several_operators_is_told_with_the_expected_form(
    problems: Problems, source: str, message: str
) -> None:
    (found,) = problems(f"{PAIR}- {{id: x, path: x.py, inputs: {{i: {source}}}}}")
    assert found == f"8:35: node 'x': input 'i': {message}"


@pytest.mark.parametrize("source", ["det/bx", "det/op/bx"])
def test_wrong_output_of_one_operator_is_told(problems: Problems, source: str) -> None:
    reader = f"- {{id: x, path: x.py, inputs: {{i: {source}}}}}"
    (found,) = problems(single(f"{ONE}, outputs: [box]", reader=reader))
    assert found.endswith(
        "has no output '" + source.removeprefix("det/").removeprefix("op/") + "'; did you mean 'box'?"
    )


WARNINGS = [
    (f"{ONE}, output: [x]", "node 'det': 'operator': unknown key 'output' is ignored; did you mean 'outputs'?"),
    (
        "outputs: [x]",
        "node 'det': 'operator': without inputs it is only called to stop; add `inputs: {tick: dora/timer/millis/100}`",
    ),
    (
        f"{ONE}, output_types: {{x: std/core/v1/Bool}}",
        "node 'det': 'operator': 'output_types' names 'x', which is no output of this operator",
    ),
    (
        f"{ONE}, pattern: x",
        "node 'det': 'operator': 'pattern': expected one of service-server, service-client, action-server, "
        "action-client, found 'x'",
    ),
    (
        "inputs: {i: {source: dora/timer/hz/1, queue_policy: backpressure}}",
        "node 'det': 'operator': input 'i': 'backpressure' has no effect here: missed ticks are skipped",
    ),
    (
        "inputs: {i: camera/image, j: {source: det/op/o, input_timeout: 1}}, outputs: [o]",
        "node 'det': 'operator': input 'j': 'input_timeout' has no effect here: an operator of the same node feeds it",
    ),
    (
        "inputs: {i: camera/image, j: {source: det/lines, queue_policy: backpressure}}, send_stdout_as: lines",
        "node 'det': 'operator': input 'j': 'backpressure' has no effect here: a node does not wait to print",
    ),
]


@pytest.mark.parametrize(("fields", "message"), WARNINGS)
def test_what_is_probably_not_meant_is_warned_about(warnings: Problems, fields: str, message: str) -> None:
    (found,) = warnings(single(fields))
    assert found.split(": ", 1)[1] == message


def test_unknown_key_of_an_operator_is_an_error_when_strict(problems: Problems) -> None:
    (found,) = problems(single(f"{ONE}, output: [x]"), is_strict=True)
    assert "unknown key 'output'" in found


def test_restart_details_without_a_policy_are_warned_about_on_runtime_nodes_too(warnings: Problems) -> None:
    (found,) = warnings(single(ONE, beside=", max_restarts: 3"))
    assert "'max_restarts' has no effect without a 'restart_policy'" in found


def raw_of(load: Load, text: str) -> dict[str, Any]:
    """The runtime node as nodes see it."""
    return next(node for node in load(text).raw["nodes"] if {"operator", "operators"} & node.keys())


def test_descriptor_shows_one_operator_as_written_with_defaults(load: Load) -> None:
    node = raw_of(
        load, single("inputs: {i: {source: camera/image, queue_size: 2}}, outputs: [box], min_log_level: info")
    )
    assert node["operator"] == {
        "id": "op",
        "name": None,
        "description": None,
        "python": "det.py",
        "build": None,
        "outputs": ["box"],
        "inputs": {"i": {"source": "camera/image", "queue_size": 2}},
        "min_log_level": "info",
    }
    assert (node["path"], node["inputs"], node["outputs"]) == (None, {}, [])


def test_descriptor_shows_several_operators_as_a_list(load: Load) -> None:
    node = raw_of(load, PAIR)
    assert [operator["inputs"] for operator in node["operators"]] == [
        {"image": "camera/image"},
        {"small": "rt/pre/small", "tick": "dora/timer/millis/200"},
    ]


def test_node_config_of_a_runtime_node_has_the_ports_of_all_operators(load: Load) -> None:
    assert node_config(load(PAIR).raw, "rt") == {
        "inputs": {"pre/image": "camera/image", "post/small": "rt/pre/small", "post/tick": "dora/timer/millis/200"},
        "outputs": ["pre/small", "post/box"],
    }


def files(folder: Path, operators: str) -> Dataflow:
    """A dataflow in `folder` with one runtime node."""
    file = folder / "dataflow.yml"
    file.write_text(f"nodes: [{{id: rt, operators: [{operators}]}}]")
    return load_dataflow(file, env={})


def test_operator_file_that_does_not_exist_is_told_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "filter.py").write_text("")
    dataflow = files(tmp_path, "{id: a, python: filtr.py, inputs: {t: dora/timer/hz/1}}")
    (found,) = check_sources(dataflow, {})
    assert found.endswith(
        f"node 'rt': operator 'a': no Python file 'filtr.py' in {tmp_path}; did you mean 'filter.py'?"
    )
    assert ":1:46: " in found


def test_directory_in_place_of_an_operator_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "op").mkdir()
    (found,) = check_sources(files(tmp_path, "{id: a, python: op, inputs: {t: dora/timer/hz/1}}"), {})
    assert found.endswith("node 'rt': operator 'a': expected a Python file, found the directory 'op'")


def test_operator_files_that_are_there_built_or_downloaded_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    dataflow = files(tmp_path, "{id: a, python: a.py, inputs: {t: dora/timer/hz/1}}, {id: b, python: 'https://x/b.py'}")
    assert check_sources(dataflow, {}) == []
