"""One node of the run: where its process and its link stand."""

from __future__ import annotations

import enum
from typing import Final

from dora.dataflow.changes import StatedNode
from dora.dataflow.descriptor import Node
from dora.runner.outcomes import Outcome
from dora.runner.state.endings import Treatment
from dora.runner.state.ladder import StopLadder
from dora.runner.state.restarts import RestartBudget
from dora.runner.state.times import NS_PER_S, seconds_ns

LINK_GRACE_NS: Final = 5 * NS_PER_S
"""a link that breaks without a word means that the exit report is on its way, however late: NODE_FAILED goes first"""
CLOSING_GRACE_NS: Final = 2 * NS_PER_S
"""a program that closes its node is usually about to end: if it is restarted then, its outputs stay open"""


class Phase(enum.Enum):
    """Where the process stands."""

    PLANNED = "planned"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    ENDED = "ended"
    FOREIGN = "foreign"
    """a dynamic node: its process is the user's"""


class NodeLife:
    """What is known of one node; `Supervisor` changes it, nothing here decides.

    Attributes:
        is_connected: its link is open.
        was_connected: this run of it has opened a link.
        is_ready, is_started: it said `Ready`; it was told `Start`.
        closing_ns: its link is gone, and counts as closed from then on, unless its process ends before; or None.
        drained_ns: since when all its inputs are closed, if that is watched (`finish_grace_secs`).
        straggled_by: the setting by which it was stopped because it went on for too long after that, or "".
        failed_start_of: the node because of which it was told that the dataflow will not start.
        kill_reason: the rule by which we killed this run of it.
        is_kill_planned: the user asked for its SIGKILL.
        is_stop_asked: the user wants it to end.
        is_restart_asked: the user wants it to be started again after this run.
        is_removal_asked: the user wants it to end and to be no more.
        successor: the node that takes its place when this run of it is over, or None.
        predecessor: the node in whose place it came, as long as it has not been started; or None.
        setback: how the node ended that was to take its place and could not, or "".
        is_held_back: it could not be started again when that was due, and the user knows why.
    """

    def __init__(self, plan: Node) -> None:
        self.plan = plan
        self.budget: Final = RestartBudget(plan.restart)
        self.phase = Phase.FOREIGN if plan.is_dynamic else Phase.PLANNED
        self.outcome: Outcome | None = None
        self.first_spawned_ns: int | None = None
        self.ladder: StopLadder | None = None
        self.is_removal_asked = False
        self.is_held_back = False
        self.successor: StatedNode | None = None
        self.predecessor: StatedNode | None = None
        self.setback = ""
        self.forget_run()

    @property
    def id(self) -> str:
        """Its name in the file."""
        return str(self.plan.id)

    @property
    def is_alive(self) -> bool:
        """There is, or is about to be, a process of ours."""
        return self.phase in (Phase.STARTING, Phase.RUNNING)

    @property
    def is_gone(self) -> bool:
        """Nothing of it runs any more, as far as that is ours to know."""
        return self.phase is Phase.ENDED or (self.phase is Phase.FOREIGN and not self.is_connected)

    @property
    def is_pending(self) -> bool:
        """The run is not over before this node has ended."""
        return self.phase not in (Phase.ENDED, Phase.FOREIGN)

    @property
    def is_draining(self) -> bool:
        """Its `finish_grace_secs` begin when all its inputs are closed, and have not begun."""
        return self.plan.finish_grace_s is not None and self.drained_ns is None and self.is_started

    def forget_run(self) -> None:
        """Before the next run of its process."""
        self.spawned_ns: int | None = None
        self.respawn_ns: int | None = None
        self.closing_ns: int | None = None
        self.drained_ns: int | None = None
        self.straggled_by = ""
        self.is_connected = False
        self.was_connected = False
        self.is_ready = False
        self.is_started = False
        self.failed_start_of: str | None = None
        self.kill_reason: str | None = None
        self.is_kill_planned = False
        self.is_stop_asked = False
        self.is_restart_asked = False

    def treatment(self, now_ns: int) -> Treatment:
        """What we did to its process, for `judge`."""
        ladder = self.ladder
        return Treatment(
            was_connected=self.was_connected,
            kill_reason=self.kill_reason,
            failed_start_of=self.failed_start_of,
            is_term_sent=ladder is not None and ladder.is_term_sent,
            is_kill_sent=ladder is not None and ladder.is_kill_sent,
            waited_ns=now_ns - ladder.began_ns if ladder is not None else 0,
            is_kill_planned=self.is_kill_planned,
        )

    def startup_due_ns(self) -> int | None:
        """When `startup_timeout` strikes, or None."""
        limit_s = self.plan.startup_timeout_s
        if limit_s is None or self.was_connected or self.spawned_ns is None or self.kill_reason is not None:
            return None
        return self.spawned_ns + seconds_ns(limit_s)

    def finish_due_ns(self) -> int | None:
        """When `finish_grace_secs` is over, or None."""
        limit_s = self.plan.finish_grace_s
        if limit_s is None or self.drained_ns is None or self.ladder is not None:
            return None
        return self.drained_ns + seconds_ns(limit_s)

    def rung_due_ns(self) -> int | None:
        """When the next rung of its stop ladder is due, or None."""
        if self.ladder is None or not self.is_alive:
            return None
        return self.ladder.due_ns(can_hear_stop=self.was_connected)

    def deadlines(self) -> list[int]:
        """Everything that is due at some time."""
        if self.phase is Phase.ENDED:
            return []
        dues = [self.respawn_ns, self.closing_ns, self.startup_due_ns(), self.finish_due_ns(), self.rung_due_ns()]
        return [due for due in dues if due is not None]

    def shift(self, by_ns: int) -> None:
        """Restart all deadlines: for that long nobody ran (suspend, SIGSTOP)."""
        if self.ladder is not None:
            self.ladder.shift(by_ns)
        if self.spawned_ns is not None:
            self.spawned_ns += by_ns
        if self.closing_ns is not None:
            self.closing_ns += by_ns
        if self.drained_ns is not None:
            self.drained_ns += by_ns
