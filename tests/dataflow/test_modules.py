"""Modules: what becomes of their nodes in the dataflow that uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.descriptor import Dataflow, Deploy, Input, LogsSource, Module, Node, OutputSource, TimerSource

Write = Callable[[str, str], None]

LEAF = """\
module: {name: leaf, inputs: [frame], inputs_optional: [mask], outputs: [result]}
nodes:
  - id: work
    path: work.py
    args: --size $PARAM_SIZE ${_param.mode} $PARAM_OTHER
    inputs:
      frame: {source: _mod/frame, queue_size: 1}
      mask: _mod/mask
    outputs: [half]
  - id: finish
    path: sub/finish.py
    inputs: {half: work/half}
    outputs: [result]
"""
USE = """\
nodes:
  - {id: camera, path: camera.py, outputs: [image]}
  - {id: m, module: mods/leaf.yml, inputs: {frame: camera/image}, params: {size: 8, mode: fast}}
  - {id: sink, path: sink.py, inputs: {r: m/result}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file beside the dataflow."""

    def write_text(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write_text("mods/leaf.yml", LEAF)
    return write_text


def by_id(dataflow: Dataflow) -> dict[str, Node]:
    return {node.id: node for node in dataflow.nodes}


def test_nodes_of_a_module_stand_in_its_place_under_longer_ids(load: Load, write: Write) -> None:
    assert [node.id for node in load(USE).nodes] == ["camera", "m.work", "m.finish", "sink"]


def test_inputs_lead_into_and_out_of_a_module(load: Load, write: Write) -> None:
    nodes = by_id(load(USE))
    assert nodes["m.work"].inputs["frame"].source == OutputSource("camera", "image")
    assert nodes["m.finish"].inputs["half"].source == OutputSource("m.work", "half")
    assert nodes["sink"].inputs["r"].source == OutputSource("m.finish", "result")


def test_optional_input_that_is_not_wired_disappears(load: Load, write: Write) -> None:
    assert list(by_id(load(USE))["m.work"].inputs) == ["frame"]


def test_optional_input_that_is_wired_is_there(load: Load, write: Write) -> None:
    text = USE.replace("frame: camera/image", "frame: camera/image, mask: camera/image")
    assert by_id(load(text))["m.work"].inputs["mask"].source == OutputSource("camera", "image")


def test_options_of_the_inner_input_win_and_missing_ones_come_from_the_outer(load: Load, write: Write) -> None:
    outer = "{source: camera/image, queue_size: 7, queue_policy: backpressure}"
    node = by_id(load(USE.replace("frame: camera/image", f"frame: {outer}")))["m.work"]
    assert node.inputs["frame"] == Input("frame", OutputSource("camera", "image"), 1, "backpressure", is_stated=True)


def test_paths_start_in_the_folder_of_the_dataflow(load: Load, write: Write) -> None:
    nodes = by_id(load(USE))
    assert (nodes["m.work"].path, nodes["m.finish"].path) == ("mods/work.py", "mods/sub/finish.py")


KEPT = ["dynamic", "shell", "http://h/x.py", "/usr/bin/env", "python", "$HOME/x.py"]


@pytest.mark.parametrize("path", KEPT)
def test_path_that_names_no_file_of_the_module_stays(load: Load, write: Write, path: str) -> None:
    write("mods/leaf.yml", f"module: {{name: leaf}}\nnodes: [{{id: a, path: {path}, args: x}}]")
    assert load("nodes: [{id: m, module: mods/leaf.yml}]").nodes[0].path == path


def test_program_beside_the_module_file_is_taken_before_path(load: Load, write: Write) -> None:
    write("mods/leaf.yml", "module: {name: leaf}\nnodes: [{id: a, path: tool}]")
    write("mods/tool", "")
    assert load("nodes: [{id: m, module: mods/leaf.yml}]").nodes[0].path == "mods/tool"


def test_path_in_a_repository_stays(load: Load, write: Write) -> None:
    write("mods/leaf.yml", "module: {name: leaf}\nnodes: [{id: a, path: a.py, git: 'https://h/r'}]")
    assert load("nodes: [{id: m, module: mods/leaf.yml}]").nodes[0].path == "a.py"


def test_environments_of_inner_nodes_start_in_the_folder_of_the_dataflow(load: Load, write: Write) -> None:
    write("mods/leaf.yml", "module: {name: leaf}\nnodes: [{id: a, path: a.py, venv: v}, {id: b, path: b.py, conda: v}]")
    nodes = load("nodes: [{id: m, module: mods/leaf.yml}]").nodes
    assert [node.interpreter.value for node in nodes if node.interpreter] == ["mods/v", "v"]


def test_parameters_are_put_into_arguments_and_environment(load: Load, write: Write) -> None:
    node = by_id(load(USE))["m.work"]
    assert node.args == ("--size", "8", "fast", "$PARAM_OTHER")
    assert node.env == {"PARAM_SIZE": "8", "PARAM_MODE": "fast"}


NESTED = """\
module: {name: outer, inputs: [f], outputs: [result]}
nodes:
  - {id: in, module: deep/leaf.yml, inputs: {frame: _mod/f}, params: {mode: $PARAM_MODE-2, kind: x}}
  - {id: after, path: after.py, inputs: {r: in/result}}
"""


def test_modules_nest(load: Load, write: Write) -> None:
    write("mods/deep/leaf.yml", LEAF)
    write("mods/outer.yml", NESTED)
    dataflow = load(USE.replace("mods/leaf.yml, inputs: {frame:", "mods/outer.yml, inputs: {f:"))
    nodes = by_id(dataflow)
    assert nodes["m.in.work"].path == "mods/deep/work.py"
    assert nodes["m.in.work"].inputs["frame"].source == OutputSource("camera", "image")
    assert nodes["m.after"].inputs["r"].source == OutputSource("m.in.finish", "result")
    assert nodes["sink"].inputs["r"].source == OutputSource("m.in.finish", "result")


def test_parameters_reach_nested_modules_where_these_state_no_others(load: Load, write: Write) -> None:
    write("mods/deep/leaf.yml", LEAF)
    write("mods/outer.yml", NESTED)
    node = by_id(load(USE.replace("mods/leaf.yml, inputs: {frame:", "mods/outer.yml, inputs: {f:")))["m.in.work"]
    assert node.env == {"PARAM_SIZE": "8", "PARAM_MODE": "fast-2", "PARAM_KIND": "x"}
    assert node.args == ("--size", "8", "fast-2", "$PARAM_OTHER")


def test_dataflow_knows_its_modules(load: Load, write: Write, tmp_path: Path) -> None:
    dataflow = load(USE)
    sent = {"result": OutputSource("m.finish", "result")}
    assert dataflow.modules == (Module("m", "leaf", "mods/leaf.yml", {"frame": OutputSource("camera", "image")}, sent),)
    assert dataflow.files == (tmp_path / "dataflow.yml", tmp_path / "mods/leaf.yml")


def test_output_of_one_module_is_the_input_of_the_next(load: Load, write: Write) -> None:
    text = USE + "  - {id: n, module: mods/leaf.yml, inputs: {frame: m/result}}\n"
    assert by_id(load(text))["n.work"].inputs["frame"].source == OutputSource("m.finish", "result")


def test_node_of_a_module_may_read_a_node_around_it(load: Load, write: Write) -> None:
    write("mods/leaf.yml", "module: {name: leaf}\nnodes: [{id: a, path: a.py, inputs: {i: camera/image}}]")
    text = "nodes: [{id: camera, path: c.py, outputs: [image]}, {id: m, module: mods/leaf.yml}]"
    assert by_id(load(text))["m.a"].inputs["i"].source == OutputSource("camera", "image")


def test_log_entries_of_a_sibling_are_found_under_its_longer_id(load: Load, write: Write) -> None:
    nodes = "[{id: a, path: a.py}, {id: b, path: b.py, inputs: {l: dora/logs/info/a}}]"
    write("mods/leaf.yml", f"module: {{name: leaf}}\nnodes: {nodes}")
    assert load("nodes: [{id: m, module: mods/leaf.yml}]").nodes[1].inputs["l"].source == LogsSource("info", "m.a")


def test_timer_node_of_a_module_feeds_nodes_inside_and_outside(load: Load, write: Write) -> None:
    nodes = "[{id: t, path: dora/timer/millis/5, outputs: [tick]}, {id: a, path: a.py, inputs: {t: t/tick}}]"
    write("mods/leaf.yml", f"module: {{name: leaf, outputs: [tick]}}\nnodes: {nodes}")
    dataflow = load("nodes: [{id: m, module: mods/leaf.yml}, {id: b, path: b.py, inputs: {t: m/tick}}]")
    timer = TimerSource(5_000_000, "dora/timer/millis/5")
    assert [node.inputs["t"].source for node in dataflow.nodes] == [timer, timer]
    assert dataflow.timer_nodes == {"m.t": timer.text}


def test_operators_of_a_module_are_wired_like_nodes(load: Load, write: Write) -> None:
    operator = "operator: {python: op.py, inputs: {f: _mod/frame, o: _mod/mask}, outputs: [result]}"
    header = "module: {name: leaf, inputs: [frame], inputs_optional: [mask], outputs: [result]}"
    write("mods/leaf.yml", f"{header}\nnodes: [{{id: run, {operator}}}]")
    nodes = by_id(load(USE))
    (found,) = nodes["m.run"].operators
    assert (found.source, {name: entry.source for name, entry in found.inputs.items()}) == (
        "mods/op.py",
        {"f": OutputSource("camera", "image")},
    )
    assert nodes["m.run"].inputs.keys() == {"op/f"}
    assert nodes["sink"].inputs["r"].source == OutputSource("m.run", "op/result")


def test_one_of_several_operators_may_send_the_output_of_a_module(load: Load, write: Write) -> None:
    first = "{id: x, python: x.py, inputs: {f: _mod/frame}, outputs: [half]}"
    second = "{id: y, python: y.py, inputs: {f: run/x/half}, outputs: [result]}"
    header = "module: {name: leaf, inputs: [frame], outputs: [result]}"
    write("mods/leaf.yml", f"{header}\nnodes: [{{id: run, operators: [{first}, {second}]}}]")
    assert by_id(load(USE))["sink"].inputs["r"].source == OutputSource("m.run", "y/result")


def test_environment_and_machine_are_handed_down_where_not_stated(load: Load, write: Write) -> None:
    nodes = "[{id: a, path: a.py, env: {X: own}}, {id: b, path: b.py, deploy: {machine: other}}]"
    write("mods/leaf.yml", f"module: {{name: leaf}}\nnodes: {nodes}")
    a, b = load("nodes: [{id: m, module: mods/leaf.yml, env: {X: 1, Y: 2}, deploy: {machine: big}}]").nodes
    assert (a.env, b.env) == ({"X": "own", "Y": "2"}, {"X": "1", "Y": "2"})
    assert (a.deploy, b.deploy) == (Deploy("big"), Deploy("other"))


def test_builds_around_a_node_come_before_its_own(load: Load, write: Write) -> None:
    nodes = "[{id: a, path: a.py, build: own}, {id: b, path: b.py}, {id: c, path: dynamic}]"
    write("mods/leaf.yml", f"module: {{name: leaf}}\nbuild: file\nnodes: {nodes}")
    found = load("nodes: [{id: m, module: mods/leaf.yml, build: use}]").nodes
    assert [node.build for node in found] == ["use\nfile\nown", "use\nfile", None]


def test_build_around_operators_comes_first(load: Load, write: Write) -> None:
    operator = "{python: op.py, build: own, inputs: {t: dora/timer/secs/1}}"
    write("mods/leaf.yml", f"module: {{name: leaf}}\nbuild: file\nnodes: [{{id: a, operator: {operator}}}]")
    assert load("nodes: [{id: m, module: mods/leaf.yml}]").nodes[0].build == "file\nown"


def test_module_used_twice_is_two_groups_of_nodes(load: Load, write: Write) -> None:
    dataflow = load(USE + "  - {id: n, module: mods/leaf.yml, inputs: {frame: camera/image, mask: camera/image}}\n")
    nodes = by_id(dataflow)
    assert list(nodes["m.work"].inputs) == ["frame"]
    assert list(nodes["n.work"].inputs) == ["frame", "mask"]
    assert "PARAM_SIZE" not in nodes["n.work"].env


USES = [
    (
        "inputs: {}",
        "dataflow.yml:3:5: node 'm': module leaf needs its input 'frame'; add `frame: <node>/<output>` to its `inputs`",
    ),
    (
        "inputs: {frame: camera/image, fame: camera/image}",
        "3:66: node 'm': module leaf has no input 'fame'; did you mean 'frame'?",
    ),
    ("inputs: {frame: camera/imge}", "3:52: node 'm': input 'frame': node 'camera' has no output 'imge'; did you mean"),
    ("inputs: {frame: camera/image, mask: nope/x}", "3:72: node 'm': input 'mask': there is no node 'nope'; nodes:"),
    (
        "inputs: {frame: camera/image}, outputs: [x], path: y",
        "node 'm': expected one of path, operator, operators, module, ros2, hub, found path and module",
    ),
    (
        "inputs: {frame: camera/image}, outputs: [x], restart_policy: always",
        "node 'm': 'outputs', 'restart_policy' cannot be on a node that uses a module; write it on the nodes of the",
    ),
    (
        "inputs: {frame: camera/image}, params: {a-b: 1}",
        "node 'm': 'a-b' cannot be a parameter: only letters, digits and '_' are allowed",
    ),
    (
        "inputs: {frame: camera/image}, params: {size: 1, Size: 2}",
        "node 'm': parameters 'size' and 'Size' differ only in case; both are PARAM_SIZE; rename one",
    ),
    ("inputs: {frame: camera/image}, params: {size: [1]}", "'params': 'size': expected a text, found a list"),
]


@pytest.mark.parametrize(("fields", "message"), USES)
def test_wrong_use_is_explained_where_it_stands(problems: Problems, write: Write, fields: str, message: str) -> None:
    text = "nodes:\n  - {id: camera, path: camera.py, outputs: [image]}\n"
    (found,) = problems(text + f"  - {{id: m, module: mods/leaf.yml, {fields}}}\n")
    assert message.removeprefix("dataflow.yml:") in found


def test_default_value_on_a_node_that_uses_a_module_is_no_problem(problems: Problems, write: Write) -> None:
    assert problems(USE.replace("id: m,", "id: m, restart_policy: never, max_restarts: 0,")) == []


def test_input_that_no_node_of_the_module_reads_is_checked_all_the_same(problems: Problems, write: Write) -> None:
    write("mods/leaf.yml", "module: {name: leaf, inputs: [frame]}\nnodes: [{id: a, path: a.py}]")
    found = problems("nodes: [{id: m, module: mods/leaf.yml, inputs: {frame: nope/x}}]")
    assert any("node 'm': input 'frame': there is no node 'nope'" in line for line in found)


def test_output_that_a_module_does_not_have_is_named_with_what_it_has(problems: Problems, write: Write) -> None:
    (found,) = problems(USE.replace("m/result", "m/half"))
    assert found.endswith("node 'sink': input 'r': node 'm' (module leaf) has no output 'half'; has: result")


def test_problem_inside_a_module_is_shown_in_its_own_file(problems: Problems, write: Write) -> None:
    write("mods/leaf.yml", LEAF.replace("half: work/half", "half: work/haf"))
    (found,) = problems(USE)
    assert found == (
        "mods/leaf.yml:12:20: node 'm.finish': input 'half': node 'm.work' has no output 'haf'; did you mean 'half'?"
    )


def test_module_that_uses_itself_is_refused(problems: Problems, write: Write) -> None:
    write("mods/a.yml", "module: {name: a}\nnodes: [{id: b, module: b.yml}]")
    write("mods/b.yml", "module: {name: b}\nnodes: [{id: a, module: a.yml}]")
    (found,) = problems("nodes: [{id: m, module: mods/a.yml}]")
    assert found == (
        "mods/b.yml:2:25: node 'm.b.a': module 'mods/a.yml' uses itself: mods/a.yml -> mods/b.yml -> mods/a.yml"
    )


def test_modules_nest_eight_levels_deep_and_no_more(problems: Problems, write: Write) -> None:
    for level in range(9):
        write(f"{level}.yml", f"module: {{name: l}}\nnodes: [{{id: n, module: {level + 1}.yml}}]")
    write("9.yml", "module: {name: l}\nnodes: [{id: n, path: n.py}]")
    assert problems("nodes: [{id: m, module: 2.yml}]") == []
    (found,) = problems("nodes: [{id: m, module: 1.yml}]")
    assert "modules are nested more than 8 levels deep" in found


def test_modules_that_multiply_without_end_are_refused(problems: Problems, write: Write) -> None:
    uses = "".join(f"\n- {{id: n{number}, module: %s}}" for number in range(30))
    for level in range(5):
        write(f"{level}.yml", "module: {name: l}\nnodes:" + uses.replace("%s", f"{level + 1}.yml"))
    write("5.yml", "module: {name: l}\nnodes: [{id: n, path: n.py}]")
    (found,) = problems("nodes: [{id: m, module: 0.yml}]")
    assert "the modules have more than 10000 nodes together" in found


def test_consumers_of_a_module_that_cannot_be_read_are_not_blamed(problems: Problems, write: Write) -> None:
    (found,) = problems(USE.replace("mods/leaf.yml", "mods/lef.yml"))
    assert found.startswith("3:21: node 'm': module 'mods/lef.yml': file not found; there is: ")
