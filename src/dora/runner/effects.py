"""What the rules of a run want done: one frozen dataclass per act.

Strategy: `state/` returns lists of these, `handlers.py` carries them out in order.  Only control goes this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Union

CLOSED: Final = "closed"
FAILED: Final = "failed"
RESTARTING: Final = "restarting"
"""the verdict words of `messages.node_runner`, which is not imported before the nodes are spawned (msgspec: 20 ms)"""


@dataclass(frozen=True)
class Route:
    """One connection of the graph, for the whole run: an output and an input that reads it.

    Attributes:
        sender: whose link writes it: a node id, or a name of `state/sources.py` for the runner itself.
        source: the node that the reader is told.
        slot: place in the counters page.
    """

    sender: str
    source: str
    output: str
    reader: str
    input: str
    slot: int
    queue_size: int
    is_lossless: bool = False
    is_stated: bool = False


@dataclass(frozen=True)
class Edge:
    """One run of a route's sender joined with one run of its reader (design.md, "Incarnations")."""

    number: int
    route: Route


@dataclass(frozen=True)
class SpawnNode:
    """Start the node's process; `restart_count` is 0 for its first run."""

    node: str
    restart_count: int


@dataclass(frozen=True)
class OpenLink:
    """Answer a hello: configuration, then the node's outputs; its edges follow, then `EndWiring`."""

    node: str
    restart_count: int


@dataclass(frozen=True)
class GiveWriter:
    """Hand the sender its ends of an edge; `replaces` is the edge of a dead reader, or 0."""

    edge: Edge
    replaces: int = 0


@dataclass(frozen=True)
class GiveReader:
    """Hand the reader its ends of an edge."""

    edge: Edge


@dataclass(frozen=True)
class EndWiring:
    """Say that this was all of the wiring."""

    node: str


@dataclass(frozen=True)
class Start:
    """Say that the barrier is open; `start_ns` is the origin of all timers."""

    node: str
    start_ns: int


@dataclass(frozen=True)
class FailStart:
    """Say that the dataflow will not start."""

    node: str
    reason: str


@dataclass(frozen=True)
class SendVerdict:
    """Tell the reader of an edge how its sender ended (`messages.node_runner.EdgeVerdict`)."""

    edge: Edge
    verdict: str
    error: str = ""


@dataclass(frozen=True)
class RemoveEdge:
    """Tell the sender of an edge that its reader is gone for good."""

    edge: Edge


@dataclass(frozen=True)
class ForgetEdge:
    """Close the ends of an edge that were not handed over and never will be."""

    edge: Edge


@dataclass(frozen=True)
class CloseOutputs:
    """That run of the node sends nothing more: let go of its arenas and of its link."""

    node: str


@dataclass(frozen=True)
class SendStop:
    """Send STOP(MANUAL)."""

    node: str


@dataclass(frozen=True)
class SendDeadlock:
    """Make the node's blocked send raise."""

    node: str
    cycle: str


@dataclass(frozen=True)
class SignalNode:
    """Send a signal to the node's process group."""

    node: str
    signum: int


@dataclass(frozen=True)
class KillNode:
    """SIGKILL the node's group and all its descendants."""

    node: str


@dataclass(frozen=True)
class KillAll:
    """SIGKILL every process of the run, now."""


@dataclass(frozen=True)
class Note:
    """A line of ours on the console."""

    text: str
    level: str = "info"
    node: str | None = None


@dataclass(frozen=True)
class Finish:
    """The run is over: leave the loop."""


Effect = Union[
    SpawnNode,
    OpenLink,
    GiveWriter,
    GiveReader,
    EndWiring,
    Start,
    FailStart,
    SendVerdict,
    RemoveEdge,
    ForgetEdge,
    CloseOutputs,
    SendStop,
    SendDeadlock,
    SignalNode,
    KillNode,
    KillAll,
    Note,
    Finish,
]
