"""Who is wired to whom, for people to look at: boxes and arrows from a descriptor, as a page, SVG or Mermaid text.

Strategy: the graph is made from the plain mapping (`{"nodes": [...]}`) and not from a checked `Dataflow`, so that a
dataflow that is not finished or not right can be looked at, too: an input from a node that does not exist
gets a box for what is missing.  Modules and nodes with several operators are groups of boxes.  Everything that comes
from the file is escaped.  SVG (`drawing.py`) and page (`graph_page.py`) stand alone: nothing comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

NODE: Final = "node"
OPERATOR: Final = "operator"
TIMER: Final = "timer"
LOGS: Final = "logs"
MISSING: Final = "missing"

MODULE: Final = "module"
RUNTIME: Final = "runtime"

TIMER_PREFIX: Final = "dora/timer/"
_LOGS_SOURCE: Final = "dora/logs"
_SINGLE_OPERATOR: Final = "op"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Arrow(NamedTuple):
    """One output read by one input; boxes by their place in `Graph.boxes`."""

    source: int
    output: str
    target: int
    input: str


class Group(NamedTuple):
    """Boxes that belong together.

    Attributes:
        id: of the module's or runtime node, as it stands in source texts.
        kind: `MODULE` or `RUNTIME`.
        parent: the group that it is in, by its place in `Graph.groups`; -1 at the top.
        detail: the file of a module.
    """

    id: str
    kind: str
    parent: int
    detail: str = ""


@dataclass(frozen=True)
class Box:
    """A node, an operator, or something that feeds them.

    Attributes:
        id: as it stands in source texts: `node`, `node/operator`, `dora/timer/hz/30`.
        kind: `NODE`, `OPERATOR`, `TIMER`, `LOGS` or `MISSING`.
        detail: what it runs.
        group: the group that it is in, by its place in `Graph.groups`; -1 at the top.
        entry: what the descriptor says of it.
    """

    id: str
    title: str
    kind: str
    detail: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    group: int = -1
    entry: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Graph:
    """The boxes and arrows of one dataflow; Jupyter shows it as a picture."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    groups: tuple[Group, ...] = ()

    def mermaid(self) -> str:
        """As Mermaid flowchart text."""
        from dora.dataflow.mermaid import mermaid_text  # one of three forms, each rarely asked for

        return mermaid_text(self)

    def svg(self) -> str:
        """As an SVG picture that needs nothing else."""
        from dora.dataflow.drawing import draw  # one of three forms, each rarely asked for

        return draw(self)

    def page(self, title: str = "dataflow") -> str:
        """As an HTML page to walk around in, that needs nothing else."""
        from dora.dataflow.graph_page import page  # one of three forms, each rarely asked for

        return page(self, title)

    def __str__(self) -> str:
        return self.mermaid()

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto;background:#ffffff">{self.svg()}</div>'


def graph_of(descriptor: Mapping[str, Any], modules: Mapping[str, str] = _NOTHING) -> Graph:
    """The graph of a descriptor as it stands in YAML, right or wrong.

    Args:
        modules: where modules have been expanded, the file of each by the id of its node.
    """
    entries = [entry for entry in _list(descriptor.get("nodes")) if isinstance(entry, Mapping)]
    return _Drawing(entries, modules).graph()


@dataclass
class _Draft:
    """A box whose ports are not all known."""

    id: str
    title: str
    kind: str
    detail: str
    group: int
    entry: Mapping[str, Any]
    inputs: dict[str, str]
    outputs: list[str]

    def box(self) -> Box:
        return Box(
            self.id, self.title, self.kind, self.detail, tuple(self.inputs), tuple(self.outputs), self.group, self.entry
        )


class _Drawing:
    """A graph in the making: boxes appear as the descriptor or an input names them."""

    def __init__(self, entries: list[Mapping[str, Any]], modules: Mapping[str, str]) -> None:
        self._drafts: list[_Draft] = []
        self._by_name: dict[tuple[str, str], int] = {}
        self._feeders: dict[str, int] = {}
        self._groups: list[Group] = []
        self._modules: dict[str, int] = {}
        for name in sorted(modules, key=lambda name: name.count(".")):
            self._groups.append(Group(name, MODULE, self._module_of(name), modules[name]))
            self._modules[name] = len(self._groups) - 1
        for entry in entries:
            self._add_node(entry)

    def graph(self) -> Graph:
        arrows = [
            Arrow(*self._source(text), target, name)
            for target, draft in enumerate(list(self._drafts))
            for name, text in draft.inputs.items()
        ]
        return Graph(tuple(draft.box() for draft in self._drafts), tuple(arrows), tuple(self._groups))

    def _module_of(self, node: str) -> int:
        """The group of the innermost module that the node is in."""
        parts = node.split(".")
        names = (".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
        return next((self._modules[name] for name in names if name in self._modules), -1)

    def _add_node(self, entry: Mapping[str, Any]) -> None:
        node = str(entry.get("id", "?"))
        group = self._module_of(node)
        operators = list(_operators(entry))
        if not operators:
            path = str(entry.get("path", ""))
            kind = TIMER if path.startswith(TIMER_PREFIX) else NODE
            self._add((node, ""), _draft(node, node, kind, path, group, entry))
        if any(name for name, _ in operators):
            self._groups.append(Group(node, RUNTIME, group))
            group = len(self._groups) - 1
        for name, operator in operators:
            own = {**{key: entry[key] for key in ("env", "deploy") if key in entry}, **operator}
            title = f"{node} / {name}" if name else node
            box_id = f"{node}/{name or operator.get('id') or _SINGLE_OPERATOR}"
            self._add((node, name), _draft(box_id, title, OPERATOR, _python(operator), group, own))

    def _add(self, name: tuple[str, str], draft: _Draft) -> int:
        number = len(self._drafts)
        self._by_name.setdefault(name, number)
        self._drafts.append(draft)
        return number

    def _source(self, text: str) -> tuple[int, str]:
        """The box that a source names, and its output."""
        if text.startswith((TIMER_PREFIX, _LOGS_SOURCE)):
            return self._feeder(text, TIMER if text.startswith(TIMER_PREFIX) else LOGS), ""
        node, _, output = text.partition("/")
        operator, _, rest = output.partition("/")
        number = self._by_name.get((node, ""))
        if number is not None and self._drafts[number].id == f"{node}/{operator}":
            output = rest if rest in self._drafts[number].outputs else output
        if number is None and (number := self._by_name.get((node, operator))) is not None:
            output = rest
        if number is None:
            number = self._feeder(node, MISSING)
        if output not in self._drafts[number].outputs:
            self._drafts[number].outputs.append(output)
        return number, output

    def _feeder(self, title: str, kind: str) -> int:
        number = self._feeders.get(title)
        if number is None:
            shown = title.removeprefix(TIMER_PREFIX) if kind == TIMER else title
            number = self._add((title, kind), _draft(title, shown, kind, "", -1, {}))
            self._feeders[title] = number
        return number


def _draft(box_id: str, title: str, kind: str, detail: str, group: int, entry: Mapping[str, Any]) -> _Draft:
    inputs = {str(key): source_text(value) for key, value in _pairs(entry.get("inputs"))}
    outputs = [str(output) for output in _list(entry.get("outputs"))]
    return _Draft(box_id, title, kind, detail, group, entry, inputs, outputs)


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


def _python(operator: Mapping[str, Any]) -> str:
    source = operator.get("python", "")
    return str(source.get("source", "")) if isinstance(source, Mapping) else str(source)


def source_text(source: Any) -> str:
    """What an input reads, whether it is written short or long."""
    return str(source.get("source", "?")) if isinstance(source, Mapping) else str(source)
