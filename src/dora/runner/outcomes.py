"""How a run ended, as plain data: what the runner hands to the final report.

Strategy: the runner decides what counts as a failure (a planned SIGTERM does not), because only it knows
what it asked for; `report.py` turns these records into text and decides nothing.
"""

from __future__ import annotations

from typing import Union

import msgspec


class Exited(msgspec.Struct, frozen=True):
    """The process ended by itself.

    Attributes:
        was_connected: it had connected to dora (`Node()` returned or was waiting at the start barrier).
    """

    code: int
    was_connected: bool = True


class Signalled(msgspec.Struct, frozen=True):
    """A signal that we did not plan ended the process."""

    signum: int
    was_connected: bool = True


class KilledAfterGrace(msgspec.Struct, frozen=True):
    """It did not react to a stop in time, so we ended it.

    Attributes:
        waited_s: from the STOP event to this end.
    """

    signum: int
    waited_s: float


class SpawnFailed(msgspec.Struct, frozen=True):
    """The process could not be started.

    Attributes:
        errno: of the failed call, or None when there was no call (for example: interpreter not found).
        message: what was refused, for example "No such file or directory: 'camera.py'".
    """

    errno: int | None
    message: str


class KilledByRunner(msgspec.Struct, frozen=True):
    """We ended it because of a rule of its own: `startup_timeout`, `health_check_timeout`.

    Attributes:
        reason: continues "Node `x` failed: ", for example "did not connect within startup_timeout (5 s)".
    """

    reason: str


class Cascaded(msgspec.Struct, frozen=True):
    """It ended as a consequence of another node's end before the start barrier opened."""

    because_of: str


class StartAborted(msgspec.Struct, frozen=True):
    """It was still starting when the run was stopped; never a failure by itself."""


Ending = Union[Exited, Signalled, KilledAfterGrace, SpawnFailed, KilledByRunner, Cascaded, StartAborted]


class Outcome(msgspec.Struct, frozen=True):
    """How one node ended, its last run only.

    Attributes:
        is_failure: counts against the run; a `Cascaded` one is listed as a consequence.
        ended_ns: when; any clock that is the same for all outcomes of a run.
        ran_s: time between spawn and end, or None when it was never spawned.
        command: what was run, as a user would type it.
        interpreter: the Python that ran it, or None.
        stderr_tail: its last lines on stderr (`NodeLog.stderr_tail`).
        log_file: where all of its output is.
        restarts: how often it was restarted before this end.
    """

    node: str
    ending: Ending
    is_failure: bool
    ended_ns: int
    ran_s: float | None = None
    command: str = ""
    interpreter: str | None = None
    stderr_tail: tuple[str, ...] = ()
    log_file: str | None = None
    restarts: int = 0


class InputCounts(msgspec.Struct, frozen=True):
    """What happened on one input during the run.

    Attributes:
        dropped: removed from a full queue to make room, or given up after STOP.
        undelivered: still in the queue when the node ended.
        policy: `drop_oldest` or `backpressure`.
    """

    node: str
    input: str
    sent: int
    dropped: int
    undelivered: int
    queue_size: int
    policy: str


class RunSummary(msgspec.Struct, frozen=True):
    """Everything the block at the end is made from.

    Attributes:
        log_dir: folder of the log files, as it is to be shown, or None when there is none.
        skipped_console_lines: lines that the terminal did not keep up with (they are in the log files).
        lost_log_lines: lines that the disk refused.
        failure: why the run as a whole failed when no node is to blame (for example: the minder died).
    """

    outcomes: tuple[Outcome, ...]
    inputs: tuple[InputCounts, ...] = ()
    log_dir: str | None = None
    skipped_console_lines: int = 0
    lost_log_lines: int = 0
    failure: str | None = None
