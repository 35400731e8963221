"""The rules of a run: stimuli in, effects out (design.md 5 and 11; dora yaml-spec, sections 16 to 19).

Strategy: one object holds the lives of the nodes, the barrier and the edges; `on` looks the stimulus up in
a table and returns what must be done, in order.  It reads no clock and touches nothing: a run is a history that can
be written down as a test.  Processes are spawned, stopped and restarted here; which edge gets which verdict is the
business of `edges.py`, what an exit means that of `endings.py`.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Iterable
from typing import Any, Final

from dora.dataflow.descriptor import Dataflow
from dora.messages.node_runner import CLOSED, FAILED, RESTARTING
from dora.runner import stimuli as s
from dora.runner.effects import (
    CloseOutputs,
    Edge,
    Effect,
    EndWiring,
    FailStart,
    Finish,
    KillAll,
    KillNode,
    Note,
    OpenLink,
    SendDeadlock,
    SendParam,
    SendStop,
    SignalNode,
    SpawnNode,
    Start,
)
from dora.runner.outcomes import Ending, KilledAfterGrace, KilledByRunner, Outcome, SpawnFailed, StartAborted
from dora.runner.state.barrier import Barrier
from dora.runner.state.edges import EdgeBook
from dora.runner.state.endings import describe, judge
from dora.runner.state.graph_rules import GraphRules, Rules
from dora.runner.state.guests import GuestBook
from dora.runner.state.ladder import StopLadder
from dora.runner.state.node_life import CLOSING_GRACE_NS, LINK_GRACE_NS, NodeLife, Phase
from dora.runner.state.params import ParamBook
from dora.runner.state.restarts import GiveUp, Restart
from dora.runner.state.routes import ALL_LOGS, has_data_input, has_timer, logs_sender, waits_in_barrier
from dora.runner.state.times import NS_PER_MS, NS_PER_S, seconds_ns
from dora.runner.state.topology import Topology

_ECHO_NS: Final = 100 * NS_PER_MS
"""a second signal that soon is the same Ctrl-C, forwarded by a parent such as `uv run`"""
_LOOK_AGAIN_NS: Final = 250 * NS_PER_MS
_WANTS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ETOOMANYREFS})


class Supervisor:
    """One run of a dataflow.

    Args:
        grace_s: from STOP to SIGTERM.
        drains_timers: `exit_when_nodes_finish`: a timer does not keep a node alive whose data inputs are closed.
        params: what was set before the run began.
        queued: counts the messages in a queue that no reader has yet.

    Attributes:
        lives: the nodes, in file order.
        params: the runtime parameters of the nodes.
        failure: why the run as a whole failed when no node is to blame, or None.
        is_stopping: a stop was requested.
    """

    def __init__(
        self,
        dataflow: Dataflow,
        *,
        grace_s: float = 10.0,
        drains_timers: bool = False,
        params: ParamBook | None = None,
        queued: Callable[[Edge], int] = lambda edge: 1,
    ) -> None:
        self.lives: Final = {str(node.id): NodeLife(node) for node in dataflow.nodes}
        self.barrier: Final = Barrier(node.id for node in dataflow.nodes if waits_in_barrier(node))
        self.params: Final = ParamBook() if params is None else params
        self.failure: str | None = None
        self.topology: Final = Topology(dataflow)
        self._book: Final = EdgeBook(self.topology.routes, queued)
        self._guests: Final = GuestBook(self._book, self.topology.edge_slots)
        others = Rules(
            spawn=self._spawn,
            end=self._end,
            stop=self._stop_node,
            is_stopping=lambda: self.is_stopping,
            open_barrier=self._open_barrier,
            forget_params=self.params.forget,
        )
        self._graph: Final = GraphRules(self.topology, self.lives, self._book, self.barrier, others)
        self._grace_ns: Final = seconds_ns(grace_s)
        self._drains_timers: Final = drains_timers
        self._stopped_ns: int | None = None
        self._start_ns = 0
        self._start_error = ""
        self._is_finished = False
        self._rules: Final[dict[type, Callable[[Any, int], list[Effect]]]] = {
            s.Began: self._begin,
            s.NodeSpawned: self._note_spawned,
            s.SpawnRefused: self._note_refused,
            s.NodeSaidHello: self._note_hello,
            s.NodeReady: self._note_ready,
            s.OutputsClosed: self._note_closed,
            s.PortsClosed: self._note_ports_closed,
            s.LinkLost: self._note_link_lost,
            s.ProcessExited: self._note_exit,
            s.StopRequested: self._note_stop,
            s.NodeStopRequested: self._note_node_stop,
            s.NodeRestartRequested: self._note_node_restart,
            s.ParamChanged: self._note_param,
            s.TapOpened: lambda stimulus, _: self._book.attach(stimulus.route),
            s.TapClosed: lambda stimulus, _: self._book.detach(stimulus.route),
            s.GuestCame: self._guests.admit,
            s.GuestLeft: self._guests.dismiss,
            s.TimePassed: self._note_time,
            s.TimeLost: self._note_time_lost,
            s.MinderGone: self._note_minder_gone,
            s.DeadlockFound: self._note_deadlock,
            s.NodeHung: self._note_hung,
            s.NodeStraggles: self._note_straggler,
            **self._graph.rules,
        }

    def on(self, stimulus: s.Stimulus, now_ns: int) -> list[Effect]:
        """What must be done about `stimulus`, in order."""
        node = getattr(stimulus, "node", None)
        if self._is_finished or (node is not None and node not in self.lives):
            return []  # over, or about a node that was removed
        effects = self._rules[type(stimulus)](stimulus, now_ns)
        for life in self._graph.finishing():
            if life.is_draining and self._are_inputs_closed(life):
                life.drained_ns = now_ns
        effects += self._guests.settle()
        effects += self._graph.settle(now_ns)
        if not self._is_finished and self._is_over():
            self._is_finished = True
            if self.barrier.failed_by is not None and not any(outcome.is_failure for outcome in self.outcomes()):
                self.failure = self._start_error  # everybody exited with 0, or was still importing
            effects.append(Finish())
        return effects

    @property
    def is_stopping(self) -> bool:
        """A stop was requested, or the start has failed."""
        return self._stopped_ns is not None or self.barrier.failed_by is not None

    @property
    def has_failed(self) -> bool:
        """Whether the run ends with exit code 1."""
        is_start_failed = self.barrier.failed_by is not None
        return is_start_failed or self.failure is not None or any(outcome.is_failure for outcome in self.outcomes())

    def is_output_ended(self, sender: str, output: str) -> bool:
        """Whether nobody sends on it any more."""
        return self._book.is_output_ended(sender, output)

    def outcomes(self) -> list[Outcome]:
        """How the nodes have ended, in file order."""
        return [life.outcome for life in self.lives.values() if life.outcome is not None]

    def still_running(self) -> list[str]:
        """Nodes that have not ended, in file order."""
        return [life.id for life in self.lives.values() if life.is_pending]

    def is_input_gone(self, node: str, port: str) -> bool:
        """Nothing can be wired to that input: the node has heard that all is closed, or its operator has ended."""
        return self._are_inputs_closed(self.lives[node]) or self._book.is_input_closed(node, port)

    def next_deadline_ns(self) -> int | None:
        """When something is due: send `TimePassed` then."""
        return min((due for life in self.lives.values() for due in life.deadlines()), default=None)

    def _is_over(self) -> bool:
        if any(life.is_pending for life in self.lives.values()):
            return False
        has_dynamic = any(life.plan.is_dynamic for life in self.lives.values())
        return not has_dynamic or self.is_stopping or any(life.outcome for life in self.lives.values())

    # -- starting

    def _begin(self, _: s.Began, now_ns: int) -> list[Effect]:
        effects: list[Effect] = []
        if self.barrier.is_open:
            self._start_ns = now_ns  # nobody is waited for: dynamic nodes alone
        for life in self.lives.values():
            if life.phase is Phase.PLANNED:
                effects.append(self._spawn(life, now_ns))
        effects += self._book.connect(ALL_LOGS)
        for name in self.lives:
            effects += self._book.connect(logs_sender(name))
        return effects

    def _spawn(self, life: NodeLife, now_ns: int) -> SpawnNode:
        life.forget_run()
        life.phase = Phase.STARTING
        life.spawned_ns = now_ns
        if life.first_spawned_ns is None:
            life.first_spawned_ns = now_ns
        return SpawnNode(life.id, life.budget.total)

    def _note_spawned(self, stimulus: s.NodeSpawned, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if life.phase is not Phase.STARTING:
            return []
        life.phase = Phase.RUNNING
        life.is_held_back = False
        life.spawned_ns = now_ns
        return [Note(f"spawned node with pid {stimulus.pid}", "debug", life.id)]

    def _note_refused(self, stimulus: s.SpawnRefused, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if stimulus.errno in _WANTS and life.ladder is None and not self.is_stopping:
            return self._hold_back(life, f"{stimulus.message}: it is tried again until it can be done", now_ns)
        how = f"failed to spawn: {stimulus.message}"
        if self._graph.falls_back(life):
            return self._back_off(life, how, life.budget.note_asked(), now_ns)
        return self._end(life, SpawnFailed(stimulus.errno, stimulus.message), how, now_ns)

    def _note_hello(self, stimulus: s.NodeSaidHello, _: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if life.phase is Phase.ENDED:
            return []
        effects = self._close_link(life)  # that of its process before, or of the handle that it closed
        life.is_connected = life.was_connected = True
        life.is_ready = life.is_started = False
        if self.barrier.failed_by is not None:
            return [*effects, self._tell_start_failed(life)]
        drains_timers = self._drains_timers and has_data_input(life.plan)
        opening = OpenLink(life.id, life.budget.total, drains_timers)
        return [*effects, opening, *self._book.connect(life.id), EndWiring(life.id)]

    def _note_ready(self, stimulus: s.NodeReady, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if not life.is_connected or life.is_ready or life.failed_start_of is not None:
            return []
        life.is_ready = True
        if self.barrier.is_member(life.id) and self.barrier.note_ready(life.id):
            return self._open_barrier(now_ns)
        if self.barrier.is_open or not waits_in_barrier(life.plan):
            return self._start([life], now_ns)
        return []

    def _open_barrier(self, now_ns: int) -> list[Effect]:
        self._start_ns = now_ns
        note = Note("all nodes are ready, starting dataflow", "debug")
        # a node that sends takes the processor from us: whoever comes behind it would start with a full queue
        names = dict.fromkeys([*self.topology.readers_first(), *self.lives])
        return [note, *self._start([self.lives[name] for name in names if name in self.lives], now_ns)]

    def _start(self, lives: Iterable[NodeLife], now_ns: int) -> list[Effect]:
        """Release those who wait; behind a stop the STOP event is the first that they see."""
        effects: list[Effect] = []
        for life in lives:
            if life.is_connected and life.is_ready and not life.is_started:
                life.is_started = True
                start = Start(life.id, self._start_ns or now_ns)
                if self._stopped_ns is None:
                    params = self.params.of(life.id)
                    effects += [*(SendParam(life.id, key, value) for key, value in params.items()), start]
                else:
                    effects += [start, SendStop(life.id)]
        return effects

    def _note_param(self, stimulus: s.ParamChanged, _: int) -> list[Effect]:
        """One that is not started hears of it, with all that it has then, when it is."""
        life = self.lives[stimulus.node]
        self.params.set(life.id, stimulus.key, stimulus.value)
        is_listening = life.is_connected and life.is_started
        return [SendParam(life.id, stimulus.key, stimulus.value)] if is_listening else []

    def _fail_start(self, culprit: NodeLife, how: str, now_ns: int) -> list[Effect]:
        self._start_error = f"Node {culprit.id} {how} before initializing dora: the dataflow does not start"
        effects: list[Effect] = [Note(f"node {how} before connecting to dora, nothing starts", "error", culprit.id)]
        for life in self.lives.values():
            if life.phase in (Phase.PLANNED, Phase.BACKOFF):
                effects += self._end(life, StartAborted(), "", now_ns)
            elif life.is_alive:
                life.ladder = life.ladder or StopLadder(now_ns, self._grace_ns)
            if life.is_connected and not life.is_started:
                effects.append(self._tell_start_failed(life))
        return effects

    def _tell_start_failed(self, life: NodeLife) -> FailStart:
        life.failed_start_of = self.barrier.failed_by
        return FailStart(life.id, self._start_error)

    # -- ending

    def _note_closed(self, stimulus: s.OutputsClosed, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if not self._may_restart(life):
            return self._close_link(life)
        if life.is_connected and life.closing_ns is None:
            life.closing_ns = now_ns + CLOSING_GRACE_NS
        return []

    def _note_ports_closed(self, stimulus: s.PortsClosed, _: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if not life.is_connected or self._is_restart_due(life):
            return []
        return self._book.close_ports(stimulus.node, stimulus.inputs, stimulus.outputs)

    def _close_link(self, life: NodeLife) -> list[Effect]:
        if not life.is_connected:
            return []
        life.is_connected = False
        life.closing_ns = None
        return [*self._book.leave(life.id, CLOSED), CloseOutputs(life.id)]

    def _note_link_lost(self, stimulus: s.LinkLost, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if life.phase is Phase.FOREIGN:
            return self._close_link(life)
        if life.is_connected and life.closing_ns is None:
            life.closing_ns = now_ns + LINK_GRACE_NS
        return []

    def _note_exit(self, stimulus: s.ProcessExited, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if not life.is_alive:
            return []
        ending, is_failure = judge(stimulus.code, stimulus.signum, life.treatment(now_ns))
        how = describe(stimulus.code, stimulus.signum)
        if life.kill_reason is not None:
            how = f"was killed: {life.kill_reason}"
        restart = self._restart_for(life, is_failure, now_ns)
        if isinstance(restart, Restart):
            return self._back_off(life, how, restart, now_ns)
        effects: list[Effect] = []
        if isinstance(restart, GiveUp):
            effects.append(Note(f"{how}: max restarts ({restart.max_restarts}) reached, giving up", "error", life.id))
        error = "\n".join([how, *stimulus.stderr]) if is_failure else ""
        return effects + self._end(life, ending, how, now_ns, is_failure=is_failure, error=error)

    def _restart_for(self, life: NodeLife, is_failure: bool, now_ns: int) -> Restart | GiveUp | None:
        if self._is_restart_due(life):
            life.ladder = None
            return life.budget.note_asked()
        if self._graph.falls_back(life):
            return life.budget.note_asked()
        return life.budget.decide(now_ns, is_failure=is_failure) if self._may_restart(life) else None

    def _is_restart_due(self, life: NodeLife) -> bool:
        """Its end is followed by another run because the user wants that."""
        return life.is_restart_asked and not self.is_stopping

    def _may_restart(self, life: NodeLife) -> bool:
        """Whether its end would be followed by another run, if its policy and budget say so."""
        if self._is_restart_due(life):
            return True
        is_ending = self.is_stopping or life.ladder is not None or self._are_inputs_closed(life)
        return life.plan.restart.when != "never" and life.phase is not Phase.FOREIGN and not is_ending

    def _are_inputs_closed(self, life: NodeLife) -> bool:
        is_kept_by_timer = has_timer(life.plan) and not self._drains_timers
        return not is_kept_by_timer and self._book.are_inputs_closed(life.id)

    def _back_off(self, life: NodeLife, how: str, restart: Restart, now_ns: int) -> list[Effect]:
        if waits_in_barrier(life.plan):
            self.barrier.note_not_ready(life.id)
        effects: list[Effect] = [*self._book.leave(life.id, RESTARTING), CloseOutputs(life.id)]
        wait = f" in {restart.delay_ns / NS_PER_S:g} s" if restart.delay_ns else ""
        effects.append(Note(f"{how}, restarting{wait} (restart {life.budget.total})", "warn", life.id))
        life.forget_run()
        effects += self._graph.take_over(life, how)
        life.phase = Phase.BACKOFF
        life.respawn_ns = now_ns + restart.delay_ns
        return effects if restart.delay_ns else effects + self._respawn(life, now_ns)

    def _respawn(self, life: NodeLife, now_ns: int) -> list[Effect]:
        """Start it again, unless what it has left for a lossless input has to be read first."""
        unread = self._book.unread_by(life.id)
        if unread is None:
            return [self._spawn(life, now_ns)]
        text = f"waits with its restart until `{unread.reader}` is back and reads what its runs have left in lossless "
        return self._hold_back(life, f"{text}input `{unread.reader}/{unread.input}`", now_ns)

    def _hold_back(self, life: NodeLife, why: str, now_ns: int) -> list[Effect]:
        """It cannot be started now: say so once, and look again soon."""
        life.phase = Phase.BACKOFF
        life.respawn_ns = now_ns + _LOOK_AGAIN_NS
        was_held_back, life.is_held_back = life.is_held_back, True
        return [] if was_held_back else [Note(why, "warn", life.id)]

    def _end(
        self, life: NodeLife, ending: Ending, how: str, now_ns: int, *, is_failure: bool | None = None, error: str = ""
    ) -> list[Effect]:
        """That node has ended for good."""
        if is_failure is None:
            is_failure = isinstance(ending, SpawnFailed)
            error = how if is_failure else ""
        life.phase = Phase.ENDED
        life.is_connected = False
        life.respawn_ns = None
        ran_s = None if life.spawned_ns is None else (now_ns - life.spawned_ns) / NS_PER_S
        life.outcome = Outcome(life.id, ending, is_failure, now_ns, ran_s=ran_s, restarts=life.budget.total)
        verdict = FAILED if is_failure else CLOSED
        effects: list[Effect] = [*self._book.leave(life.id, verdict, error), CloseOutputs(life.id)]
        effects += self._book.leave(logs_sender(life.id), CLOSED)
        farewell = _farewell(life.id, how, is_failure)
        if self.is_stopping or self.barrier.is_decided or not waits_in_barrier(life.plan):
            return [*effects, farewell]
        return effects + self._end_before_start(life, how, farewell, now_ns)

    def _end_before_start(self, life: NodeLife, how: str, farewell: Note, now_ns: int) -> list[Effect]:
        if life.is_stop_asked:
            return [farewell, *(self._open_barrier(now_ns) if self.barrier.note_left(life.id) else [])]
        others = any(other.is_pending and waits_in_barrier(other.plan) for other in self.lives.values())
        if self.barrier.note_ended(life.id, others):
            return self._fail_start(life, how, now_ns)
        if farewell.level == "error":
            return [farewell]
        return [Note("node exited before initializing dora connection", "warn", life.id)]

    # -- stopping

    def _note_stop(self, stimulus: s.StopRequested, now_ns: int) -> list[Effect]:
        if stimulus.is_forced:
            return self._kill_everything(f"stopped at once ({stimulus.reason})", "info", now_ns)
        if self._stopped_ns is not None:
            if not stimulus.is_insistent or now_ns - self._stopped_ns < _ECHO_NS:
                return []
            return self._stop_at_once(f"stopped at once by a second {stimulus.reason}", now_ns)
        self._stopped_ns = now_ns
        self.barrier.release()
        grace_ns = self._grace_ns if stimulus.grace_s is None else seconds_ns(stimulus.grace_s)
        effects: list[Effect] = [Note(f"stopping ({stimulus.reason})", "info")]
        for life in self.lives.values():
            if life.phase in (Phase.PLANNED, Phase.BACKOFF):
                effects += self._end(life, StartAborted(), "not started any more", now_ns)
                continue
            if life.is_alive:
                life.ladder = life.ladder or StopLadder(now_ns, grace_ns)
            if life.is_connected and life.is_started:
                effects.append(SendStop(life.id))
        if self.barrier.failed_by is None:
            effects += self._start(self.lives.values(), now_ns)
        return effects

    def _note_node_stop(self, stimulus: s.NodeStopRequested, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if life.phase in (Phase.PLANNED, Phase.BACKOFF):
            return self._end(life, StartAborted(), "not started any more", now_ns)
        life.is_restart_asked = False
        life.is_stop_asked = True
        return self._stop_node(life, StopLadder(now_ns, seconds_ns(stimulus.grace_s)), is_forced=stimulus.is_forced)

    def _note_node_restart(self, stimulus: s.NodeRestartRequested, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if life.phase is Phase.BACKOFF:
            return [self._spawn(life, now_ns)]
        if not life.is_alive or self.is_stopping:
            return []
        life.is_restart_asked = True
        return self._stop_node(life, StopLadder(now_ns, seconds_ns(stimulus.grace_s)))

    def _stop_node(self, life: NodeLife, ladder: StopLadder, *, is_forced: bool = False) -> list[Effect]:
        effects: list[Effect] = []
        if life.is_alive:
            life.ladder = ladder
        if is_forced and life.is_alive:
            ladder.skip_to_kill()
            life.is_kill_planned = True
            effects.append(KillNode(life.id))
        elif life.is_connected and life.is_started:
            effects.append(SendStop(life.id))
        return effects

    def _stop_at_once(self, why: str, now_ns: int) -> list[Effect]:
        """A second Ctrl-C: the run counts as failed."""
        self.failure = why
        return self._kill_everything(why, "error", now_ns)

    def _kill_everything(self, why: str, level: str, now_ns: int) -> list[Effect]:
        """The loop need not see the exits."""
        for life in self.lives.values():
            if life.is_pending:
                waited_ns = life.treatment(now_ns).waited_ns
                ending = KilledAfterGrace(signal.SIGKILL, waited_ns / NS_PER_S)
                life.outcome = Outcome(life.id, ending, False, now_ns, restarts=life.budget.total)
                life.phase = Phase.ENDED
        self._is_finished = True
        return [Note(why, level), KillAll(), Finish()]

    def _note_minder_gone(self, _: s.MinderGone, now_ns: int) -> list[Effect]:
        self.failure = "the process that watches over the nodes (the minder) was killed"
        for life in self.lives.values():
            if life.is_pending:
                ending = KilledByRunner("its minder was killed")
                life.outcome = Outcome(life.id, ending, False, now_ns, restarts=life.budget.total)
                life.phase = Phase.ENDED
        self._is_finished = True
        return [Note(self.failure, "error"), KillAll(), Finish()]

    # -- watching

    def _note_time(self, _: s.TimePassed, now_ns: int) -> list[Effect]:
        effects: list[Effect] = []
        for life in self.lives.values():
            if life.respawn_ns is not None and now_ns >= life.respawn_ns:
                effects += self._respawn(life, now_ns)
            if life.closing_ns is not None and now_ns >= life.closing_ns:
                effects += self._close_link(life)
            startup_ns = life.startup_due_ns()
            if startup_ns is not None and now_ns >= startup_ns and life.is_alive:
                reason = f"did not connect within startup_timeout ({life.plan.startup_timeout_s:g} s)"
                effects += self._kill(life, reason)
            effects += self._hurry(life, now_ns)
            effects += self._climb(life, now_ns)
        return effects

    def _hurry(self, life: NodeLife, now_ns: int) -> list[Effect]:
        """Stop a node that goes on although nothing can come any more."""
        finish_ns = life.finish_due_ns()
        if finish_ns is None or now_ns < finish_ns or not life.is_alive:
            return []
        return self._stop_straggler(life, life.plan.finish_grace_s or 0.0, "finish_grace_secs", now_ns)

    def stragglers(self) -> list[str]:
        """Nodes that could have ended long ago: no source is left, and all their inputs are closed."""
        pending = [life for life in self.lives.values() if life.is_pending or life.is_connected]
        if self.is_stopping or any(self._is_source(life) for life in pending):
            return []
        drained = (life for life in pending if life.is_alive and life.is_started and self._are_inputs_closed(life))
        return [life.id for life in drained if life.ladder is None and life.plan.finish_grace_s is None]

    def _is_source(self, life: NodeLife) -> bool:
        is_kept_by_timer = has_timer(life.plan) and not self._drains_timers
        return life.phase is Phase.FOREIGN or is_kept_by_timer or not has_data_input(life.plan)

    def _note_straggler(self, stimulus: s.NodeStraggles, now_ns: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if not life.is_alive or life.ladder is not None:
            return []
        return self._stop_straggler(life, stimulus.after_s, stimulus.setting, now_ns)

    def _stop_straggler(self, life: NodeLife, after_s: float, setting: str, now_ns: int) -> list[Effect]:
        life.straggled_by = setting
        life.ladder = StopLadder(now_ns, self._grace_ns)
        text = f"still running {after_s:g} s ({setting}) after its inputs closed: stopping it"
        return [Note(text, "warn", life.id), SendStop(life.id)]

    def _note_time_lost(self, stimulus: s.TimeLost, _: int) -> list[Effect]:
        for life in self.lives.values():
            life.shift(stimulus.by_ns)
        return []

    def _climb(self, life: NodeLife, now_ns: int) -> list[Effect]:
        if life.ladder is None or not life.is_alive:
            return []
        signum = life.ladder.step(now_ns, can_hear_stop=life.was_connected)
        if signum is None:
            return []
        if life.straggled_by:
            text = f"did not end after all its inputs had closed ({life.straggled_by}) and it was stopped"
            life.kill_reason = text
        waited_s = (now_ns - life.ladder.began_ns) / NS_PER_S
        note = Note(f"still running {waited_s:.0f} s after the stop: {signum.name}", "warn", life.id)
        act: Effect = KillNode(life.id) if signum is signal.SIGKILL else SignalNode(life.id, signum)
        return [note, act] if life.was_connected or signum is signal.SIGKILL else [act]

    def _kill(self, life: NodeLife, reason: str) -> list[Effect]:
        life.kill_reason = reason
        return [KillNode(life.id)]

    def _note_deadlock(self, stimulus: s.DeadlockFound, _: int) -> list[Effect]:
        effects: list[Effect] = [Note(f"deadlock: every node of this cycle waits for room: {stimulus.cycle}", "error")]
        effects += [SendDeadlock(name, stimulus.cycle) for name in stimulus.members if self.lives[name].is_connected]
        return effects

    def _note_hung(self, stimulus: s.NodeHung, _: int) -> list[Effect]:
        life = self.lives[stimulus.node]
        if not life.is_alive or life.kill_reason is not None:
            return []
        timeout_s = life.plan.health_check_timeout_s or 0.0
        return self._kill(life, f"hung: no call to dora within health_check_timeout ({timeout_s:g} s)")


def _farewell(node: str, how: str, is_failure: bool) -> Note:
    if is_failure:
        return Note(how, "error", node)
    return Note("finished successfully" if how == "exited with code 0" else how or "not started", "debug", node)
