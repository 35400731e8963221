"""Carries out what the rules want: a table from effect to act.

Strategy: thin.  A node whose wiring the machine refuses (no descriptors left, a pipe that may not be that deep) is told
so instead of being wired; its `Node()` raises with that text, and the rules see an ordinary failed start.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from dora import env
from dora.dataflow.describe import node_config
from dora.dataflow.descriptor import Node, TimerSource
from dora.errors import ResourceError
from dora.messages import node_runner as messages
from dora.runner import effects as e
from dora.runner.crew import Crew
from dora.runner.guests import Guests
from dora.runner.operators import operator_configs
from dora.runner.state.routes import is_guest, is_runner_sender, is_tap, log_outputs
from dora.runner.state.times import seconds_ns
from dora.runner.state.topology import Topology
from dora.runner.taps import Taps
from dora.runner.type_checks import type_checks
from dora.runner.wiring import Parcel
from dora.transport.counters import CountersPage


class Handlers:
    """The hands of the runner.

    Attributes:
        is_finished: the rules said that the run is over.
        taps: who looks at outputs from outside.
        guests: who publishes on outputs from outside.
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
        self._launcher = crew.launcher
        self._server = crew.server
        self._wiring = crew.wiring
        self._page = page
        self._log_outputs = crew.log_outputs
        self._show = show
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
            e.ForgetEdge: lambda effect: self._wiring.forget(effect.edge),
            e.CloseOutputs: lambda effect: self._wiring.close_outputs(effect.node),
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
        self._launcher.spawn(effect.node)

    def _open_link(self, effect: e.OpenLink) -> None:
        slot, node = self._topology.node_slots[effect.node], self._topology.plan(effect.node)
        if node is None:
            return
        self._refused.discard(effect.node)
        self._page.clear_node(slot)
        config = self._config(slot, node, effect)
        try:
            parcels = [Parcel(messages.Configure(messages.VERSION), owned=(_memfd(config),), lent=(self._page.fd,))]
            parcels += [self._wiring.output(effect.node, output) for output in config.outputs]
        except (ResourceError, OSError) as error:
            self._refuse(effect.node, error)
            return
        for parcel in parcels:
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
        sender = effect.edge.route.sender
        self._give(sender, lambda: self._wiring.writer(effect.edge, effect.replaces))

    def _give_reader(self, effect: e.GiveReader) -> None:
        self._give(effect.edge.route.reader, lambda: self._wiring.reader(effect.edge))

    def _give(self, node: str, make: Callable[[], Parcel]) -> None:
        if node in self._refused:
            return
        try:
            parcel = make()
        except (ResourceError, OSError) as error:
            self._refuse(node, error)
            return
        if is_tap(node):
            self.taps.give(node, parcel)
        elif is_guest(node):
            self.guests.give(node, parcel)
        elif is_runner_sender(node):
            self._log_outputs.add_edge(node, parcel)
        else:
            self._server.send(node, parcel)

    def _refuse(self, node: str, error: Exception) -> None:
        if is_tap(node):
            self.taps.refuse(node, str(error))
            return
        if is_guest(node):
            self.guests.refuse(node, str(error))
            return
        self._refused.add(node)
        self._show(e.Note(str(error), "error", node))
        self._say(node, messages.StartFailed(str(error)))

    def _end_wiring(self, effect: e.EndWiring) -> None:
        if effect.node not in self._refused:
            self._say(effect.node, messages.Wired())

    def _send_verdict(self, effect: e.SendVerdict) -> None:
        edge = effect.edge
        if is_runner_sender(edge.route.sender):
            self._log_outputs.close_edge(edge.route.sender, edge.number)
        verdict = messages.EdgeVerdict(edge.number, effect.verdict, effect.error, effect.run)
        if is_tap(edge.route.reader):
            self.taps.tell(edge.route.reader, verdict)
        else:
            self._say(edge.route.reader, verdict)

    def _end_edge(self, edge: e.Edge, *, is_read: bool) -> None:
        """Tell its sender that it is over; `is_read`: its reader still reads what is queued."""
        sender = edge.route.sender
        if is_runner_sender(sender):
            end = self._log_outputs.retire_edge if is_read else self._log_outputs.close_edge
            end(sender, edge.number)
        elif is_guest(sender):
            self.guests.end_edge(sender, messages.RemoveOutputEdge(edge.number, is_read))
        else:
            self._say(sender, messages.RemoveOutputEdge(edge.number, is_read))

    def _kill_all(self, _: e.KillAll) -> None:
        for name in self._topology.node_slots:
            self._launcher.processes.kill(name)

    def _finish(self, _: e.Finish) -> None:
        self.is_finished = True


def _memfd(config: messages.NodeConfig) -> int:
    payload = messages.encode(config)
    fd = os.memfd_create("dora-config", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(payload)
    return fd
