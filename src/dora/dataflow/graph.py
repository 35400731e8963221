"""Who is wired to whom, for people to look at: boxes and arrows from a descriptor, as SVG or Mermaid text.

Strategy: the graph is made from the plain mapping (`{"nodes": [...]}`) and not from a checked `Dataflow`, so that a
dataflow that is not finished or not right can be looked at, too: an input from a node that does not exist
gets a box for what is missing.  Everything that comes from the file is escaped.  The SVG stands alone: no script, no
style sheet, no font from elsewhere; notebooks show it inline, without a network.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

NODE: Final = "node"
OPERATOR: Final = "operator"
TIMER: Final = "timer"
LOGS: Final = "logs"
MISSING: Final = "missing"

_TIMER_PREFIX: Final = "dora/timer/"
_LOGS_SOURCE: Final = "dora/logs"
_SINGLE_OPERATOR: Final = "op"
_MERMAID_SHAPES: Final = {
    NODE: ('["', '"]'),
    OPERATOR: ('("', '")'),
    TIMER: ('(["', '"])'),
    LOGS: ('[("', '")]'),
    MISSING: ('>"', '"]'),
}


class Arrow(NamedTuple):
    """One output read by one input; boxes by their place in `Graph.boxes`."""

    source: int
    output: str
    target: int
    input: str


@dataclass(frozen=True)
class Box:
    """A node, an operator, or something that feeds them.

    Attributes:
        kind: `NODE`, `OPERATOR`, `TIMER`, `LOGS` or `MISSING`.
        detail: what it runs.
    """

    title: str
    kind: str
    detail: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """The boxes and arrows of one dataflow; Jupyter shows it as a picture."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]

    def mermaid(self) -> str:
        """As Mermaid flowchart text."""
        lines = ["flowchart LR"]
        for number, box in enumerate(self.boxes):
            opening, closing = _MERMAID_SHAPES[box.kind]
            lines.append(f"    b{number}{opening}{_mermaid_text(box.title)}{closing}")
        for arrow in self.arrows:
            label = arrow.output if arrow.output == arrow.input else f"{arrow.output} as {arrow.input}"
            text = f'|"{_mermaid_text(label.removeprefix(" as "))}"|' if label else ""
            lines.append(f"    b{arrow.source} -->{text} b{arrow.target}")
        return "\n".join(lines) + "\n"

    def svg(self) -> str:
        """As an SVG picture that needs nothing else."""
        from dora.dataflow.drawing import draw  # a picture is rarely asked for

        return draw(self)

    def page(self) -> str:
        """As an HTML page that needs nothing else."""
        style = "margin:0;padding:16px;background:#ffffff"
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>dataflow</title></head>\n'
            f'<body style="{style}">\n{self.svg()}\n</body></html>\n'
        )

    def __str__(self) -> str:
        return self.mermaid()

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto;background:#ffffff">{self.svg()}</div>'


def graph_of(descriptor: Mapping[str, Any]) -> Graph:
    """The graph of a descriptor as it stands in YAML, right or wrong."""
    entries = [entry for entry in _list(descriptor.get("nodes")) if isinstance(entry, Mapping)]
    return _Drawing(entries).graph()


class _Drawing:
    """A graph in the making: boxes appear as the descriptor or an input names them."""

    def __init__(self, entries: list[Mapping[str, Any]]) -> None:
        self._kinds: list[tuple[str, str, str]] = []
        self._inputs: list[dict[str, str]] = []
        self._outputs: list[list[str]] = []
        self._by_name: dict[tuple[str, str], int] = {}
        self._feeders: dict[str, int] = {}
        for entry in entries:
            self._add_node(entry)

    def graph(self) -> Graph:
        arrows = [
            Arrow(*self._source(text), target, name)
            for target, inputs in enumerate(list(self._inputs))
            for name, text in inputs.items()
        ]
        boxes = (
            Box(title, kind, detail, tuple(inputs), tuple(outputs))
            for (title, kind, detail), inputs, outputs in zip(self._kinds, self._inputs, self._outputs, strict=True)
        )
        return Graph(tuple(boxes), tuple(arrows))

    def _add_node(self, entry: Mapping[str, Any]) -> None:
        node = str(entry.get("id", "?"))
        operators = list(_operators(entry))
        if not operators:
            path = str(entry.get("path", ""))
            self._add((node, ""), node, TIMER if path.startswith(_TIMER_PREFIX) else NODE, path, entry)
        for name, operator in operators:
            title = f"{node} / {name}" if name else node
            self._add((node, name), title, OPERATOR, str(operator.get("python", "")), operator)

    def _add(self, name: tuple[str, str], title: str, kind: str, detail: str, entry: Mapping[str, Any]) -> int:
        number = len(self._kinds)
        self._by_name.setdefault(name, number)
        self._kinds.append((title, kind, detail))
        inputs = entry.get("inputs")
        self._inputs.append({str(key): _text(value) for key, value in _pairs(inputs)})
        self._outputs.append([str(output) for output in _list(entry.get("outputs"))])
        return number

    def _source(self, text: str) -> tuple[int, str]:
        """The box that a source names, and its output."""
        if text.startswith((_TIMER_PREFIX, _LOGS_SOURCE)):
            return self._feeder(text, TIMER if text.startswith(_TIMER_PREFIX) else LOGS), ""
        node, _, output = text.partition("/")
        operator, _, rest = output.partition("/")
        number = self._by_name.get((node, ""))
        if number is not None and operator == _SINGLE_OPERATOR and rest in self._outputs[number]:
            output = rest
        if number is None and (number := self._by_name.get((node, operator))) is not None:
            output = rest
        if number is None:
            number = self._feeder(node, MISSING)
        if output not in self._outputs[number]:
            self._outputs[number].append(output)
        return number, output

    def _feeder(self, title: str, kind: str) -> int:
        number = self._feeders.get(title)
        if number is None:
            shown = title.removeprefix(_TIMER_PREFIX) if kind == TIMER else title
            number = self._feeders[title] = self._add((title, kind), shown, kind, "", {})
        return number


def _operators(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    single = entry.get("operator")
    if isinstance(single, Mapping):
        yield "", {**{key: entry[key] for key in ("inputs", "outputs") if key in entry}, **single}
    for operator in _list(entry.get("operators")):
        if isinstance(operator, Mapping):
            yield str(operator.get("id", _SINGLE_OPERATOR)), operator


def _pairs(inputs: Any) -> Iterable[tuple[Any, Any]]:
    return inputs.items() if isinstance(inputs, Mapping) else ()


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _text(source: Any) -> str:
    return str(source.get("source", "?")) if isinstance(source, Mapping) else str(source)


def _mermaid_text(text: str) -> str:
    """Quoted for a Mermaid label: its entities are HTML's with `#` for `&`."""
    return html.escape(text.replace("#", "&num;")).replace("&amp;num;", "#35;").replace("&", "#").replace("\n", " ")
