"""The link of a runner with whoever asks about its run: the daemon, a command, a dashboard.

One message per SEQPACKET datagram, msgpack, on the socket `admin.sock` of the run's runtime directory.  A message that
is longer than `INLINE_BYTES` travels as a memfd beside an `Attached`.  The asker says `Hello` and may send its first
request at once; the runner answers `Welcome`, or `Refused` and hangs up.  Then every request has exactly one answer,
in order: `Refused` when it cannot be done, else the reply that its docstring names.  After `Watch` come `Changed` for
each change, between the answers, until `Ended`, the last message of every run.  `Hello` and `Refused` keep their form
in all versions, so that two that differ can say so.
"""

from __future__ import annotations

from typing import Any, Final, Union

import msgspec

from dora.messages import node_runner

VERSION: Final = 6
"""Raised whenever a message of this file changes, or one of the three that it takes over from `node_runner`."""

INLINE_BYTES: Final = 64 * 1024
"""longer messages go in a memfd"""

# states of a run
BUILDING: Final = "building"
STARTING: Final = "starting"
RUNNING: Final = "running"
STOPPING: Final = "stopping"
FINISHED: Final = "finished"
FAILED: Final = "failed"

# further states of a node
WAITING: Final = "waiting"
RESTARTING: Final = "restarting"
STOPPED: Final = "stopped"
DETACHED: Final = "detached"

FOREGROUND: Final = "run"
BACKGROUND: Final = "start"

# why a request was refused
WRONG_VERSION: Final = "wrong-version"
BUSY: Final = "busy"
NOT_UNDERSTOOD: Final = "not-understood"
UNKNOWN_NODE: Final = "unknown-node"
UNKNOWN_OUTPUT: Final = "unknown-output"
UNKNOWN_INPUT: Final = "unknown-input"
WRONG_NODE: Final = "wrong-node"
NOT_POSSIBLE: Final = "not-possible"


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First message to the runner; never changes."""

    version: int
    dora: str


class Describe(msgspec.Struct, frozen=True, tag=True):
    """What is the run doing?  Answer: `Described`."""


class Watch(msgspec.Struct, frozen=True, tag=True):
    """As `Describe`, and from then on `Changed` whenever a state changes, and `Ended`."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Stop the run.  Answer: `Done`, at once; `Watch` tells when it is over.

    Attributes:
        reason: shown to the user of the run.
        grace_s: from STOP to SIGTERM; None: as the run was started with.
        is_forced: SIGKILL now.
    """

    reason: str
    grace_s: float | None = None
    is_forced: bool = False


class StopNode(msgspec.Struct, frozen=True, tag=True):
    """Stop one node for good.  Answer: `Done`, at once."""

    node: str
    grace_s: float
    is_forced: bool = False


class RestartNode(msgspec.Struct, frozen=True, tag=True):
    """Stop one node and start it again, whatever its policy says.  Answer: `Done`, at once."""

    node: str
    grace_s: float


class AddNode(msgspec.Struct, frozen=True, tag=True):
    """Add a node to the graph and start it.  Answer: `GraphChanged`, at once.

    Attributes:
        text: its entry of a dataflow file.
        file: what messages call the text.
    """

    text: str
    file: str


class RemoveNode(msgspec.Struct, frozen=True, tag=True):
    """Stop one node and take it out of the graph.  Answer: `GraphChanged`, at once; it is gone when it has ended."""

    node: str
    grace_s: float
    is_forced: bool = False


class ReplaceNode(msgspec.Struct, frozen=True, tag=True):
    """Put another node in the place of one, with its inputs, outputs and queues.  Answer: `GraphChanged`, at once."""

    node: str
    text: str
    file: str
    grace_s: float


class Connect(msgspec.Struct, frozen=True, tag=True):
    """Have an input read an output from now on.  Answer: `GraphChanged`.

    Attributes:
        source: `<node>/<output>`.
        target: `<node>/<input>`.
        is_instead: of what feeds it now, if anything.
        queue_size, queue_policy: of the input; None: as before, or as if nothing were stated.
    """

    source: str
    target: str
    is_instead: bool = False
    queue_size: int | None = None
    queue_policy: str | None = None


class Disconnect(msgspec.Struct, frozen=True, tag=True):
    """Close an input that reads an output, behind what is queued.  Answer: `GraphChanged`."""

    source: str
    target: str


class GetParams(msgspec.Struct, frozen=True, tag=True):
    """Answer: `Params`, those of one node, or with "" of all."""

    node: str = ""


class SetParam(msgspec.Struct, frozen=True, tag=True):
    """Set a parameter of a node, and tell the node, at once or when it starts.  Answer: `Done`.

    Attributes:
        value: as JSON text.
    """

    node: str
    key: str
    value: str


class DeleteParam(msgspec.Struct, frozen=True, tag=True):
    """Forget a parameter of a node, and tell the node, also if it has none of that name.  Answer: `Done`."""

    node: str
    key: str


class GetCounters(msgspec.Struct, frozen=True, tag=True):
    """Answer: `Counters`, with the counters page."""


class Tap(msgspec.Struct, frozen=True, tag=True):
    """Read an output that runs, from now on, as a stated `drop_oldest` input (design.md 11.13).

    Answer: `Done`.  Then come `TapEdge` for every run of the sender and `TapVerdict` for how it ended, each with the
    same `tap`, between the answers.  It ends with `Untap`, or when the asker hangs up.

    Attributes:
        tap: a number that the asker chooses.
    """

    tap: int
    node: str
    output: str
    queue_size: int


class Untap(msgspec.Struct, frozen=True, tag=True):
    """Read that output no longer.  Answer: `Done`."""

    tap: int


class Publish(msgspec.Struct, frozen=True, tag=True):
    """Send on an output that runs, beside its node, until the asker hangs up; one at a time on a connection.

    Answer: `Publishing`.  Then comes, between the answers, what a sender is told: `node_runner.AddOutputEdge` for every
    input that reads the output, for every run of its node, and `RemoveOutputEdge` for those that are read no more; at
    the end `PublishOver`.  What a reader takes is counted at the `slot` of its edge; the asker counts the rest itself.
    """

    node: str
    output: str


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """The runner's first message."""

    version: int
    dora: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The request cannot be done; never changes.

    Attributes:
        code: one of the words above.
        message: for the user.
    """

    code: str
    message: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """It is done, or will be."""


class GraphChanged(msgspec.Struct, frozen=True, tag=True):
    """The graph is changed, or will be.

    Attributes:
        node: the one that it is about; of a wire, its reader.
        notes: what the user may not have expected.
    """

    node: str
    notes: list[str] = []


class Counters(msgspec.Struct, frozen=True, tag=True):
    """fds: [counters page memfd]; map it read-only.  `EdgeState.slot` says where an edge is."""


class Params(msgspec.Struct, frozen=True, tag=True):
    """Parameters by node and key, each as JSON text; nodes that have none are left out."""

    nodes: dict[str, dict[str, str]]


class TapEdge(msgspec.Struct, frozen=True, tag=True):
    """One more edge of a tap; fds: those of `edge`."""

    tap: int
    edge: node_runner.AddInputEdge


class TapVerdict(msgspec.Struct, frozen=True, tag=True):
    """How the sender of that edge ended: `node_runner.CLOSED`, `FAILED` or `RESTARTING`."""

    tap: int
    edge: int
    verdict: str


class Publishing(msgspec.Struct, frozen=True, tag=True):
    """fds: [arena memfd, for writing].

    Attributes:
        stated_type: of the output, as the file has it; or empty.
        accepted: names of the Arrow types that messages of that type may have, as pyarrow writes them; empty: any.
        unreachable: inputs that read the output within the process of its node, as `node/input`.
    """

    arena_bytes: int
    stated_type: str = ""
    accepted: list[str] = []
    unreachable: list[str] = []


class PublishOver(msgspec.Struct, frozen=True, tag=True):
    """The node of the output has ended: its readers hear nothing more on it."""


class Attached(msgspec.Struct, frozen=True, tag=True):
    """fds: [memfd that holds the message, then those of the message]."""

    size_bytes: int


class NodeState(msgspec.Struct, frozen=True):
    """One node, now.

    Attributes:
        state: `WAITING` (not started yet), `STARTING`, `RUNNING`, `RESTARTING` (waits for its next start), `STOPPING`,
            `FINISHED`, `FAILED`, `STOPPED`, or `DETACHED` (a dynamic node without a process).
        pid: of its process, or 0.
        restarts: so far.
        exit_code, signum: how it ended, if it has.
        message: how it ended, in words; of one that runs, how the node ended that could not take its place.
        path: its program, or what hosts its operators.
        command: as it is run.
        inputs: what feeds each input, as the file says it.
        policy: `never`, `on-failure` or `always`.
    """

    id: str
    state: str
    pid: int = 0
    restarts: int = 0
    exit_code: int | None = None
    signum: int | None = None
    message: str = ""
    is_dynamic: bool = False
    name: str = ""
    description: str = ""
    path: str = ""
    command: str = ""
    inputs: dict[str, str] = {}
    outputs: list[str] = []
    policy: str = "never"
    max_restarts: int = 0
    restart_delay_s: float | None = None
    health_check_timeout_s: float | None = None
    finish_grace_s: float | None = None


class EdgeState(msgspec.Struct, frozen=True):
    """One connection, now; `slot` is its place in the counters page.  waiting = sent - dropped - taken."""

    source: str
    output: str
    reader: str
    input: str
    slot: int
    queue_size: int
    policy: str
    sent: int = 0
    dropped: int = 0
    taken: int = 0
    bytes: int = 0


class Described(msgspec.Struct, frozen=True, tag=True):
    """A run, now.

    Attributes:
        name: given with `dora start --name` or made up; empty for `dora run`.
        file: the dataflow file, absolute.
        origin: `FOREGROUND` or `BACKGROUND`.
        pid: of the runner.
        started_ns: nanoseconds since 1970.
        log_dir: where the log files are, absolute; empty while it is building.
        waits_for: nodes for which the start waits.
        request: how it was started (`messages.api.StartRequest` as JSON), to start it again; empty for `dora run`.
    """

    dataflow_id: str
    name: str
    file: str
    origin: str
    state: str
    pid: int
    started_ns: int
    dora: str
    log_dir: str = ""
    waits_for: list[str] = []
    nodes: list[NodeState] = []
    edges: list[EdgeState] = []
    request: str = ""


class Changed(msgspec.Struct, frozen=True, tag=True):
    """The run, or some of its nodes, are in another state than before; `nodes` has only those, and new ones.

    Attributes:
        removed: nodes that are no more.
    """

    state: str
    nodes: list[NodeState] = []
    removed: list[str] = []


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The run is over; nothing of it runs any more.  Also the record that a background run leaves (as JSON).

    Attributes:
        exit_code: what `dora run` exits with.
        report: the block at the end: who failed and how, messages dropped.
        last: the run as it was then; its state is `FINISHED` or `FAILED`.
        problems: what is wrong with the dataflow file, if that is why it ended; one line each.
        params: as in `Params`.
    """

    exit_code: int
    report: str
    ended_ns: int
    last: Described
    problems: list[str] = []
    params: dict[str, dict[str, str]] = {}


Request = Union[
    Hello,
    Describe,
    Watch,
    Stop,
    StopNode,
    RestartNode,
    AddNode,
    RemoveNode,
    ReplaceNode,
    Connect,
    Disconnect,
    GetParams,
    SetParam,
    DeleteParam,
    GetCounters,
    Tap,
    Untap,
    Publish,
]
Reply = Union[
    Welcome,
    Refused,
    Done,
    GraphChanged,
    Described,
    Changed,
    Ended,
    Params,
    Counters,
    TapEdge,
    TapVerdict,
    Publishing,
    node_runner.AddOutputEdge,
    node_runner.RemoveOutputEdge,
    PublishOver,
    Attached,
]

encode: Final = msgspec.msgpack.Encoder().encode
decode_request: Final = msgspec.msgpack.Decoder(Request).decode
decode_reply: Final = msgspec.msgpack.Decoder(Reply).decode
encode_record: Final = msgspec.json.Encoder().encode
decode_record: Final = msgspec.json.Decoder(Ended).decode


def version_fault(theirs: Any, their_dora: str, ours_dora: str) -> str:
    """What is wrong with a side that speaks another version of this link, or nothing."""
    if theirs == VERSION:
        return ""
    return (
        f"the dataflow is run by dora {ours_dora} (link version {VERSION}), this is dora {their_dora} (link version "
        f"{theirs}): use the dora that started it, or stop it with Ctrl-C or `kill` and start it with this one"
    )
