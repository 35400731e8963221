"""Looks at the counters page now and then: deadlocks, nodes that hang and nodes that never end become stimuli.

Strategy: only what can go wrong is looked at: lossless routes for deadlocks, nodes with a `health_check_timeout` for
hanging, nodes whose inputs are closed when no source is left.  A dataflow with none of these is not looked at.
The words are hints written by user processes.
"""

from __future__ import annotations

from collections.abc import Iterator

from dora import env
from dora.runner import stimuli as s
from dora.runner.deadlock import DeadlockWatch, EdgeView, NodeView
from dora.runner.effects import Route
from dora.runner.hung import HungWatch, NodeActivity
from dora.runner.state.node_life import NodeLife
from dora.runner.state.supervisor import Supervisor
from dora.runner.state.times import seconds_ns
from dora.runner.straggling import StragglerWatch
from dora.transport.counters import CountersPage


class Watching:
    """Everything that is read from the counters page while the dataflow runs.

    Args:
        patience_s: for nodes whose inputs are closed; None: for ever.
    """

    def __init__(self, supervisor: Supervisor, page: CountersPage, *, patience_s: int | None) -> None:
        self._supervisor = supervisor
        self._stragglers = StragglerWatch(patience_s)
        self._lives = supervisor.lives
        self._page = page
        self._topology = supervisor.topology
        self._slots = supervisor.topology.node_slots
        self._deadlocks = DeadlockWatch()
        self._hung: dict[str, HungWatch] = {}
        self._seen_version = -1
        self._look_at_graph()

    def _look_at_graph(self) -> None:
        """It may have been changed: watch what is there now."""
        topology = self._topology
        if self._seen_version == topology.version:
            return
        self._seen_version = topology.version
        self._routes = topology.routes
        self._lossless = [route for route in topology.routes if route.is_lossless]
        limits = {str(node.id): node.health_check_timeout_s for node in topology.dataflow.nodes}
        self._hung = {name: HungWatch(seconds_ns(limit_s)) for name, limit_s in limits.items() if limit_s}
        self._is_always_needed = bool(self._lossless or self._hung)

    @property
    def is_needed(self) -> bool:
        """Whether there is something to look at."""
        self._look_at_graph()
        return self._is_always_needed or (
            self._stragglers.patience_s is not None and bool(self._supervisor.stragglers())
        )

    def look(self, now_ns: int) -> Iterator[s.Stimulus]:
        """What is wrong now."""
        if self._lossless:
            cycle = self._deadlocks.look(*self._views(), now_ns)
            if cycle is not None:
                yield s.DeadlockFound(cycle.members, cycle.text)
        for name, watch in self._hung.items():
            life = self._lives[name]
            if not (life.is_started and life.is_connected):
                watch.forget()
            elif watch.is_hung(self._activity(life), now_ns):
                yield s.NodeHung(name)
        yield from self._look_for_stragglers(now_ns)

    def _look_for_stragglers(self, now_ns: int) -> Iterator[s.Stimulus]:
        found = self._supervisor.stragglers()
        sent = sum(self._page.edge(route.slot).sent for route in self._routes) if found else 0
        if self._stragglers.look(found, sent, now_ns):
            for name in found:
                yield s.NodeStraggles(name, float(self._stragglers.patience_s or 0), env.FINISH_DRAIN_GRACE_SECS)

    def forget(self) -> None:
        """Nobody ran for a while: what was seen before says nothing."""
        self._stragglers.forget()
        for watch in self._hung.values():
            watch.forget()

    def _views(self) -> tuple[list[EdgeView], dict[str, NodeView]]:
        edges: list[EdgeView] = []
        nodes: dict[str, NodeView] = {}
        for route in self._lossless:
            if not (self._lives[route.sender].is_connected and self._lives[route.reader].is_connected):
                continue
            counts = self._page.edge(route.slot)
            edges.append(_view(route, bool(counts.waiting), counts.sent, counts.taken))
            for name in (route.sender, route.reader):
                if name not in nodes:
                    node = self._page.node(self._slots[name])
                    nodes[name] = NodeView(node.receiving, node.blocked, node.calls)
        return edges, nodes

    def _activity(self, life: NodeLife) -> NodeActivity:
        """A send counts as a call, too: it shows on the edges that lead away from the node."""
        node = self._page.node(self._slots[life.id])
        sent = [self._page.edge(route.slot) for route in self._routes if route.sender == life.id]
        queued = [self._page.edge(route.slot) for route in self._routes if route.reader == life.id]
        return NodeActivity(
            is_in_dora=bool(node.receiving or node.blocked),
            is_receiving=bool(node.receiving),
            last_call_ns=max([node.last_call_ns, *(counts.last_send_ns for counts in sent)]),
            calls=node.calls + sum(counts.sent for counts in sent),
            next_tick_ns=node.next_tick_ns,
            is_source=not life.plan.inputs,
            unread=sum(max(0, counts.sent - counts.dropped - counts.taken) for counts in queued),
        )


def _view(route: Route, is_waiting: bool, sent: int, taken: int) -> EdgeView:
    return EdgeView(route.sender, route.output, route.reader, route.input, is_waiting, sent, taken)
