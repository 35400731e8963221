"""The graph of a dataflow as Mermaid text."""

from __future__ import annotations

from typing import Any

from dora.dataflow.graph import graph_of


def lines_of(*nodes: dict[str, Any], modules: dict[str, str] | None = None) -> list[str]:
    """The lines after the first, without their indentation."""
    first, *rest = graph_of({"nodes": list(nodes)}, modules or {}).mermaid().splitlines()
    assert first == "flowchart TB"
    return [line.strip() for line in rest]


def test_shape_says_whether_a_node_sends_receives_or_does_both() -> None:
    lines = lines_of(
        {"id": "a", "outputs": ["x"]},
        {"id": "b", "inputs": {"x": "a/x"}, "outputs": ["y"]},
        {"id": "c", "inputs": {"y": "b/y"}},
    )
    assert lines[:3] == ['a[\\"a"/]', 'b["b"]', 'c[/"c"\\]']


def test_edge_names_input_and_output_where_they_differ_and_the_type() -> None:
    lines = lines_of(
        {"id": "a", "outputs": ["x"], "output_types": {"x": "std/media/v1/Image"}},
        {"id": "b", "inputs": {"x": "a/x", "y": "a/x"}},
    )
    assert lines[2:] == ['a -- "x [Image]" --> b', 'a -- "x as y [Image]" --> b']


def test_timers_and_logs_are_in_a_group_of_their_own() -> None:
    lines = lines_of({"id": "a", "inputs": {"t": "dora/timer/hz/30", "l": "dora/logs"}})
    assert lines == [
        'a[/"a"\\]',
        "subgraph ___dora___ [dora]",
        'dora/timer/hz/30[\\"hz/30"\\]',
        'dora/logs[("dora/logs")]',
        "end",
        'dora/timer/hz/30 -- "t" --> a',
        'dora/logs -- "l" --> a',
    ]


def test_operators_and_modules_are_subgraphs() -> None:
    lines = lines_of(
        {"id": "rt", "operators": [{"id": "a", "outputs": ["x"]}]},
        {"id": "m.in.n", "inputs": {"x": "rt/a/x"}},
        modules={"m": "m.yml", "m.in": "in.yml"},
    )
    assert lines == [
        'subgraph m ["m"]',
        'subgraph m_in ["in"]',
        'm.in.n[/"m.in.n"\\]',
        "end",
        "end",
        'subgraph rt ["rt"]',
        'rt/a["a"]',
        "end",
        'rt/a -- "x" --> m.in.n',
    ]


def test_node_that_does_not_exist_is_a_flag() -> None:
    assert lines_of({"id": "a", "inputs": {"x": "ghost/x"}})[1:] == ['ghost>"ghost"]', 'ghost -- "x" --> a']


def test_text_of_the_file_is_escaped_and_its_ids_replaced() -> None:
    lines = lines_of({"id": 'a"]<b>\n#1&`', "description": "**x**", "outputs": ["q"]}, {"id": "end"})
    assert lines == ['b0[\\"a#quot;]#lt;b#gt; #35;1#amp;#96;<br/><i>**x**</i>"/]', 'b1["end"]']
