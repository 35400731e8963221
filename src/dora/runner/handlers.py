"""Carries out what the rules want: a table from effect to act.

Strategy: thin.  A node that starts and whose wiring the machine refuses (no descriptors left, a pipe that may not be
that deep) is told so instead of being wired; its `Node()` raises with that text, and the rules see an ordinary failed
start.  A node that runs is no worse off for such a want: its new edges wait (`arrears.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from dora import env
from dora.dataflow.describe import node_config
from dora.dataflow.descriptor import Node, TimerSource
from dora.errors import ResourceError
from dora.messages import node_runner as messages
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.arrears import Arrears, describe_want
from dora.runner.crew import Crew
from dora.runner.guests import Guests
from dora.runner.operators import operator_configs
from dora.runner.state.routes import is_guest, is_runner_sender, is_tap, log_outputs
from dora.runner.state.times import seconds_ns
from dora.runner.state.topology import Topology
from dora.runner.taps import Taps
from dora.runner.type_checks import type_checks
from dora.runner.wiring import Parcel
from dora.transport import control
from dora.transport.counters import CountersPage


class Handlers:
    """The hands of the runner.

    Attributes:
        is_finished: the rules said that the run is over.
        taps: who looks at outputs from outside.
        guests: who publishes on outputs from outside.
        arrears: what running nodes have not been given yet, because there are no descriptors for it.
        refusals: what could not be done, for the rules.
    """

    def __init__(
        self,
        crew: Crew,
        topology: Topology,
        page: CountersPage,
        *,
        show: Callable[[e.Note], None],
    ) -> None:
        """`show` takes our own lines for the console."""
        self.is_finished = False
        self.taps: Final = Taps()
        self.guests: Final = Guests(crew.wiring)
        self.arrears: Final = Arrears(lambda text, node: show(e.Note(text, "error", node)))
        self.refusals: Final[list[s.Stimulus]] = []
        self._launcher = crew.launcher
        self._server = crew.server
        self._wiring = crew.wiring
        self._page = page
        self._log_outputs = crew.log_outputs
        self._show = show
        self._starting: set[str] = set()
        self._refused: set[str] = set()
        self._topology = topology
        self._acts: Final[dict[type, Callable[[Any], None]]] = {
            e.AdmitNode: crew.admit,
            e.ForgetNode: crew.forget,
            e.SpawnNode: self._spawn,
            e.OpenLink: self._open_link,
            e.GiveWriter: self._give_writer,
            e.GiveReader: self._give_reader,
            e.EndWiring: self._end_wiring,
            e.Start: lambda effect: self._say(effect.node, messages.Start(effect.start_ns)),
            e.FailStart: lambda effect: self._say(effect.node, messages.StartFailed(effect.reason)),
            e.SendVerdict: self._send_verdict,
            e.RemoveEdge: lambda effect: self._end_edge(effect.edge, is_read=False),
            e.RetireEdge: lambda effect: self._end_edge(effect.edge, is_read=True),
            e.ForgetEdge: self._forget_edge,
            e.DropQueue: self._drop_queue,
            e.CloseOutputs: self._close_outputs,
            e.SendParam: lambda effect: self._say(effect.node, messages.Param(effect.key, effect.value)),
            e.DismissGuest: lambda effect: self.guests.dismiss(effect.guest),
            e.SendStop: lambda effect: self._say(effect.node, messages.Stop()),
            e.SendDeadlock: lambda effect: self._say(effect.node, messages.Deadlock(effect.cycle)),
            e.SignalNode: lambda effect: self._launcher.processes.signal(effect.node, effect.signum),
            e.KillNode: lambda effect: self._launcher.processes.kill(effect.node),
            e.KillAll: self._kill_all,
            e.Note: show,
            e.Finish: self._finish,
        }

    def apply(self, effects: list[e.Effect]) -> None:
        """Do it all, in order."""
        for effect in effects:
            self._acts[type(effect)](effect)

    def _say(self, node: str, message: messages.ToNode) -> None:
        self._server.send(node, Parcel(message))

    def _spawn(self, effect: e.SpawnNode) -> None:
        try:
            self._launcher.spawn(effect.node)
        except ResourceError as error:
            code = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
            self.refusals.append(s.SpawnRefused(effect.node, code, str(error)))

    def _open_link(self, effect: e.OpenLink) -> None:
        slot, node = self._topology.node_slots[effect.node], self._topology.plan(effect.node)
        if node is None:
            return
        self._refused.discard(effect.node)
        self._starting.add(effect.node)
        self._page.clear_node(slot)
        config = self._config(slot, node, effect)
        try:
            outputs = [self._wiring.output(effect.node, output) for output in config.outputs]
            memfd = control.memfd_of("dora-config", messages.encode(config))
        except (ResourceError, OSError) as error:
            self._refuse(effect.node, error)
            return
        first = Parcel(messages.Configure(messages.VERSION), owned=(memfd,), lent=(self._page.fd,))
        for parcel in (first, *outputs):
            self._server.send(effect.node, parcel)

    def _config(self, slot: int, node: Node, effect: e.OpenLink) -> messages.NodeConfig:
        ports = node.inputs.values()
        own = [output for output in node.outputs if output not in log_outputs(node)]
        return messages.NodeConfig(
            dataflow_id=self._launcher.dataflow_id,
            node_id=str(node.id),
            node_slot=slot,
            timers=[messages.TimerInput(p.id, p.source.period_ns) for p in ports if isinstance(p.source, TimerSource)],
            inputs=list(node.inputs),
            outputs=own,
            io=node_config(self._topology.dataflow.raw, str(node.id)),
            descriptor=self._topology.dataflow.raw,
            drains_timers=effect.drains_timers,
            restart_count=effect.restart_count,
            operators=operator_configs(node, self._topology.siblings),
            type_checks=type_checks(node, self._launcher.variable(node, env.RUNTIME_TYPE_CHECK)),
            input_timeouts_ns={p.id: seconds_ns(p.input_timeout_s) for p in ports if p.input_timeout_s is not None},
        )

    def _give_writer(self, effect: e.GiveWriter) -> None:
        edge, sender = effect.edge, effect.edge.route.sender
        if is_runner_sender(sender):
            self.arrears.do(sender, lambda: self._write_ourselves(edge, effect.replaces))
        else:
            self._give(edge, lambda: self._wiring.writer(edge, effect.replaces), is_writer=True)

    def _write_ourselves(self, edge: e.Edge, replaces: int) -> None:
        self._log_outputs.open(edge.route.sender, edge.route.output)
        self._log_outputs.add_edge(edge.route.sender, self._wiring.writer(edge, replaces))

    def _give_reader(self, effect: e.GiveReader) -> None:
        self._give(effect.edge, lambda: self._wiring.reader(effect.edge), is_writer=False)

    def _give(self, edge: e.Edge, make: Callable[[], Parcel], *, is_writer: bool) -> None:
        node = edge.route.sender if is_writer else edge.route.reader
        give = self.taps.give if is_tap(node) else self.guests.give if is_guest(node) else self._server.send
        undo = partial(self._wiring.abandon, edge, is_writer=is_writer)
        if not (is_tap(node) or is_guest(node) or node in self._starting):
            self.arrears.do(node, lambda: give(node, make()), undo)
        elif node in self._refused:
            undo()
        else:
            try:
                give(node, make())
            except (ResourceError, OSError) as error:
                undo()
                self._refuse(node, error)

    def _refuse(self, node: str, error: Exception) -> None:
        why = describe_want(error)
        if is_tap(node):
            self.taps.refuse(node, why)
            return
        if is_guest(node):
            self.guests.refuse(node, why)
            return
        self._refused.add(node)
        self._show(e.Note(why, "error", node))
        self._say(node, messages.StartFailed(why))

    def _end_wiring(self, effect: e.EndWiring) -> None:
        self._starting.discard(effect.node)
        if effect.node not in self._refused:
            self._say(effect.node, messages.Wired())

    def _send_verdict(self, effect: e.SendVerdict) -> None:
        edge = effect.edge
        sender, reader = edge.route.sender, edge.route.reader
        if is_runner_sender(sender):
            self.arrears.do(sender, lambda: self._log_outputs.close_edge(sender, edge.number))
        verdict = messages.EdgeVerdict(edge.number, effect.verdict, effect.error, effect.run)
        if is_tap(reader):
            self.taps.tell(reader, verdict)
        else:
            self.arrears.do(reader, lambda: self._say(reader, verdict))

    def _end_edge(self, edge: e.Edge, *, is_read: bool) -> None:
        """Tell its sender that it is over; `is_read`: its reader still reads what is queued."""
        sender = edge.route.sender
        over = messages.RemoveOutputEdge(edge.number, is_read)
        if is_guest(sender):
            self.guests.end_edge(sender, over)
        elif is_runner_sender(sender):
            end = self._log_outputs.retire_edge if is_read else self._log_outputs.close_edge
            self.arrears.do(sender, lambda: end(sender, edge.number))
        else:
            self.arrears.do(sender, lambda: self._say(sender, over))

    def _forget_edge(self, effect: e.ForgetEdge) -> None:
        """After what its ends are still to be given of it."""
        edge = effect.edge
        behind = [end for end in (edge.route.sender, edge.route.reader) if self.arrears.is_behind(end)]
        forget = partial(self._wiring.forget, edge)
        self.arrears.do(behind[0] if behind else edge.route.sender, forget, forget)

    def _drop_queue(self, effect: e.DropQueue) -> None:
        self._page.count_dropped(effect.edge.route.slot, self._wiring.queued(effect.edge))
        self._wiring.forget(effect.edge)

    def _close_outputs(self, effect: e.CloseOutputs) -> None:
        """Of that run, which is given nothing more."""
        self._starting.discard(effect.node)
        self.arrears.forget(effect.node)
        self._wiring.close_outputs(effect.node)

    def _kill_all(self, _: e.KillAll) -> None:
        for name in self._topology.node_slots:
            self._launcher.processes.kill(name)

    def _finish(self, _: e.Finish) -> None:
        self.is_finished = True
