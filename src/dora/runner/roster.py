"""What the runner says of its run to whoever asks: the run, its nodes, its edges, as they are now.

Strategy: nothing is kept up to date for askers; a description is made from the rules and the counters page when it is
wanted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from dora.dataflow.descriptor import BACKPRESSURE, DROP_OLDEST, Dataflow, Node
from dora.dataflow.sources import source_text
from dora.messages import runner_daemon as messages
from dora.runner.effects import Route
from dora.runner.launch import Launcher
from dora.runner.options import Background
from dora.runner.outcomes import Ending, Exited, KilledAfterGrace, Signalled
from dora.runner.report import reason
from dora.runner.state.node_life import NodeLife, Phase
from dora.runner.state.supervisor import Supervisor
from dora.transport.counters import CountersPage
from dora.version import VERSION


class RunIdentity(msgspec.Struct, frozen=True):
    """What a run is called, and how it came to be."""

    dataflow_id: str
    file: str
    name: str = ""
    origin: str = messages.FOREGROUND
    request: str = ""
    started_ns: int = msgspec.field(default_factory=time.time_ns)

    def describe(self, state: str) -> messages.Described:
        """The run without its nodes."""
        return messages.Described(
            dataflow_id=self.dataflow_id,
            name=self.name,
            file=self.file,
            origin=self.origin,
            state=state,
            pid=os.getpid(),
            started_ns=self.started_ns,
            dora=VERSION,
            request=self.request,
        )


def identity_of(dataflow_id: str, dataflow: Dataflow, background: Background | None) -> RunIdentity:
    """The identity of a run of that dataflow."""
    file = str(dataflow.path)
    if background is None:
        return RunIdentity(dataflow_id, file)
    return RunIdentity(dataflow_id, file, background.name, messages.BACKGROUND, background.request)


class Roster:
    """Describes one run.

    Args:
        pid_of: the process that holds a node's link, for dynamic nodes.

    Attributes:
        pids: of the node processes that the minder started.
    """

    def __init__(
        self,
        identity: RunIdentity,
        launcher: Launcher,
        supervisor: Supervisor,
        page: CountersPage,
        *,
        log_dir: str,
        pid_of: Callable[[str], int],
    ) -> None:
        self.pids: Final[dict[str, int]] = {}
        self._identity = identity
        self._launcher = launcher
        self._supervisor = supervisor
        self._page = page
        self._log_dir = log_dir
        self._pid_of = pid_of

    def describe(self) -> messages.Described:
        """All of it."""
        return msgspec.structs.replace(
            self._identity.describe(self.state()),
            log_dir=self._log_dir,
            waits_for=self._supervisor.barrier.waited_for,
            nodes=[self.node(name) for name in self._supervisor.lives],
            edges=[self._edge(route) for route in self._supervisor.topology.counted],
        )

    def state(self) -> str:
        """The state of the run."""
        supervisor = self._supervisor
        if supervisor.is_stopping:
            return messages.STOPPING
        return messages.RUNNING if supervisor.barrier.is_open else messages.STARTING

    def node(self, name: str) -> messages.NodeState:
        """One node."""
        life = self._supervisor.lives[name]
        plan = life.plan
        pid = self._pid_of(name) if plan.is_dynamic else self.pids.get(name, 0) if life.is_alive else 0
        exit_code, signum, message = _ending(life)
        return messages.NodeState(
            id=name,
            state=_state(life, is_attached=bool(pid)),
            pid=pid,
            restarts=life.budget.total,
            exit_code=exit_code,
            signum=signum,
            message=message,
            is_dynamic=plan.is_dynamic,
            name=plan.name or "",
            description=plan.description or "",
            path=_program(plan),
            command=self._launcher.commands.get(name, ""),
            inputs=self._inputs(plan),
            outputs=list(plan.outputs),
            policy=plan.restart.when,
            max_restarts=plan.restart.max_restarts,
            restart_delay_s=plan.restart.delay_s,
            health_check_timeout_s=plan.health_check_timeout_s,
            finish_grace_s=plan.finish_grace_s,
        )

    def _inputs(self, plan: Node) -> dict[str, str]:
        """What feeds each input; nothing feeds those that were disconnected."""
        inputs = {port.id: source_text(port.source) for port in plan.inputs.values()}
        ports = (key.partition("/") for key in self._supervisor.topology.dataflow.unplugged)
        return inputs | {name: "" for node, _, name in ports if node == plan.id}

    def _edge(self, route: Route) -> messages.EdgeState:
        counts = self._page.edge(route.slot)
        return messages.EdgeState(
            source=route.source,
            output=route.output,
            reader=route.reader,
            input=route.input,
            slot=route.slot,
            queue_size=route.queue_size,
            policy=BACKPRESSURE if route.is_lossless else DROP_OLDEST,
            sent=counts.sent,
            dropped=counts.dropped,
            taken=counts.taken,
            bytes=counts.bytes,
        )


_PHASES: Final[Mapping[Phase, str]] = {
    Phase.PLANNED: messages.WAITING,
    Phase.STARTING: messages.STARTING,
    Phase.BACKOFF: messages.RESTARTING,
}


def _state(life: NodeLife, *, is_attached: bool) -> str:
    if life.phase is Phase.FOREIGN:
        return messages.RUNNING if is_attached else messages.DETACHED
    if life.phase is Phase.ENDED:
        outcome = life.outcome
        if outcome is not None and outcome.is_failure:
            return messages.FAILED
        return messages.FINISHED if life.ladder is None else messages.STOPPED
    if life.ladder is not None:
        return messages.RESTARTING if life.is_restart_asked else messages.STOPPING
    if life.phase is Phase.RUNNING:
        is_waited_for = bool(life.plan.inputs or life.plan.outputs)
        return messages.STARTING if is_waited_for and not life.is_started else messages.RUNNING
    return _PHASES[life.phase]


def _ending(life: NodeLife) -> tuple[int | None, int | None, str]:
    if life.outcome is None:
        return None, None, f"the node that was to replace it {life.setback}" if life.setback else ""
    ending: Ending = life.outcome.ending
    code = ending.code if isinstance(ending, Exited) else None
    signum = ending.signum if isinstance(ending, Signalled | KilledAfterGrace) else None
    return code, signum, reason(ending)


def _program(plan: Node) -> str:
    if plan.is_runtime:
        return ", ".join(operator.source for operator in plan.operators)
    return plan.path
