"""The link between a node and its runner: one message per SEQPACKET datagram, msgpack, fds beside it.

Life of the link: the node connects and says `Hello`; the runner answers `Configure`, then `AddOutput`,
`AddOutputEdge` and `AddInputEdge` for everything the node is wired to, then `Wired`; the node maps all of it and says
`Ready`; when every node of the start barrier is ready the runner says `Start` to all, or `StartFailed`; before `Start`
come the parameters that the node has.
Afterwards the runner sends verdicts on edges, `Stop`, new and ended edges, changed parameters; the node may say
`OutputsClosed`, and the process of operators `PortsClosed` and `StopAll`.  EOF from the node means that its process or
its last handle is gone.
"""

from __future__ import annotations

from typing import Final, Union

import msgspec

VERSION: Final = 8
"""Raised whenever a message of this file changes; both sides name it in their first message."""

CLOSED: Final = "closed"
FAILED: Final = "failed"
RESTARTING: Final = "restarting"

STORE: Final = "store"
LOAD: Final = "load"
TAKE: Final = "take"
DROP: Final = "drop"
DRAIN: Final = "drain"


class Hello(msgspec.Struct, frozen=True, tag=True):
    """Node to runner, first message."""

    node_id: str
    token: str
    pid: int
    version: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Node to runner: everything is mapped, I can receive at once."""


class OutputsClosed(msgspec.Struct, frozen=True, tag=True):
    """Node to runner: the last handle is closed, nothing more will be sent; the process lives on."""


class PortsClosed(msgspec.Struct, frozen=True, tag=True):
    """Node to runner: an operator has ended; nobody reads these inputs any more, nothing is sent on these outputs."""

    inputs: list[str]
    outputs: list[str]


class StopAll(msgspec.Struct, frozen=True, tag=True):
    """Node to runner: stop the whole dataflow, as Ctrl-C would; `reason` is shown to the user."""

    reason: str


class ExtensionRequest(msgspec.Struct, frozen=True, tag=True):
    """Node to runner: something of the extension table; fds of `STORE`: [memfd] for a value that is not in `data`.

    Attributes:
        number: comes back in the reply.
        action: `STORE`, `LOAD`, `TAKE` (load and drop), `DROP`, `DRAIN` (keys that were dropped).
    """

    number: int
    action: str
    namespace: str
    key: str
    data: bytes = b""


class ExtensionReply(msgspec.Struct, frozen=True, tag=True):
    """Runner to node; fds: [memfd] for a value that is not in `data`."""

    number: int
    error: str = ""
    is_found: bool = False
    data: bytes = b""
    keys: list[str] = []


class Configure(msgspec.Struct, frozen=True, tag=True):
    """Runner to node; fds: [configuration (a `NodeConfig` as msgpack in a memfd), counters page memfd]."""

    version: int


class AddOutput(msgspec.Struct, frozen=True, tag=True):
    """Runner to node; fds: [arena memfd, already truncated to `arena_bytes`]."""

    output: str
    arena_bytes: int


class AddOutputEdge(msgspec.Struct, frozen=True, tag=True):
    """Runner to sender; fds: [queue read, queue write, release read].

    Attributes:
        edge: number of this edge, unique in the dataflow, never used again.
        slot: its place in the counters page (kept across restarts).
        queue_size: at least 1.
        is_lossless: the input states `backpressure`.
        is_stated: the input states a queue size or a policy, so the burst rule is off.
        replaces: the edge of a dead reader whose queued records move to this one, or 0.
    """

    edge: int
    output: str
    reader: str
    input: str
    slot: int
    queue_size: int
    is_lossless: bool
    is_stated: bool
    replaces: int = 0


class RemoveOutputEdge(msgspec.Struct, frozen=True, tag=True):
    """Runner to sender: that edge is over: write no more on it.

    Attributes:
        is_read: its reader still reads what is queued; otherwise it is gone for good: take back what it held.
    """

    edge: int
    is_read: bool = False


class AddInputEdge(msgspec.Struct, frozen=True, tag=True):
    """Runner to reader; fds: [queue read, release write, arena memfd].  Read after the input's earlier edges.

    Attributes:
        is_guest: somebody outside publishes on that output: read beside the input's edges, until its verdict; neither
            opens nor closes the input.
    """

    edge: int
    input: str
    source: str
    output: str
    slot: int
    arena_bytes: int
    is_guest: bool = False


class Wired(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: that was all of the wiring; say `Ready` when it is mapped."""


class Start(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: the barrier is open; `start_ns` is CLOCK_MONOTONIC, the origin of all timers."""

    start_ns: int


class StartFailed(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: the dataflow will not start; `Node()` raises RuntimeError with this reason."""

    reason: str


class EdgeVerdict(msgspec.Struct, frozen=True, tag=True):
    """Runner to reader: how the sender of that edge ended.

    Attributes:
        verdict: `CLOSED`, `FAILED` or `RESTARTING`.
        error: for `FAILED`, what is told in NODE_FAILED.
        run: number of that ending of the sender; NODE_FAILED and NODE_RESTARTED are told once for each.
    """

    edge: int
    verdict: str
    error: str = ""
    run: int = 0


class Param(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: a parameter was set to that JSON text, or with None deleted."""

    key: str
    value: str | None


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: STOP with id MANUAL."""


class Drained(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: treat timers as closed when the data inputs are (`exit_when_nodes_finish`)."""


class Deadlock(msgspec.Struct, frozen=True, tag=True):
    """Runner to node: the send you are blocked in can never end; it raises RuntimeError naming `cycle`."""

    cycle: str


class TimerInput(msgspec.Struct, frozen=True):
    """An input that is a timer: its period, and nothing else."""

    input: str
    period_ns: int | float


class OperatorInput(msgspec.Struct, frozen=True):
    """One input of an operator.

    Attributes:
        input: its name within the operator; on the link it is `<operator>/<input>`.
        node: the node that feeds it, or "" (a timer, log entries).
        sibling_output: the output of the same process that feeds it, as `<operator>/<output>`, or "".  Only for such
            an input the rest counts.
        queue_size: at least 1.
        is_lossless: it states `backpressure`.
        is_stated: it states a queue size or a policy.
        slot: where its messages are counted in the counters page.
    """

    input: str
    node: str = ""
    sibling_output: str = ""
    queue_size: int = 1
    is_lossless: bool = False
    is_stated: bool = False
    slot: int = 0


class OperatorConfig(msgspec.Struct, frozen=True):
    """One operator of a runtime node; outputs by its own names."""

    id: str
    inputs: list[OperatorInput]
    outputs: list[str]


class TypeCheck(msgspec.Struct, frozen=True):
    """What messages of one input or output are made of.

    Attributes:
        type: as the dataflow states it.
        accepted: Arrow types as pyarrow writes them, the usual one first.
        is_error: a message that is something else is refused; otherwise it is warned about.
    """

    port: str
    type: str
    accepted: list[str]
    is_output: bool = False
    is_error: bool = False


class NodeConfig(msgspec.Struct, frozen=True):
    """All that a node is told about itself.

    Attributes:
        node_slot: the node's place in the counters page.
        timers: its timer inputs.
        inputs: ids of all its inputs, in file order.
        outputs: ids of all its outputs.
        io: what `node.node_config()` returns.
        descriptor: what `node.dataflow_descriptor()` returns.
        drains_timers: `exit_when_nodes_finish` and the node has a data input: its timers do not keep it alive.
        restart_count: 0 for the first run.
        operators: of a runtime node.
        type_checks: what to look at in messages; of inputs the first message only.
        input_timeouts_ns: by input: silence after which it counts as closed until a message comes.
    """

    dataflow_id: str
    node_id: str
    node_slot: int
    timers: list[TimerInput]
    inputs: list[str]
    outputs: list[str]
    io: dict[str, object]
    descriptor: dict[str, object]
    drains_timers: bool = False
    restart_count: int = 0
    operators: list[OperatorConfig] = []
    input_timeouts_ns: dict[str, int] = {}
    type_checks: list[TypeCheck] = []


ToRunner = Union[Hello, Ready, OutputsClosed, PortsClosed, StopAll, ExtensionRequest]
ToNode = Union[
    Configure,
    AddOutput,
    AddOutputEdge,
    RemoveOutputEdge,
    AddInputEdge,
    Wired,
    Start,
    StartFailed,
    EdgeVerdict,
    Param,
    Stop,
    Drained,
    Deadlock,
    ExtensionReply,
]

encode: Final = msgspec.msgpack.Encoder().encode
decode_to_runner: Final = msgspec.msgpack.Decoder(ToRunner).decode
decode_to_node: Final = msgspec.msgpack.Decoder(ToNode).decode
decode_config: Final = msgspec.msgpack.Decoder(NodeConfig).decode
