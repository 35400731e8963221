"""A graph as Mermaid flowchart text, to paste into a README or an editor (dora cli, section 5.4).

Strategy: shapes say what a box is: a source is a trapezoid that opens downwards, a sink one that closes, the rest are
rectangles.  Ids are those of the dataflow where Mermaid can read them, else numbers.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from dora.dataflow.graph import LOGS, MISSING, NODE, OPERATOR, TIMER, TIMER_PREFIX, Box, Graph

_SOURCE: Final = ('[\\"', '"/]')
_SINK: Final = ('[/"', '"\\]')
_BETWEEN: Final = ('["', '"]')
_SHAPES: Final = {
    OPERATOR: _BETWEEN,
    TIMER: ('[\\"', '"\\]'),
    LOGS: ('[("', '")]'),
    MISSING: ('>"', '"]'),
}
_READABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*")
_WORDS: Final = re.compile(
    r"\b(?:end|graph|subgraph|flowchart|style|linkStyle|class|classDef|click|direction|default|href|call)\b"
)


def mermaid_text(graph: Graph) -> str:
    """The flowchart, one line for each box and arrow."""
    ids = [_id(box.id, f"b{number}") for number, box in enumerate(graph.boxes)]
    lines = ["flowchart TB", *_members(graph, ids, -1, "  "), *_feeders(graph, ids)]
    for arrow in graph.arrows:
        label = _label(graph, arrow.source, arrow.output, arrow.input)
        lines.append(f'  {ids[arrow.source]} -- "{_text(label)}" --> {ids[arrow.target]}')
    return "\n".join(lines) + "\n"


def _members(graph: Graph, ids: list[str], group: int, indent: str) -> Iterator[str]:
    for number, box in enumerate(graph.boxes):
        if box.group == group and not _is_feeder(box):
            yield f"{indent}{ids[number]}{_shape(box, is_inner=group >= 0)}"
    for number, inner in enumerate(graph.groups):
        if inner.parent == group:
            name = _id(inner.id.replace(".", "_"), f"g{number}")
            title = inner.id if group < 0 else inner.id.removeprefix(f"{graph.groups[group].id}.")
            yield f'{indent}subgraph {name} ["{_text(title)}"]'
            yield from _members(graph, ids, number, indent + "  ")
            yield f"{indent}end"


def _feeders(graph: Graph, ids: list[str]) -> Iterator[str]:
    """Timers and logs, in a group of their own."""
    found = [f"    {ids[number]}{_shape(box)}" for number, box in enumerate(graph.boxes) if _is_feeder(box)]
    if found:
        yield from ["  subgraph ___dora___ [dora]", *found, "  end"]


def _is_feeder(box: Box) -> bool:
    return box.kind == LOGS or (box.kind == TIMER and box.id.startswith(TIMER_PREFIX))


def _shape(box: Box, *, is_inner: bool = False) -> str:
    opening, closing = _SHAPES.get(box.kind, _BETWEEN)
    title = box.title
    if box.kind == NODE:
        if not box.inputs and box.outputs:
            opening, closing = _SOURCE
        elif box.inputs and not box.outputs:
            opening, closing = _SINK
        about = box.entry.get("description")
        text = _text(title) + (f"<br/><i>{_text(str(about))}</i>" if about else "")
        return f"{opening}{text}{closing}"
    if box.kind == OPERATOR and is_inner:
        title = title.rpartition(" / ")[2]
    return f"{opening}{_text(title)}{closing}"


def _label(graph: Graph, source: int, output: str, name: str) -> str:
    label = name if output in ("", name) else f"{output} as {name}"
    types = graph.boxes[source].entry.get("output_types")
    kind = types.get(output) if isinstance(types, dict) else None
    return f"{label} [{str(kind).rpartition('/')[2]}]" if kind else label


def _id(text: str, otherwise: str) -> str:
    return text if _READABLE.fullmatch(text) and not _WORDS.search(text) else otherwise


def _text(text: str) -> str:
    """Quoted for a Mermaid label: its entities are HTML's with `#` for `&`."""
    escaped = html.escape(text.replace("#", "&num;")).replace("&amp;num;", "#35;").replace("&", "#")
    return " ".join(escaped.replace("`", "#96;").split())
