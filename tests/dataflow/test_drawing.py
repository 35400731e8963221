"""The picture of a graph: valid, escaped, self-contained, and drawn from left to right."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from dora.dataflow.graph import graph_of

SVG = "{http://www.w3.org/2000/svg}"


def picture(*nodes: dict[str, Any]) -> ElementTree.Element:
    """The SVG of these nodes, parsed."""
    return ElementTree.fromstring(graph_of({"nodes": list(nodes)}).svg())


def lefts(svg: ElementTree.Element) -> dict[str, float]:
    """The x of each box by its title."""
    found = ((group.findtext(f"{SVG}text") or "", group.find(f"{SVG}rect")) for group in svg.iter(f"{SVG}g"))
    return {title: float(rect.get("x", "")) for title, rect in found if rect is not None}


def test_readers_stand_right_of_what_they_read() -> None:
    x = lefts(
        picture(
            {"id": "c", "inputs": {"i": "b/o", "k": "a/o"}},
            {"id": "b", "inputs": {"i": "a/o"}, "outputs": ["o"]},
            {"id": "a", "outputs": ["o"]},
        )
    )
    assert x["a"] < x["b"] < x["c"]


def test_cycles_and_self_loops_are_drawn() -> None:
    svg = picture(
        {"id": "a", "inputs": {"i": "b/o", "me": "a/o"}, "outputs": ["o"]},
        {"id": "b", "inputs": {"i": "a/o"}, "outputs": ["o"]},
    )
    assert len([path for path in svg.iter(f"{SVG}path") if path.get("fill") == "none"]) == 3


def test_everything_lies_inside_the_picture() -> None:
    svg = picture(*({"id": f"n{i}", "inputs": {"i": f"n{(i * 7) % 10}/o"}, "outputs": ["o"]} for i in range(10)))
    width, height = float(svg.get("width", "")), float(svg.get("height", ""))
    for rect in svg.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


def test_boxes_do_not_overlap() -> None:
    svg = picture(*({"id": f"n{i}", "inputs": {"i": f"n{i // 3}/o"}, "outputs": ["o"]} for i in range(1, 20)))
    boxes = [[float(r.get(key, "")) for key in ("x", "y", "width", "height")] for r in svg.iter(f"{SVG}rect")]
    for n, (x, y, w, h) in enumerate(boxes):
        for other_x, other_y, other_w, other_h in boxes[:n]:
            assert x >= other_x + other_w or other_x >= x + w or y >= other_y + other_h or other_y >= y + h


def test_text_of_the_file_is_escaped_and_cut() -> None:
    text = graph_of({"nodes": [{"id": "<script>&\"'" + "x" * 100, "path": "</svg>"}]}).svg()
    assert "<script>" not in text
    assert text.count("</svg>") == 1
    assert "…</text>" in text


def test_picture_needs_nothing_from_elsewhere() -> None:
    text = graph_of({"nodes": [{"id": "a"}]}).svg()
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in text


def test_graph_without_nodes_is_an_empty_picture() -> None:
    assert picture().tag == f"{SVG}svg"


def test_thousands_of_nodes_in_a_chain_are_drawn() -> None:
    nodes = [{"id": f"n{i}", "inputs": {"i": f"n{i - 1}/o"}, "outputs": ["o"]} for i in range(3_000)]
    assert graph_of({"nodes": nodes}).svg().count("<rect") == 3_001
