"""The builder: what it writes, what it refuses, what it runs and draws."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora.builder import DataflowBuilder, Node, Operator, Output
from dora.dataflow.load import load_dataflow


def written(builder: DataflowBuilder) -> dict[str, Any]:
    """What a file of that builder holds."""
    loaded: dict[str, Any] = yaml.safe_load(builder.to_yaml() or "")
    return loaded


@pytest.fixture
def builder() -> DataflowBuilder:
    return DataflowBuilder()


# -- what dora-rs's builder does (dora node-api, section 20)


def test_name_is_kept_and_not_written(builder: DataflowBuilder) -> None:
    assert builder.name == "dora-dataflow"
    assert written(DataflowBuilder("other")) == {"nodes": []}


def test_keywords_of_add_node_are_keys_of_the_node(builder: DataflowBuilder) -> None:
    node = builder.add_node("a", path="a.py", anything=5)
    assert (node.id, node.config) == ("a", {"id": "a", "path": "a.py", "anything": 5})
    assert written(builder) == {"nodes": [{"id": "a", "path": "a.py", "anything": 5}]}


def test_methods_of_a_node_can_be_chained(builder: DataflowBuilder) -> None:
    node = builder.add_node("a").path("a.py").args("--fast 'x y'").env({"A": 1}).env({"B": "2"}).build("pip install x")
    assert isinstance(node, Node)
    expected = {"id": "a", "path": "a.py", "args": "--fast 'x y'", "env": {"B": "2"}, "build": "pip install x"}
    assert node.to_dict() == expected


def test_git_leaves_out_what_is_not_stated(builder: DataflowBuilder) -> None:
    node = builder.add_node("a").git("https://example.org/a.git", branch="", tag="v1")
    assert node.to_dict() == {"id": "a", "git": "https://example.org/a.git", "tag": "v1"}


def test_output_is_added_once_and_reads_as_its_source(builder: DataflowBuilder) -> None:
    node = builder.add_node("camera")
    outputs = [node.add_output("image"), node.add_output("image")]
    assert [str(output) for output in outputs] == ["camera/image", "camera/image"]
    assert node.to_dict()["outputs"] == ["image"]


def test_output_shows_what_it_belongs_to(builder: DataflowBuilder) -> None:
    assert repr(builder.add_node("camera").add_output("image")) == "<Output 'image' of node 'camera'>"


def test_input_without_options_is_text(builder: DataflowBuilder) -> None:
    image = builder.add_node("camera").add_output("image")
    node = builder.add_node("plot").add_input("image", image).add_input("tick", "dora/timer/hz/30")
    assert node.to_dict()["inputs"] == {"image": "camera/image", "tick": "dora/timer/hz/30"}


def test_input_with_options_is_a_mapping(builder: DataflowBuilder) -> None:
    node = builder.add_node("plot").add_input("a", "x/y", queue_size=3, queue_policy="backpressure")
    node.add_input("b", "x/y", input_timeout=0.5)
    assert node.to_dict()["inputs"] == {
        "a": {"source": "x/y", "queue_size": 3, "queue_policy": "backpressure"},
        "b": {"source": "x/y", "input_timeout": 0.5},
    }


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"queue_size": 0}, ValueError, "queue_size must be >= 1, got 0"),
        ({"queue_size": -2}, ValueError, "queue_size must be >= 1, got -2"),
        ({"queue_size": "3"}, TypeError, "queue_size must be an int >= 1, not str"),
        ({"queue_size": True}, TypeError, "queue_size must be an int >= 1, not bool"),
        ({"queue_policy": "keep"}, ValueError, "queue_policy must be one of backpressure, drop_oldest, got 'keep'"),
        ({"input_timeout": -1}, ValueError, "input_timeout must be a finite number of seconds, 0 or more, got -1"),
        ({"input_timeout": "1"}, TypeError, "input_timeout must be a number of seconds, not str"),
    ],
)
def test_options_out_of_range_are_refused(
    builder: DataflowBuilder, options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        builder.add_node("plot").add_input("a", "x/y", **options)
    assert str(caught.value) == text


def test_source_of_another_kind_is_refused(builder: DataflowBuilder) -> None:
    with pytest.raises(TypeError, match="source must be an Output or text such as 'node/output', not int"):
        builder.add_node("plot").add_input("a", 5)  # type: ignore[arg-type]


def test_operators_stand_in_a_list_with_what_is_stated(builder: DataflowBuilder) -> None:
    operator = Operator("a", name="A", python="a.py", shared_library="x", build="")
    node = builder.add_node("rt").add_operator(operator)
    stated = {"id": "a", "name": "A", "python": "a.py", "shared-library": "x"}
    assert operator.to_dict() == stated
    assert node.to_dict() == {"id": "rt", "operators": [stated]}


def test_builder_is_a_context_manager() -> None:
    with DataflowBuilder("x") as builder:
        builder.add_node("a")
    assert written(builder) == {"nodes": [{"id": "a"}]}


def test_file_is_written_with_its_keys_sorted(builder: DataflowBuilder, tmp_path: Path) -> None:
    builder.add_node("a", path="a.py", args="x").add_output("o")
    file = tmp_path / "dataflow.yml"
    assert builder.to_yaml(file) is None
    assert file.read_text() == "nodes:\n- args: x\n  id: a\n  outputs:\n  - o\n  path: a.py\n"


# -- what ours does beside that


def test_any_key_of_the_file_can_be_set_and_taken_away(builder: DataflowBuilder) -> None:
    builder.set(env={"A": "1"}, health_check_interval=1.0).set(health_check_interval=None)
    node = builder.add_node("a").set(restart_policy="on-failure", max_restarts=3, cpu_affinity=[0, 1], args="x")
    node.set(args=None, min_log_level="info", startup_timeout=5.0)
    assert written(builder)["env"] == {"A": "1"}
    assert node.to_dict() == {
        "id": "a",
        "restart_policy": "on-failure",
        "max_restarts": 3,
        "cpu_affinity": [0, 1],
        "min_log_level": "info",
        "startup_timeout": 5.0,
    }


@pytest.mark.parametrize(
    ("owner", "key", "text"),
    [
        (DataflowBuilder(), "exit_when_node_finish", "did you mean 'exit_when_nodes_finish'"),
        (Node("a"), "restart_polcy", "a node has no key 'restart_polcy'; did you mean 'restart_policy'"),
        (Operator("a"), "min_log_leve", "an operator has no key 'min_log_leve'; did you mean 'min_log_level'"),
        (Node("a"), "zzz", "a node has no key 'zzz'; it has: args, branch, "),
    ],
)
def test_unknown_key_is_refused_with_a_suggestion(owner: Any, key: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        owner.set(**{key: 1})
    assert key not in owner.config


def test_operators_have_inputs_and_outputs_that_others_read(builder: DataflowBuilder) -> None:
    first, second = Operator("first", python="f.py"), Operator("second", python="s.py").set(min_log_level="info")
    builder.add_node("rt").add_operator(first).add_operator(second)
    second.add_input("x", first.add_output("y"), queue_size=2)
    assert second.to_dict()["inputs"] == {"x": {"source": "rt/first/y", "queue_size": 2}}
    assert first.to_dict()["outputs"] == ["y"]


def test_output_of_an_operator_without_a_node_says_what_is_missing(builder: DataflowBuilder) -> None:
    output = Operator("lonely").add_output("y")
    with pytest.raises(ValueError, match=r"operator 'lonely' is not part of a node yet.*Node\.add_operator"):
        builder.add_node("plot").add_input("x", output)


def test_add_operator_takes_operators_only(builder: DataflowBuilder) -> None:
    with pytest.raises(TypeError, match="operator must be an Operator, not dict"):
        builder.add_node("rt").add_operator({"id": "a"})  # type: ignore[arg-type]


class Mode(str, enum.Enum):
    """Text that is more than text."""

    FAST = "fast"


def test_values_become_what_yaml_can_say(builder: DataflowBuilder) -> None:
    shared = ["x"]
    node = builder.add_node("a", path=Path("a.py"), outputs=shared)
    node.set(cpu_affinity=(1, 2), args=Mode.FAST, output_types={"x": "std/core/v1/Bytes"})
    builder.add_node("b", outputs=shared, inputs={"i": Output(node, "x")})
    text = builder.to_yaml() or ""
    assert "&" not in text
    first, second = yaml.safe_load(text)["nodes"]
    assert (first["path"], first["cpu_affinity"], first["args"]) == ("a.py", [1, 2], "fast")
    assert second["inputs"] == {"i": "a/x"}


def test_value_that_yaml_cannot_say_is_named(builder: DataflowBuilder) -> None:
    builder.add_node("a", args=object())
    with pytest.raises(TypeError, match="node 'a', key 'args': a object cannot stand in a dataflow file"):
        builder.to_yaml()


def test_whatever_is_built_reads_back_as_it_was_meant(builder: DataflowBuilder, tmp_path: Path) -> None:
    camera = builder.add_node("camera", path="camera.py").env({"A": "007", "B": 7}).set(restart_policy="always")
    builder.add_node("plot", path="plot.py").add_input("image", camera.add_output("image"), 5, "backpressure", 2)
    builder.to_yaml(tmp_path / "dataflow.yml")
    first, second = load_dataflow(tmp_path / "dataflow.yml").nodes
    assert first.env == {"A": "007", "B": "7"}
    assert (second.inputs["image"].queue_size, second.inputs["image"].input_timeout_s) == (5, 2.0)


def test_operators_that_are_built_read_back_as_they_were_meant(builder: DataflowBuilder, tmp_path: Path) -> None:
    first, second = Operator("first", python="f.py"), Operator("second", python="s.py")
    builder.add_node("rt").add_operator(first).add_operator(second)
    second.add_input("x", first.add_output("y"), queue_size=2)
    first.add_input("tick", "dora/timer/hz/30")
    builder.add_node("plot", path="plot.py").add_input("z", second.add_output("z"))
    assert builder.check() == []


def test_check_returns_warnings_without_a_place(builder: DataflowBuilder) -> None:
    builder.add_node("a", path="a.py", bogus=1)
    (warning,) = builder.check()
    assert warning.startswith("node 'a': unknown key 'bogus'")


def test_check_raises_every_problem_at_once(builder: DataflowBuilder) -> None:
    builder.add_node("a", path="a.py").add_input("x", "ghost/y")
    builder.add_node("a", path="a.py")
    with pytest.raises(RuntimeError) as caught:
        builder.check()
    assert str(caught.value).splitlines() == [
        "Dataflow could not be validated.",
        "node 'a': input 'x': there is no node 'ghost'; nodes: a",
        "node id 'a' is used twice (first one in line 2); rename one",
    ]


@pytest.mark.slow
def test_run_starts_at_the_current_folder_and_leaves_no_file(
    builder: DataflowBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "node.py").write_text("from dora import Node\nNode()\nprint('it runs')\n")
    builder.add_node("talker", path="node.py")
    builder.run(stop_after=5)
    assert "it runs" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node.py", "out"]


def test_run_checks_before_it_writes_anything(
    builder: DataflowBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    builder.add_node("a", path="a.py").add_input("x", "ghost/y")
    with pytest.raises(RuntimeError, match="no node 'ghost'"):
        builder.run()
    assert not list(tmp_path.iterdir())


def test_graph_is_shown_by_jupyter_and_reads_as_mermaid(builder: DataflowBuilder) -> None:
    image = builder.add_node("camera").add_output("image")
    builder.add_node("plot").add_input("image", image)
    graph = builder.graph()
    assert graph._repr_svg_().startswith("<svg ")
    assert "<svg " in graph._repr_html_()
    assert str(graph) == 'flowchart TB\n  camera[\\"camera"/]\n  plot[/"plot"\\]\n  camera -- "image" --> plot\n'
