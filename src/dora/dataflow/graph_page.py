"""A graph as one HTML page that works without a network: zoom, move, search, click a node for what it is.

Strategy: this module says what there is to show, as plain data; `static/graph_layout.js` decides where it stands and
`static/graph_view.js` draws it and listens.  Both are put into the page as they are, with the data as JSON beside them,
and a policy in the page forbids it to load anything.  Timers and logs are shown at the inputs that they feed: lines
from one timer to fifty nodes say nothing.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dora.dataflow.graph import LOGS, MODULE, OPERATOR, TIMER, TIMER_PREFIX, Box, Graph, Group, source_text

_STATIC: Final = Path(__file__).with_name("static")
_UNITS: Final = {"secs": "s", "millis": "ms", "micros": "µs", "nanos": "ns", "hz": "Hz"}
_NOT_FACTS: Final = frozenset(
    {"id", "inputs", "outputs", "input_types", "output_types", "output_metadata", "output_framing"}
    | {"operator", "operators"}
)
_FIRST: Final = ("description", "path", "python", "module", "args", "build")
_DEFAULTS: Final[Mapping[str, Any]] = {"restart_policy": "never", "max_restarts": 0}
_OPTION_NAMES: Final = {"queue_size": "queue", "queue_policy": "", "input_timeout": "timeout"}


def page(graph: Graph, title: str) -> str:
    """The page."""
    parts = {
        "title": html.escape(title),
        "style": _static("graph.css"),
        "layout": _static("graph_layout.js"),
        "view": _static("graph_view.js"),
        # "</script>" and "<!--" in the file must not end the element that holds the data
        "model": json.dumps(_model(graph, title), ensure_ascii=False).replace("<", "\\u003c"),
    }
    head, *rest = _static("graph.html").split("{{")
    found = [head]
    for piece in rest:
        name, _, after = piece.partition("}}")
        found += [parts[name], after]
    return "".join(found)


def _static(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _model(graph: Graph, title: str) -> dict[str, Any]:
    """What the page shows, as JSON: boxes, groups, and arrows as `[source, output, target, input]`."""
    kept = [number for number, box in enumerate(graph.boxes) if not _is_feeder(box)]
    place = {number: at for at, number in enumerate(kept)}
    arrows = [
        [place[arrow.source], arrow.output, place[arrow.target], arrow.input]
        for arrow in graph.arrows
        if arrow.source in place
    ]
    boxes = [_box(graph.boxes[number], graph.groups) for number in kept]
    return {
        "title": title,
        "count": _count(graph, boxes, len(arrows)),
        "boxes": boxes,
        "groups": [_group(group, graph.groups) for group in graph.groups],
        "arrows": arrows,
    }


def _count(graph: Graph, boxes: list[dict[str, Any]], arrows: int) -> str:
    runtimes = sum(1 for group in graph.groups if group.kind != MODULE)
    inner = sum(1 for box in graph.boxes if box.kind == OPERATOR and _is_in_runtime(box, graph.groups))
    counts = {
        "node": len(boxes) - inner + runtimes,
        "operator": sum(1 for box in graph.boxes if box.kind == OPERATOR),
        "module": len(graph.groups) - runtimes,
        "connection": arrows,
    }
    return ", ".join(
        f"{number} {noun}{'' if number == 1 else 's'}"
        for noun, number in counts.items()
        if number or noun in ("node", "connection")
    )


def _is_in_runtime(box: Box, groups: tuple[Group, ...]) -> bool:
    return box.group >= 0 and groups[box.group].kind != MODULE


def _is_feeder(box: Box) -> bool:
    return box.kind == LOGS or (box.kind == TIMER and box.id.startswith(TIMER_PREFIX))


def _group(group: Group, groups: tuple[Group, ...]) -> dict[str, Any]:
    prefix = f"{groups[group.parent].id}." if group.parent >= 0 else ""
    return {
        "id": group.id,
        "title": group.id.removeprefix(prefix),
        "kind": group.kind,
        "parent": group.parent,
        "note": group.detail,
    }


def _box(box: Box, groups: tuple[Group, ...]) -> dict[str, Any]:
    title = box.title
    if box.group >= 0:
        outer = groups[box.group]
        title = title.removeprefix(f"{outer.id}." if outer.kind == MODULE else f"{outer.id} / ")
    is_timer = box.kind == TIMER
    return {
        "id": box.id,
        "title": title,
        "kind": box.kind,
        "detail": _period(box.detail) if is_timer else box.detail,
        "group": box.group,
        "inputs": [_input(box.entry, name) for name in box.inputs],
        "outputs": [_output(box.entry, name) for name in box.outputs],
        "facts": [[key, text] for key, text in _facts(box.entry)],
    }


def _input(entry: Mapping[str, Any], name: str) -> dict[str, str]:
    stated = _mapping(entry.get("inputs")).get(name)
    found = {"name": name, "type": _of(entry, "input_types", name)}
    source = source_text(stated)
    if source.startswith(TIMER_PREFIX):
        found["chip"] = _period(source)
    elif source.startswith("dora/logs"):
        found["chip"] = source.removeprefix("dora/")
    options = _mapping(stated)
    found["note"] = ", ".join(
        f"{label} {options[key]}".strip() for key, label in _OPTION_NAMES.items() if options.get(key) is not None
    )
    return found


def _output(entry: Mapping[str, Any], name: str) -> dict[str, str]:
    metadata = _mapping(entry.get("output_metadata")).get(name)
    note = "metadata: " + ", ".join(str(key) for key in metadata) if isinstance(metadata, list) and metadata else ""
    framing = _of(entry, "output_framing", name)
    return {
        "name": name,
        "type": _of(entry, "output_types", name),
        "note": "; ".join(text for text in (note, framing and f"framing: {framing}") if text),
    }


def _facts(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(entry.items(), key=lambda fact: fact[0] not in _FIRST):
        if key not in _NOT_FACTS and value not in (None, "", [], {}) and _DEFAULTS.get(key) != value:
            yield str(key), _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_shown(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(each) for each in value)
    return str(value).rstrip()


def _period(timer: str) -> str:
    """`dora/timer/millis/100` as people write it: `100 ms`."""
    unit, _, value = timer.removeprefix(TIMER_PREFIX).partition("/")
    if unit == "nanos" and value.isdecimal() and int(value):
        rate = 1e9 / int(value)  # 30 Hz is 33333333 ns
        if 1 <= rate <= 1000 and abs(rate - round(rate)) < 1e-6 * rate:
            return f"{round(rate)} Hz"
    return f"{value} {_UNITS[unit]}" if unit in _UNITS else timer.removeprefix(TIMER_PREFIX)


def _of(entry: Mapping[str, Any], key: str, port: str) -> str:
    found = _mapping(entry.get(key)).get(port)
    return "" if found is None else str(found)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
