"""Keys of dora-rs 0.x."""

from __future__ import annotations

from dataflow.conftest import Load, Problems


def test_custom_block_is_read_as_part_of_the_node(load: Load) -> None:
    text = "nodes: [{id: a, custom: {source: a.py, args: x, envs: {A: 1}, outputs: [o], inputs: {i: a/o}}}]"
    dataflow = load(text)
    (node,) = dataflow.nodes
    assert (node.path, node.args, node.env, node.outputs, list(node.inputs)) == (
        "a.py",
        ("x",),
        {"A": "1"},
        ("o",),
        ["i"],
    )
    assert (
        "node 'a': key 'custom' of older versions is read as part of the node; move its keys up" in dataflow.warnings[0]
    )


def test_run_of_a_custom_block_is_program_and_arguments(load: Load) -> None:
    (node,) = load("nodes: [{id: a, custom: {run: python x.py --flag}}]").nodes
    assert (node.path, node.args) == ("python", ("x.py", "--flag"))


def test_run_of_a_custom_block_may_be_a_program_alone(load: Load) -> None:
    (node,) = load("nodes: [{id: a, custom: {run: ./x}}]").nodes
    assert (node.path, node.args) == ("./x", ())


def test_run_that_is_no_text_leaves_the_node_without_a_path(problems: Problems) -> None:
    found = problems("nodes: [{id: a, custom: {run: [x]}}]")
    assert any("node 'a': expected one of path," in line for line in found)


def test_custom_that_is_no_mapping_is_an_unknown_key(problems: Problems) -> None:
    assert any("unknown key 'custom'" in line for line in problems("nodes: [{id: a, custom: x}]"))


def test_unstable_keys_are_read_under_their_new_names(load: Load) -> None:
    text = (
        "_unstable_debug: {enable_debug_inspection: true}\nnodes: [{id: a, path: a.py, _unstable_deploy: {machine: m}}]"
    )
    dataflow = load(text)
    assert dataflow.nodes[0].deploy is not None
    assert dataflow.raw["debug"] == {"enable_debug_inspection": True}
    assert "key '_unstable_debug' of older versions is read as 'debug'; write 'debug'" in dataflow.warnings[0]


def test_old_root_keys_are_ignored_with_a_warning(warnings: Problems) -> None:
    found = warnings("communication: {zenoh: {prefix: /x}}\nversion: 0.3\nname: x\nnodes: [{id: a, path: a.py}]")
    assert [line.partition(": ")[2].partition(";")[0] for line in found] == [
        f"key '{key}' of older versions is ignored" for key in ("communication", "version", "name")
    ]


def test_root_keys_for_anchors_may_start_with_x(warnings: Problems) -> None:
    assert warnings("x-env: &e {A: 1}\nnodes: [{id: a, path: a.py, env: *e}]") == []


def test_custom_block_with_path_and_source_is_started_from_the_path(load: Load) -> None:
    (node,) = load("nodes: [{id: a, custom: {source: Local, path: ./a.py}, outputs: [o]}]").nodes
    assert (node.path, node.outputs) == ("./a.py", ("o",))


def test_old_switch_of_inspection_is_read_under_its_new_name(load: Load) -> None:
    warnings = load("_unstable_debug: {publish_all_messages_to_zenoh: true}\nnodes: [{id: a, path: dynamic}]").warnings
    assert [line.partition(": ")[2].partition(";")[0] for line in warnings] == [
        "key '_unstable_debug' of older versions is read as 'debug'",
        "'debug': key 'publish_all_messages_to_zenoh' of older versions is read as 'enable_debug_inspection'",
    ]
