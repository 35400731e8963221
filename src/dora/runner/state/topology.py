"""The graph of a run as it is now: it may be changed while it runs (`dora node add`, `connect`, ...).

Strategy: a change is a whole new checked `Dataflow`; what it means for the run is the difference between the routes
before and after, so that every kind of change takes one way.  A route that stays keeps its slot in the counters page
and is not touched.  Slots of routes that are gone are used again only when many others have been given up since: a
process that has not heard of the change yet may still write there.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from msgspec.structs import replace

from dora.dataflow.descriptor import Dataflow, Node
from dora.runner.effects import Route
from dora.runner.state.routes import routes_of, sibling_routes

_RESTING_EDGES: Final = 1024
_RESTING_NODES: Final = 64


class Slots:
    """Places in the counters page.

    Args:
        first: the first that is free; those below are in use.
        resting: how many others must be given up before one is used again.
    """

    def __init__(self, first: int, resting: int) -> None:
        self._next = first
        self._resting = resting
        self._given_up: deque[int] = deque()

    def take(self) -> int:
        """A place that nobody uses."""
        if len(self._given_up) > self._resting:
            return self._given_up.popleft()
        self._next += 1
        return self._next - 1

    def give_up(self, slot: int) -> None:
        """Nobody needs this one any more."""
        self._given_up.append(slot)


class Change(NamedTuple):
    """The difference that a change makes.

    Attributes:
        plans: nodes that are new, or stated differently than before.
        gone: ids of nodes that are no more.
        added, removed: routes.
    """

    plans: tuple[Node, ...]
    gone: tuple[str, ...]
    added: tuple[Route, ...]
    removed: tuple[Route, ...]


class Topology:
    """Nodes and routes with their places in the counters page.

    Attributes:
        dataflow: as it is now.
        routes: one per input that reads an output, in file order.
        siblings: what operators of one node send each other: counted, never wired.
        node_slots: by node.
        edge_slots: also those of taps come from here.
        version: raised by every change.
    """

    def __init__(self, dataflow: Dataflow) -> None:
        self.dataflow = dataflow
        self.routes = routes_of(dataflow)
        self.siblings = sibling_routes(dataflow)
        self.node_slots: Final = {str(node.id): slot for slot, node in enumerate(dataflow.nodes)}
        self.edge_slots: Final = Slots(len(self.routes) + len(self.siblings), _RESTING_EDGES)
        self.version = 0
        self._free_nodes = Slots(len(self.node_slots), _RESTING_NODES)

    @property
    def counted(self) -> list[Route]:
        """All that has a line in the counters page."""
        return [*self.routes, *self.siblings]

    def plan(self, node: str) -> Node | None:
        """The node of that name, as it is stated now."""
        return next((plan for plan in self.dataflow.nodes if plan.id == node), None)

    def readers_first(self) -> list[str]:
        """The nodes in such an order that none comes after one that feeds it; a cycle begins anywhere."""
        readers: dict[str, list[str]] = {}
        for route in self.routes:
            readers.setdefault(route.sender, []).append(route.reader)
        ordered: dict[str, None] = {}
        seen: set[str] = set()
        for name in self.node_slots:
            path = [name]
            while path:
                node = path[-1]
                if node in seen:
                    ordered.setdefault(path.pop())
                else:
                    seen.add(node)
                    path += [reader for reader in readers.get(node, ()) if reader not in seen]
        return list(ordered)

    def apply(self, dataflow: Dataflow) -> Change:
        """From now on the graph is this one."""
        before = {str(node.id): node for node in self.dataflow.nodes}
        after = {str(node.id): node for node in dataflow.nodes}
        gone = tuple(name for name in before if name not in after)
        for name in gone:
            self._free_nodes.give_up(self.node_slots.pop(name))
        for name in after:
            if name not in before:
                self.node_slots[name] = self._free_nodes.take()
        self.dataflow = dataflow
        self.version += 1
        old = self.counted
        self.routes, added, removed = self._merge(self.routes, routes_of(dataflow))
        self.siblings, _, _ = self._merge(self.siblings, sibling_routes(dataflow))
        kept = {route.slot for route in self.counted}
        for route in old:
            if route.slot not in kept:
                self.edge_slots.give_up(route.slot)
        plans = tuple(node for name, node in after.items() if before.get(name) != node)
        return Change(plans, gone, added, removed)

    def _merge(self, old: list[Route], new: list[Route]) -> tuple[list[Route], tuple[Route, ...], tuple[Route, ...]]:
        """The new routes, those that were there before with their places; then what came and what went."""
        known = {_without_slot(route): route for route in old}
        merged: list[Route] = []
        added: list[Route] = []
        for route in new:
            kept = known.pop(_without_slot(route), None)
            if kept is None:
                kept = replace(route, slot=self.edge_slots.take())
                added.append(kept)
            merged.append(kept)
        return merged, tuple(added), tuple(known.values())


def _without_slot(route: Route) -> Route:
    return replace(route, slot=0)
