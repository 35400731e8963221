"""Draws a graph as SVG: boxes in columns from left to right, inputs on their left side, outputs on their right.

Strategy: the classic four steps for layered graphs (Sugiyama, Tagawa, Toda 1981), each in its plainest form.
Arrows that close a cycle are set aside; every box goes one column right of the last that feeds it; an arrow over more
columns gets a waypoint in each, so that it runs between boxes and not over them; a few sweeps put boxes beside
what they are wired to.  Arrows are curves between ports; those that were set aside run below everything.
"""

from __future__ import annotations

import html
import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from dora.dataflow.graph import LOGS, MISSING, NODE, OPERATOR, TIMER, Arrow, Box, Graph

_FILLS: Final = {
    NODE: ("#e8f0fe", "#3367d6"),
    OPERATOR: ("#e6f4ea", "#188038"),
    TIMER: ("#fef7e0", "#b06000"),
    LOGS: ("#f1f3f4", "#5f6368"),
    MISSING: ("#fce8e6", "#c5221f"),
}
_TITLE_PX: Final = 8.0
_PORT_PX: Final = 6.6
_LINE: Final = 18
_HEAD: Final = 30
_GAP_X: Final = 70
_GAP_Y: Final = 26
_MARGIN: Final = 14
_MOST_SHOWN: Final = 40
_SWEEPS: Final = 4
_TURN: Final = 40


@dataclass
class _Place:
    """A box, or the waypoint of an arrow, on the drawing."""

    column: int
    box: Box | None = None
    width: float = 0.0
    height: float = 4.0
    x: float = 0.0
    y: float = 0.0
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)

    def port(self, names: tuple[str, ...], name: str) -> float:
        """Height of a port; waypoints have one for all."""
        if self.box is None or name not in names:
            return self.y + self.height / 2
        return self.y + _HEAD + _LINE * names.index(name) + _LINE / 2


def draw(graph: Graph) -> str:
    """The picture."""
    forward, backward = _split(graph)
    columns = _columns(len(graph.boxes), forward)
    places = [_place(box, column) for box, column in zip(graph.boxes, columns, strict=True)]
    routes = [_route(places, arrow) for arrow in forward]
    _arrange(places)
    bottom = max((place.y + place.height for place in places), default=0.0)
    parts = [_curve(places, arrow, route) for arrow, route in zip(forward, routes, strict=True)]
    for number, arrow in enumerate(backward):
        parts.append(_return_curve(places, arrow, bottom + _GAP_Y / 2 + 10 * number))
    parts += [_box(place) for place in places if place.box is not None]
    width = max((place.x + place.width for place in places), default=0.0) + _MARGIN + (_TURN if backward else 0)
    height = bottom + _MARGIN + (_GAP_Y + 10 * len(backward) if backward else 0)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" role="img">'
    return "\n".join([head, "<title>dataflow</title>", *parts, "</svg>"])


def _split(graph: Graph) -> tuple[list[Arrow], list[Arrow]]:
    """The arrows without and those that close a cycle, found by a walk in depth."""
    leaving: dict[int, list[Arrow]] = defaultdict(list)
    for arrow in graph.arrows:
        leaving[arrow.source].append(arrow)
    on_path, done = set[int](), set[int]()
    backward = set[int]()
    for start in range(len(graph.boxes)):
        walk = [(start, iter(leaving[start]))] if start not in done else []
        on_path |= {start} if walk else set()
        while walk:
            box, arrows = walk[-1]
            found = next(arrows, None)
            if found is None:
                walk.pop()
                on_path.discard(box)
                done.add(box)
            elif found.target in on_path:
                backward.add(id(found))
            elif found.target not in done:
                on_path.add(found.target)
                walk.append((found.target, iter(leaving[found.target])))
    forward = [arrow for arrow in graph.arrows if id(arrow) not in backward]
    return forward, [arrow for arrow in graph.arrows if id(arrow) in backward]


def _columns(count: int, forward: list[Arrow]) -> list[int]:
    """For each box one more than the largest of those that feed it."""
    waits_for = [0] * count
    leaving: dict[int, list[int]] = defaultdict(list)
    for arrow in forward:
        waits_for[arrow.target] += 1
        leaving[arrow.source].append(arrow.target)
    columns = [0] * count
    ready = [box for box in range(count) if not waits_for[box]]
    while ready:
        box = ready.pop()
        for target in leaving[box]:
            columns[target] = max(columns[target], columns[box] + 1)
            waits_for[target] -= 1
            if not waits_for[target]:
                ready.append(target)
    return columns


def _place(box: Box, column: int) -> _Place:
    lines = max(len(box.inputs), len(box.outputs))
    ports = max((len(_short(name)) for name in box.inputs), default=0)
    ports += max((len(_short(name)) for name in box.outputs), default=0)
    width = max(_TITLE_PX * len(_short(box.title)) + 24, _PORT_PX * ports + 40, 80)
    return _Place(column, box, width, _HEAD + _LINE * lines + (6 if lines else 0))


def _route(places: list[_Place], arrow: Arrow) -> list[int]:
    """The places that the arrow passes, with a new waypoint in each column between its ends."""
    route = [arrow.source]
    for column in range(places[arrow.source].column + 1, places[arrow.target].column):
        route.append(len(places))
        places.append(_Place(column))
    route.append(arrow.target)
    for here, there in itertools.pairwise(route):
        places[here].after.append(there)
        places[there].before.append(here)
    return route


def _arrange(places: list[_Place]) -> None:
    """Choose the order in each column, then coordinates."""
    columns: dict[int, list[int]] = defaultdict(list)
    for number, place in enumerate(places):
        columns[place.column].append(number)
    ordered = [columns[column] for column in sorted(columns)]
    rank = {number: float(at) for column in ordered for at, number in enumerate(column)}
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        for column in ordered if is_down else reversed(ordered):
            middles = {number: _middle(places[number], rank, number, is_down=is_down) for number in column}
            column.sort(key=middles.__getitem__)
            rank.update({number: float(at) for at, number in enumerate(column)})
    heights = [sum(places[n].height + _GAP_Y for n in column) - _GAP_Y for column in ordered]
    x = float(_MARGIN)
    for column, height in zip(ordered, heights, strict=True):
        y = _MARGIN + (max(heights) - height) / 2
        widest = max(places[number].width for number in column)
        for number in column:
            place = places[number]
            place.x, place.y = x, y
            place.width = place.width if place.box is not None else widest
            y += place.height + _GAP_Y
        x += widest + _GAP_X


def _middle(place: _Place, rank: dict[int, float], number: int, *, is_down: bool) -> float:
    neighbours = place.before if is_down else place.after
    return sum(rank[other] for other in neighbours) / len(neighbours) if neighbours else rank[number]


def _curve(places: list[_Place], arrow: Arrow, route: list[int]) -> str:
    ends = [places[number] for number in route]
    x, y = ends[0].x + ends[0].width, _out_port(ends[0], arrow)
    path = f"M{x:.1f} {y:.1f}"
    for place in ends[1:]:
        to_x, to_y = place.x, _in_port(place, arrow)
        reach = (to_x - x) / 2
        path += f" C{x + reach:.1f} {y:.1f} {to_x - reach:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x + place.width, to_y
        if place.box is None:
            path += f" L{x:.1f} {y:.1f}"
    return _stroke(path, arrow, ends[-1].x, _in_port(ends[-1], arrow))


def _return_curve(places: list[_Place], arrow: Arrow, below: float) -> str:
    source, target = places[arrow.source], places[arrow.target]
    x, y = source.x + source.width, _out_port(source, arrow)
    to_x, to_y = target.x, _in_port(target, arrow)
    path = f"M{x:.1f} {y:.1f} C{x + _TURN} {y:.1f} {x + _TURN} {below:.1f} {x:.1f} {below:.1f} L{to_x:.1f} {below:.1f}"
    path += f" C{to_x - _TURN / 2} {below:.1f} {to_x - _TURN / 2} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    return _stroke(path, arrow, to_x, to_y)


def _out_port(place: _Place, arrow: Arrow) -> float:
    return place.port(place.box.outputs if place.box else (), arrow.output)


def _in_port(place: _Place, arrow: Arrow) -> float:
    return place.port(place.box.inputs if place.box else (), arrow.input)


def _stroke(path: str, arrow: Arrow, x: float, y: float) -> str:
    head = f"M{x:.1f} {y:.1f} l-8 -4 v8 z"
    label = html.escape(f"{arrow.output} -> {arrow.input}" if arrow.output else arrow.input)
    return (
        f'<g><title>{label}</title><path d="{path}" fill="none" stroke="#5f6368" stroke-width="1.5"/>'
        f'<path d="{head}" fill="#5f6368"/></g>'
    )


def _box(place: _Place) -> str:
    box = place.box
    if box is None:
        return ""
    fill, line = _FILLS[box.kind]
    dashes = ' stroke-dasharray="5 3"' if box.kind == MISSING else ""
    rounding = 14 if box.kind == TIMER else 5
    about = "\n".join(text for text in (box.title, box.detail, "does not exist" if box.kind == MISSING else "") if text)
    parts = [
        f"<g><title>{html.escape(about)}</title>",
        f'<rect x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" '
        f'rx="{rounding}" fill="{fill}" stroke="{line}" stroke-width="1.5"{dashes}/>',
        _label(box.title, place.x + place.width / 2, place.y + 20, 'text-anchor="middle" font-weight="bold"', 13),
    ]
    for name in box.inputs:
        parts.append(_label(name, place.x + 10, place.port(box.inputs, name) + 4, 'text-anchor="start"', 11))
    for name in (name for name in box.outputs if name):
        right = place.x + place.width - 10
        parts.append(_label(name, right, place.port(box.outputs, name) + 4, 'text-anchor="end"', 11))
    return "".join([*parts, "</g>"])


def _label(text: str, x: float, y: float, attributes: str, size: int) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="#202124"'
    return f"<text {place} {attributes}>{html.escape(_short(text))}</text>"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SHOWN else line[: _MOST_SHOWN - 1] + "…"
