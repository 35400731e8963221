"""Finds cycles of nodes that wait for each other's room for ever (design.md 11.6).

Strategy: a node is stuck when a thread of it is blocked in a send and none of it receives; an edge is stuck when its
sender waits for room on it and both its nodes are stuck.  A cycle of stuck edges on which nothing has moved for a
second is a deadlock; an edge from a node to itself is one as soon as two looks agree.  All figures are hints from the
counters page; a wrong one can at worst make the node that wrote it raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_PATIENCE_NS: Final = 1_000_000_000


class NodeView(NamedTuple):
    """What the counters page says of a node: threads in a receive, threads blocked in a send, API calls so far."""

    receiving: int
    blocked: int
    calls: int

    @property
    def is_stuck(self) -> bool:
        """No thread of it can take anything."""
        return self.blocked > 0 and self.receiving == 0


class EdgeView(NamedTuple):
    """One lossless edge as the counters page shows it."""

    sender: str
    output: str
    reader: str
    input: str
    is_waiting: bool
    sent: int
    taken: int


class Cycle(NamedTuple):
    """Nodes that wait for each other, and the edges between them as text."""

    members: tuple[str, ...]
    text: str


def find_cycle(edges: Sequence[EdgeView], nodes: Mapping[str, NodeView]) -> list[EdgeView]:
    """The edges of one cycle of stuck nodes, in order; empty when there is none."""
    stuck: dict[str, list[EdgeView]] = {}
    for edge in edges:
        if edge.is_waiting and nodes[edge.sender].is_stuck and nodes[edge.reader].is_stuck:
            stuck.setdefault(edge.sender, []).append(edge)
    cleared: set[str] = set()
    for start in stuck:
        cycle = _walk(start, stuck, cleared)
        if cycle:
            return cycle
    return []


def _walk(start: str, stuck: Mapping[str, list[EdgeView]], cleared: set[str]) -> list[EdgeView]:
    """Depth first from `start`; nodes from which no cycle can be reached go to `cleared`."""
    path: list[EdgeView] = []
    on_path = [start]
    branches = [iter(stuck.get(start, []))]
    while branches:
        edge = next(branches[-1], None)
        if edge is None:
            branches.pop()
            cleared.add(on_path.pop())
            if path:
                path.pop()
        elif edge.reader in on_path:
            return [*path, edge][on_path.index(edge.reader) :]
        elif edge.reader not in cleared:
            path.append(edge)
            on_path.append(edge.reader)
            branches.append(iter(stuck.get(edge.reader, [])))
    return []


def describe(cycle: Sequence[EdgeView]) -> Cycle:
    """For example "a/out -> b/in, b/out -> a/in"."""
    text = ", ".join(f"{edge.sender}/{edge.output} -> {edge.reader}/{edge.input}" for edge in cycle)
    return Cycle(tuple(dict.fromkeys(edge.sender for edge in cycle)), text)


class DeadlockWatch:
    """Looks again and again; says each deadlock once."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] = ()
        self._since_ns = 0
        self._is_told = False

    def look(self, edges: Sequence[EdgeView], nodes: Mapping[str, NodeView], now_ns: int) -> Cycle | None:
        """The cycle that has not moved for long enough, if it is new."""
        cycle = find_cycle(edges, nodes)
        seen = (*cycle, *(nodes[edge.sender].calls for edge in cycle))
        if seen != self._seen:
            self._seen = seen
            self._since_ns = now_ns
            self._is_told = False
            return None
        patience_ns = 0 if len(cycle) == 1 else _PATIENCE_NS
        if not cycle or self._is_told or now_ns - self._since_ns < patience_ns:
            return None
        self._is_told = True
        return describe(cycle)
