"""What the rules of a run want done: one frozen struct per act.

Strategy: `state/` returns lists of these, `handlers.py` carries them out in order.  Only control goes this way.
msgspec makes 30 classes in the time in which `dataclasses` makes one.
"""

from __future__ import annotations

from typing import Union

import msgspec

from dora.dataflow.descriptor import Node


class Route(msgspec.Struct, frozen=True):
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


class Edge(msgspec.Struct, frozen=True):
    """One run of a route's sender joined with one run of its reader (design.md, "Incarnations")."""

    number: int
    route: Route


class AdmitNode(msgspec.Struct, frozen=True):
    """The graph has one more node: make ready whatever a node needs, before anything else is said of it.

    Attributes:
        slot: its place in the counters page.
    """

    plan: Node
    slot: int


class ForgetNode(msgspec.Struct, frozen=True):
    """That node is no more: its process has ended, nothing is wired to it."""

    node: str


class SpawnNode(msgspec.Struct, frozen=True):
    """Start the node's process; `restart_count` is 0 for its first run."""

    node: str
    restart_count: int


class OpenLink(msgspec.Struct, frozen=True):
    """Answer a hello: configuration, then the node's outputs; its edges follow, then `EndWiring`.

    Attributes:
        drains_timers: its timers do not keep it alive (`exit_when_nodes_finish`).
    """

    node: str
    restart_count: int
    drains_timers: bool = False


class GiveWriter(msgspec.Struct, frozen=True):
    """Hand the sender its ends of an edge; `replaces` is the edge of a dead reader, or 0."""

    edge: Edge
    replaces: int = 0


class GiveReader(msgspec.Struct, frozen=True):
    """Hand the reader its ends of an edge."""

    edge: Edge


class EndWiring(msgspec.Struct, frozen=True):
    """Say that this was all of the wiring."""

    node: str


class Start(msgspec.Struct, frozen=True):
    """Say that the barrier is open; `start_ns` is the origin of all timers."""

    node: str
    start_ns: int


class FailStart(msgspec.Struct, frozen=True):
    """Say that the dataflow will not start."""

    node: str
    reason: str


class SendVerdict(msgspec.Struct, frozen=True):
    """Tell the reader of an edge how its sender ended (`messages.node_runner.EdgeVerdict`)."""

    edge: Edge
    verdict: str
    error: str = ""
    run: int = 0


class RemoveEdge(msgspec.Struct, frozen=True):
    """Tell the sender of an edge that its reader is gone for good."""

    edge: Edge


class RetireEdge(msgspec.Struct, frozen=True):
    """Tell the sender of an edge to write no more on it; its reader still reads what is queued."""

    edge: Edge


class ForgetEdge(msgspec.Struct, frozen=True):
    """Close the ends of an edge that were not handed over and never will be."""

    edge: Edge


class DropQueue(msgspec.Struct, frozen=True):
    """As `ForgetEdge`, and what is queued on it counts as dropped: its reader was away for too long."""

    edge: Edge


class CloseOutputs(msgspec.Struct, frozen=True):
    """That run of the node sends nothing more: let go of its arenas and of its link."""

    node: str


class SendParam(msgspec.Struct, frozen=True):
    """Tell the node that a parameter was set to that JSON text, or with None deleted."""

    node: str
    key: str
    value: str | None


class DismissGuest(msgspec.Struct, frozen=True):
    """Tell who publishes on an output that its node has ended."""

    guest: str


class SendStop(msgspec.Struct, frozen=True):
    """Send STOP(MANUAL)."""

    node: str


class SendDeadlock(msgspec.Struct, frozen=True):
    """Make the node's blocked send raise."""

    node: str
    cycle: str


class SignalNode(msgspec.Struct, frozen=True):
    """Send a signal to the node's process group."""

    node: str
    signum: int


class KillNode(msgspec.Struct, frozen=True):
    """SIGKILL the node's group and all its descendants."""

    node: str


class KillAll(msgspec.Struct, frozen=True):
    """SIGKILL every process of the run, now."""


class Note(msgspec.Struct, frozen=True):
    """A line of ours on the console."""

    text: str
    level: str = "info"
    node: str | None = None


class Finish(msgspec.Struct, frozen=True):
    """The run is over: leave the loop."""


Effect = Union[
    AdmitNode,
    ForgetNode,
    SpawnNode,
    OpenLink,
    GiveWriter,
    GiveReader,
    EndWiring,
    Start,
    FailStart,
    SendVerdict,
    RemoveEdge,
    RetireEdge,
    ForgetEdge,
    DropQueue,
    CloseOutputs,
    SendParam,
    DismissGuest,
    SendStop,
    SendDeadlock,
    SignalNode,
    KillNode,
    KillAll,
    Note,
    Finish,
]
