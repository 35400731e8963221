"""What happens when the graph is changed while it runs: nodes added, removed, replaced, inputs connected, disconnected.

Strategy: the graph that a change asks for has been checked before (`dataflow/changes.py`); here is when it takes
effect.  An added node is admitted, then started like any other.  A removed one is stopped like by `dora node stop`; it
leaves the graph when its process has ended, and its readers have got their verdict by then.  A replaced one is stopped
and started again with its new plan, so its readers and queues see a restart; when the new one ends before it was
started, the old one comes again.  Whoever was stopped in the
middle of that by a stop of the run has ended, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from dora.dataflow.changes import StatedNode, with_node, without_node
from dora.dataflow.descriptor import Dataflow
from dora.messages.node_runner import CLOSED
from dora.runner import stimuli as s
from dora.runner.effects import AdmitNode, Effect, ForgetNode, Note, SpawnNode
from dora.runner.outcomes import Ending, StartAborted
from dora.runner.state.barrier import Barrier
from dora.runner.state.edges import EdgeBook
from dora.runner.state.ladder import StopLadder
from dora.runner.state.node_life import NodeLife, Phase
from dora.runner.state.routes import logs_sender, waits_in_barrier
from dora.runner.state.times import seconds_ns
from dora.runner.state.topology import Change, Topology


class End(Protocol):
    """Ends a node for good."""

    def __call__(self, life: NodeLife, ending: Ending, how: str, now_ns: int, /) -> list[Effect]: ...


class Stop(Protocol):
    """Begins to stop a node."""

    def __call__(self, life: NodeLife, ladder: StopLadder, *, is_forced: bool = False) -> list[Effect]: ...


class Rules(NamedTuple):
    """What other rules do about a node; and whether the run is being stopped.

    Attributes:
        forget_params: nobody will ask for its parameters any more.
    """

    spawn: Callable[[NodeLife, int], SpawnNode]
    end: End
    stop: Stop
    is_stopping: Callable[[], bool]
    open_barrier: Callable[[int], list[Effect]]
    forget_params: Callable[[str], None]


class GraphRules:
    """Changes of one run's graph.

    Attributes:
        topology: the graph as it is now.
        rules: from stimulus to what must be done.
    """

    def __init__(self, topology: Topology, lives: dict[str, NodeLife], book: EdgeBook, barrier: Barrier, others: Rules):
        self.topology: Final = topology
        self._lives = lives
        self._book = book
        self._barrier = barrier
        self._others = others
        self._leaving: list[NodeLife] = []
        self._finishing: list[NodeLife] = []
        self._seen_version = -1
        self.rules: Final[dict[type, Callable[[Any, int], list[Effect]]]] = {
            s.NodeAdded: self._add,
            s.NodeRemovalRequested: self._remove,
            s.NodeReplaceRequested: self._replace,
            s.Rewired: self._rewire,
        }

    def finishing(self) -> list[NodeLife]:
        """Nodes with `finish_grace_secs`; known beforehand, because that is asked after every stimulus."""
        if self._seen_version != self.topology.version:
            self._seen_version = self.topology.version
            self._finishing = [life for life in self._lives.values() if life.plan.finish_grace_s is not None]
        return self._finishing

    def settle(self, now_ns: int) -> list[Effect]:
        """Take out of the graph whoever was to be removed and has ended.  After every stimulus."""
        effects: list[Effect] = []
        for life in [life for life in self._leaving if life.is_gone]:
            self._leaving.remove(life)
            effects += self._take_out(life, now_ns)
        return effects

    def take_over(self, life: NodeLife, how: str) -> list[Effect]:
        """That run of the node has ended like `how`, and another plan is to take its place; nothing without one."""
        if life.successor is None:
            return []
        is_setback = life.successor is life.predecessor
        life.setback = how if is_setback else ""
        life.predecessor = None if is_setback else self._as_stated(life)
        effects, _ = self._apply(with_node(self.topology.dataflow, life.successor))
        life.successor = None
        life.budget.obey(life.plan.restart)
        text = "the former node takes its place again" if is_setback else "another node takes its place"
        return [Note(text, "info", life.id), AdmitNode(life.plan, self.topology.node_slots[life.id]), *effects]

    def falls_back(self, life: NodeLife) -> bool:
        """A node that took another's place has ended before it was started: that one comes again after this run.

        Only a node that would have been started can fail to be: a program without inputs and outputs never is.
        """
        if life.is_started:
            life.predecessor = None
        is_asked = life.is_stop_asked or life.is_restart_asked or self._others.is_stopping()
        if life.predecessor is None or is_asked or not waits_in_barrier(life.plan):
            return False
        life.successor = life.predecessor
        return True

    def _as_stated(self, life: NodeLife) -> StatedNode:
        entries = self.topology.dataflow.raw.get("nodes", [])
        raw = next((entry for entry in entries if entry["id"] == life.id), {"id": life.id, "inputs": {}})
        return StatedNode(life.plan, raw)

    def _add(self, stimulus: s.NodeAdded, now_ns: int) -> list[Effect]:
        if self._others.is_stopping():
            return []
        plan = stimulus.stated.node
        name = str(plan.id)
        life = self._lives[name] = NodeLife(plan)
        effects, _ = self._apply(with_node(self.topology.dataflow, stimulus.stated))
        effects.insert(0, AdmitNode(plan, self.topology.node_slots[name]))
        effects += self._book.connect(logs_sender(name))
        if waits_in_barrier(plan):
            self._barrier.note_not_ready(name)
        if life.phase is Phase.PLANNED:
            effects.append(self._others.spawn(life, now_ns))
        return [*effects, Note("added", "info", name)]

    def _remove(self, stimulus: s.NodeRemovalRequested, now_ns: int) -> list[Effect]:
        life = self._lives[stimulus.node]
        life.is_restart_asked = False
        life.successor = None
        if not life.is_removal_asked:
            life.is_removal_asked = True
            self._leaving.append(life)
        if life.phase in (Phase.PLANNED, Phase.BACKOFF):
            life.is_stop_asked = True
            return self._others.end(life, StartAborted(), "not started any more", now_ns)
        if life.is_gone:
            return []
        life.is_stop_asked = True
        ladder = StopLadder(now_ns, seconds_ns(stimulus.grace_s))
        return self._others.stop(life, ladder, is_forced=stimulus.is_forced)

    def _take_out(self, life: NodeLife, now_ns: int) -> list[Effect]:
        was_waited_for = self._barrier.is_member(life.id)
        effects = self._book.leave(life.id, CLOSED)
        more, _ = self._apply(without_node(self.topology.dataflow, life.id))
        effects += more
        self._book.forget(life.id)
        self._book.forget(logs_sender(life.id))
        self._others.forget_params(life.id)
        del self._lives[life.id]
        effects += [Note("removed", "info", life.id), ForgetNode(life.id)]
        if was_waited_for and self._barrier.note_left(life.id):
            effects += self._others.open_barrier(now_ns)
        return effects

    def _replace(self, stimulus: s.NodeReplaceRequested, now_ns: int) -> list[Effect]:
        life = self._lives[stimulus.node]
        if self._others.is_stopping() or life.is_removal_asked:
            return []
        life.successor = stimulus.stated
        if life.phase is Phase.BACKOFF:
            return [*self.take_over(life, "did not run"), self._others.spawn(life, now_ns)]
        if not life.is_alive:
            return []
        life.is_restart_asked = True
        return self._others.stop(life, StopLadder(now_ns, seconds_ns(stimulus.grace_s)))

    def _rewire(self, stimulus: s.Rewired, _: int) -> list[Effect]:
        effects, change = self._apply(stimulus.dataflow)
        names = [f"{route.source}/{route.output} -> {route.reader}/{route.input}" for route in change.added]
        names += [f"{route.source}/{route.output} -x- {route.reader}/{route.input}" for route in change.removed]
        return [*effects, *(Note(name, "info") for name in names)]

    def _apply(self, dataflow: Dataflow) -> tuple[list[Effect], Change]:
        """What is new comes first: an input that is only moved to another output is never without a source."""
        change = self.topology.apply(dataflow)
        for plan in change.plans:
            self._lives[str(plan.id)].plan = plan
        effects: list[Effect] = []
        for route in change.added:
            effects += self._book.add(route)
        for route in change.removed:
            effects += self._book.remove(route)
        return effects, change
