"""What the end of a process means (dora yaml-spec, Stop semantics and exit codes).

Strategy: one pure function from what we did to the process and how it ended to an `Ending` and whether that counts
against the run.  A planned stop is a success: an exit with 0, or death by our own SIGTERM.
"""

from __future__ import annotations

import signal
from typing import Final

import msgspec

from dora.runner.outcomes import Cascaded, Ending, Exited, KilledAfterGrace, KilledByRunner, Signalled, StartAborted
from dora.runner.state.times import NS_PER_S

_PLANNED_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_PLANNED_CODES: Final = frozenset({128 + signal.SIGTERM, 128 + signal.SIGINT})


class Treatment(msgspec.Struct, frozen=True):
    """What the runner had done to a process when it ended.

    Attributes:
        was_connected: it had said hello.
        kill_reason: the rule by which we killed it, or None.
        failed_start_of: the node because of which it was told that the dataflow will not start, or None.
        is_term_sent, is_kill_sent: rungs of the stop ladder that were reached.
        waited_ns: since the ladder began.
        is_kill_planned: somebody asked for SIGKILL: that is no failure of the node.
    """

    was_connected: bool
    kill_reason: str | None = None
    failed_start_of: str | None = None
    is_term_sent: bool = False
    is_kill_sent: bool = False
    waited_ns: int = 0
    is_kill_planned: bool = False


def judge(code: int | None, signum: int | None, treatment: Treatment) -> tuple[Ending, bool]:
    """The ending of a process, and whether it is a failure."""
    if code == 0 and treatment.kill_reason is None:
        return Exited(0, treatment.was_connected), False
    if treatment.kill_reason is not None:
        return KilledByRunner(treatment.kill_reason), True
    if treatment.failed_start_of is not None:
        return Cascaded(treatment.failed_start_of), True
    waited_s = treatment.waited_ns / NS_PER_S
    if treatment.is_kill_sent and signum == signal.SIGKILL:
        return KilledAfterGrace(signum, waited_s), not treatment.is_kill_planned
    if treatment.is_term_sent and (signum in _PLANNED_SIGNALS or code in _PLANNED_CODES):
        return _planned(waited_s, treatment), False
    if signum is not None:
        return Signalled(signum, treatment.was_connected), True
    return Exited(code if code is not None else -1, treatment.was_connected), True


def _planned(waited_s: float, treatment: Treatment) -> Ending:
    if treatment.was_connected:
        return KilledAfterGrace(signal.SIGTERM, waited_s)
    return StartAborted()


def describe(code: int | None, signum: int | None) -> str:
    """How a process ended, as its readers and the console are told."""
    if signum is None:
        return f"exited with code {code}"
    try:
        name = signal.Signals(signum).name
    except ValueError:
        name = str(signum)
    return f"exited because of signal {name}"
