"""What the rules of a run are told: one frozen struct per thing that happened.

Strategy: the loop turns reports, control messages, signals and the clock into these, `state/` turns them into
effects.  Nothing here carries a descriptor, a socket or a time; the time is an argument of `Supervisor.on`.
"""

from __future__ import annotations

from typing import Union

import msgspec

from dora.dataflow.changes import StatedNode
from dora.dataflow.descriptor import Dataflow
from dora.runner.effects import Route


class Began(msgspec.Struct, frozen=True):
    """Everything is prepared: the nodes may be spawned."""


class NodeSpawned(msgspec.Struct, frozen=True):
    """The minder started the node's process."""

    node: str
    pid: int


class SpawnRefused(msgspec.Struct, frozen=True):
    """The node's process could not be started.

    Attributes:
        errno: of the failed call, or None when there was no call.
    """

    node: str
    errno: int | None
    message: str


class NodeSaidHello(msgspec.Struct, frozen=True):
    """The node opened its link, and the link is one we trust."""

    node: str


class NodeReady(msgspec.Struct, frozen=True):
    """The node has mapped all it was given and can receive at once."""

    node: str


class OutputsClosed(msgspec.Struct, frozen=True):
    """The node closed its last handle; its process lives on."""

    node: str


class PortsClosed(msgspec.Struct, frozen=True):
    """An operator of the node has ended: those inputs are read and those outputs sent by nobody any more."""

    node: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class LinkLost(msgspec.Struct, frozen=True):
    """EOF on the node's link: its process is about to be reported as ended, or its last handle is gone."""

    node: str


class ProcessExited(msgspec.Struct, frozen=True):
    """The node's main process ended, and everything it had started.

    Attributes:
        code: exit code, or None when a signal ended it.
        stderr: its last lines on stderr.
    """

    node: str
    code: int | None
    signum: int | None
    stderr: tuple[str, ...] = ()


class StopRequested(msgspec.Struct, frozen=True):
    """Somebody wants the run to end.

    Attributes:
        reason: shown to the user, for example "Ctrl-C" or "--stop-after".
        is_insistent: a second one of these means: at once (not so for `--stop-after`).
        grace_s: from STOP to SIGTERM, if not as the run was started with.
        is_forced: no STOP, SIGKILL now; as planned as any stop.
    """

    reason: str
    is_insistent: bool = True
    grace_s: float | None = None
    is_forced: bool = False


class NodeStopRequested(msgspec.Struct, frozen=True):
    """Somebody wants one node to end for good.

    Attributes:
        grace_s: from STOP to SIGTERM.
        is_forced: SIGKILL now.
    """

    node: str
    grace_s: float
    is_forced: bool = False


class NodeRestartRequested(msgspec.Struct, frozen=True):
    """Somebody wants one node to be stopped and started again, whatever its restart policy says."""

    node: str
    grace_s: float


class NodeAdded(msgspec.Struct, frozen=True):
    """The user has added a node."""

    stated: StatedNode


class NodeRemovalRequested(msgspec.Struct, frozen=True):
    """The user wants a node to end and to be no more."""

    node: str
    grace_s: float
    is_forced: bool = False


class NodeReplaceRequested(msgspec.Struct, frozen=True):
    """The user wants another node in the place of that one, under the same name."""

    node: str
    stated: StatedNode
    grace_s: float


class Rewired(msgspec.Struct, frozen=True):
    """The user has connected or disconnected inputs; the nodes are the same.

    Attributes:
        dataflow: the graph as it is now.
    """

    dataflow: Dataflow


class ParamChanged(msgspec.Struct, frozen=True):
    """Somebody set a parameter of a node to that JSON text, or with None deleted it."""

    node: str
    key: str
    value: str | None


class TapOpened(msgspec.Struct, frozen=True):
    """Somebody reads an output that runs (echo, record): one more reader, which no rule waits for.

    Attributes:
        route: its reader is a name of `state.routes.tap_reader`.
    """

    route: Route


class TapClosed(msgspec.Struct, frozen=True):
    """That reader has left."""

    route: Route


class GuestCame(msgspec.Struct, frozen=True):
    """Somebody outside publishes on an output that runs, beside its node.

    Attributes:
        guest: a name of `state.routes.guest_sender`.
        sender: who sends on that output otherwise.
    """

    guest: str
    sender: str
    output: str


class GuestLeft(msgspec.Struct, frozen=True):
    """They publish no more."""

    guest: str


class TimePassed(msgspec.Struct, frozen=True):
    """Something may be due: the loop says this when `Supervisor.next_deadline_ns` is, and more often."""


class TimeLost(msgspec.Struct, frozen=True):
    """Nobody ran for that long (suspend, SIGSTOP): deadlines start again."""

    by_ns: int


class MinderGone(msgspec.Struct, frozen=True):
    """The minder died: nobody reports exits any more."""


class DeadlockFound(msgspec.Struct, frozen=True):
    """Every member of this cycle is blocked in a send that can never end."""

    members: tuple[str, ...]
    cycle: str


class NodeHung(msgspec.Struct, frozen=True):
    """The node has work waiting and has not called the API for its `health_check_timeout`."""

    node: str


class NodeStraggles(msgspec.Struct, frozen=True):
    """Nothing can come any more, nothing was sent for a long time, and the node still runs.

    Attributes:
        after_s: how long.
        setting: that says so.
    """

    node: str
    after_s: float
    setting: str


Stimulus = Union[
    Began,
    NodeSpawned,
    SpawnRefused,
    NodeSaidHello,
    NodeReady,
    OutputsClosed,
    PortsClosed,
    LinkLost,
    ProcessExited,
    StopRequested,
    NodeStopRequested,
    NodeRestartRequested,
    NodeAdded,
    NodeRemovalRequested,
    NodeReplaceRequested,
    Rewired,
    ParamChanged,
    TapOpened,
    TapClosed,
    GuestCame,
    GuestLeft,
    TimePassed,
    TimeLost,
    MinderGone,
    DeadlockFound,
    NodeHung,
    NodeStraggles,
]
