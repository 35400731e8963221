"""What a runner answers on its admin socket while the dataflow runs.

Strategy: a table from request to method, as in `handlers.py`.  To add a request: its struct in
`messages/runner_daemon.py`, a line in `RunDesk.requests`, a method that says the answer or raises `Refusal`; what
it changes goes to the rules as a stimulus.  Watchers are told of a change after the rules have dealt with it, and
only while there are any.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from dora.messages import runner_daemon as messages
from dora.runner import stimuli as s
from dora.runner.admin import Refusal, Visitor
from dora.runner.graph_desk import GraphDesk, wait_s
from dora.runner.guests import GuestDesk
from dora.runner.handlers import Handlers
from dora.runner.roster import Roster
from dora.runner.state.node_life import Phase
from dora.runner.state.supervisor import Supervisor
from dora.runner.taps import TapDesk
from dora.transport.counters import CountersPage


class RunDesk:
    """The desk of one run.

    Args:
        tell: passes a stimulus to the rules.
    """

    def __init__(
        self,
        roster: Roster,
        supervisor: Supervisor,
        page: CountersPage,
        handlers: Handlers,
        graph: GraphDesk,
        *,
        tell: Callable[[s.Stimulus], None],
    ) -> None:
        self._roster = roster
        self._graph = graph
        self._lives = supervisor.lives
        self._page = page
        self._tell = tell
        slots = graph.topology.edge_slots
        self._taps = TapDesk(handlers.taps, graph.life, slots=slots, clear=page.clear_edge, tell=tell)
        self._guests = GuestDesk(handlers.guests, supervisor, graph.life, tell=tell)
        self._watchers: dict[Visitor, None] = {}
        self._told: dict[str, messages.NodeState] = {}
        self._told_state = ""
        self.requests: Final[dict[type, Callable[[Any, Visitor], None]]] = {
            messages.Describe: self._describe,
            messages.Watch: self._watch,
            messages.Stop: self._stop,
            messages.StopNode: self._stop_node,
            messages.RestartNode: self._restart_node,
            **graph.requests,
            messages.GetCounters: self._get_counters,
            messages.Tap: self._taps.open,
            messages.Untap: self._taps.close,
            messages.Publish: self._guests.open,
        }

    def forget(self, visitor: Visitor) -> None:
        """That visitor has left."""
        self._watchers.pop(visitor, None)
        self._taps.forget(visitor)
        self._guests.forget(visitor)

    def note_change(self, node: str | None) -> None:
        """The rules have dealt with something about that node, or about all: tell the watchers what is new."""
        if not self._watchers:
            return
        state = self._roster.state()
        is_of_one = node in self._lives and state == self._told_state
        names = [node] if node is not None and is_of_one else list(self._lives)
        nodes = [now for name in names if (now := self._roster.node(name)) != self._told.get(name)]
        removed = [name for name in self._told if name not in self._lives]
        if not nodes and not removed and state == self._told_state:
            return
        self._told_state = state
        self._told.update({now.id: now for now in nodes})
        for name in removed:
            del self._told[name]
        for visitor in list(self._watchers):
            visitor.say(messages.Changed(state, nodes, removed))

    def end(self, ended: messages.Ended) -> None:
        """The run is over: the watchers' last message."""
        for visitor in list(self._watchers):
            visitor.say(ended)

    def _describe(self, _: messages.Describe, visitor: Visitor) -> None:
        visitor.say(self._roster.describe())

    def _watch(self, _: messages.Watch, visitor: Visitor) -> None:
        now = self._roster.describe()
        if not self._watchers:
            self._told_state = now.state
            self._told = {node.id: node for node in now.nodes}
        self._watchers[visitor] = None
        visitor.say(now)

    def _stop(self, request: messages.Stop, visitor: Visitor) -> None:
        visitor.say(messages.Done())
        self._tell(
            s.StopRequested(
                request.reason,
                is_insistent=False,
                grace_s=None if request.grace_s is None else wait_s(request.grace_s),
                is_forced=request.is_forced,
            )
        )

    def _stop_node(self, request: messages.StopNode, visitor: Visitor) -> None:
        life = self._graph.life(request.node)
        if life.phase is Phase.FOREIGN and not life.is_connected:
            raise Refusal(messages.NOT_POSSIBLE, f"node `{life.id}` is dynamic and not attached")
        visitor.say(messages.Done())
        self._tell(s.NodeStopRequested(life.id, wait_s(request.grace_s), request.is_forced))

    def _restart_node(self, request: messages.RestartNode, visitor: Visitor) -> None:
        life = self._graph.life(request.node)
        if life.phase is Phase.FOREIGN:
            raise Refusal(messages.NOT_POSSIBLE, f"node `{life.id}` is dynamic: who started it must start it again")
        if life.phase is Phase.ENDED:
            raise Refusal(
                messages.NOT_POSSIBLE,
                f"node `{life.id}` has ended and its outputs are closed; `dora restart` runs the whole dataflow again",
            )
        if not (life.is_alive or life.phase is Phase.BACKOFF):
            raise Refusal(messages.NOT_POSSIBLE, f"node `{life.id}` is not started yet")
        visitor.say(messages.Done())
        self._tell(s.NodeRestartRequested(life.id, wait_s(request.grace_s)))

    def _get_counters(self, _: messages.GetCounters, visitor: Visitor) -> None:
        fd = os.open(f"/proc/self/fd/{self._page.fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            visitor.say(messages.Counters(), (fd,))
        finally:
            os.close(fd)
