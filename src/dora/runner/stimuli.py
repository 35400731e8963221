"""What the rules of a run are told: one frozen dataclass per thing that happened.

Strategy: the loop turns reports, control messages, signals and the clock into these, `state/` turns them into
effects.  Nothing here carries a descriptor, a socket or a time; the time is an argument of `Supervisor.on`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Began:
    """Everything is prepared: the nodes may be spawned."""


@dataclass(frozen=True)
class NodeSpawned:
    """The minder started the node's process."""

    node: str
    pid: int


@dataclass(frozen=True)
class SpawnRefused:
    """The node's process could not be started.

    Attributes:
        errno: of the failed call, or None when there was no call.
    """

    node: str
    errno: int | None
    message: str


@dataclass(frozen=True)
class NodeSaidHello:
    """The node opened its link, and the link is one we trust."""

    node: str


@dataclass(frozen=True)
class NodeReady:
    """The node has mapped all it was given and can receive at once."""

    node: str


@dataclass(frozen=True)
class OutputsClosed:
    """The node closed its last handle; its process lives on."""

    node: str


@dataclass(frozen=True)
class LinkLost:
    """EOF on the node's link: its process is about to be reported as ended, or its last handle is gone."""

    node: str


@dataclass(frozen=True)
class ProcessExited:
    """The node's main process ended, and everything it had started.

    Attributes:
        code: exit code, or None when a signal ended it.
        stderr: its last lines on stderr.
    """

    node: str
    code: int | None
    signum: int | None
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True)
class StopRequested:
    """Somebody wants the run to end.

    Attributes:
        reason: shown to the user, for example "Ctrl-C" or "--stop-after".
        is_insistent: a second one of these means: at once (not so for `--stop-after`).
    """

    reason: str
    is_insistent: bool = True


@dataclass(frozen=True)
class TimePassed:
    """Something may be due: the loop says this when `Supervisor.next_deadline_ns` is, and more often."""


@dataclass(frozen=True)
class TimeLost:
    """Nobody ran for that long (suspend, SIGSTOP): deadlines start again."""

    by_ns: int


@dataclass(frozen=True)
class MinderGone:
    """The minder died: nobody reports exits any more."""


@dataclass(frozen=True)
class DeadlockFound:
    """Every member of this cycle is blocked in a send that can never end."""

    members: tuple[str, ...]
    cycle: str


@dataclass(frozen=True)
class NodeHung:
    """The node has work waiting and has not called the API for its `health_check_timeout`."""

    node: str


Stimulus = Union[
    Began,
    NodeSpawned,
    SpawnRefused,
    NodeSaidHello,
    NodeReady,
    OutputsClosed,
    LinkLost,
    ProcessExited,
    StopRequested,
    TimePassed,
    TimeLost,
    MinderGone,
    DeadlockFound,
    NodeHung,
]
