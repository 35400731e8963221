"""The objects of the service's HTTP API, as JSON: what commands, dashboards and others send and get.

Strategy: each is a struct with documented fields, from which the OpenAPI description is made; `docs/service.md` shows
them in use.  Times are nanoseconds since 1970, sizes are bytes, durations are seconds; what is not known is null.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from dora.messages.runner_daemon import BACKGROUND, FAILED, FINISHED

VERSION: Final = 1
"""Raised whenever something of this file changes so that old clients fail; clients name theirs in `VERSION_HEADER`."""

VERSION_HEADER: Final = "dora-api"

NAME_PATTERN: Final = "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$"
"""what a name of a dataflow is made of; it must not look like an id, either"""

NodeText = Annotated[str, msgspec.Meta(max_length=30_000)]
"""the YAML of one node"""

FileName = Annotated[str, msgspec.Meta(max_length=4096)]

# codes of `Problem`
UNKNOWN_DATAFLOW: Final = "unknown-dataflow"
AMBIGUOUS: Final = "ambiguous"
UNKNOWN_NODE: Final = "unknown-node"
UNKNOWN_OUTPUT: Final = "unknown-output"
UNKNOWN_INPUT: Final = "unknown-input"
WRONG_NODE: Final = "wrong-node"
UNKNOWN_PARAM: Final = "unknown-param"
NAME_TAKEN: Final = "name-taken"
NOT_RUNNING: Final = "not-running"
NOT_POSSIBLE: Final = "not-possible"
START_FAILED: Final = "start-failed"
NO_ANSWER: Final = "no-answer"
WRONG_REQUEST: Final = "wrong-request"
WRONG_TOKEN: Final = "wrong-token"
WRONG_VERSION: Final = "wrong-version"
INTERNAL: Final = "internal"

ENDED: Final = frozenset({FINISHED, FAILED})
"""states of a dataflow that is over"""

# from STOP to SIGTERM, where nothing else is stated
GRACE_S: Final = 10.0
"""of a dataflow"""
NODE_GRACE_S: Final = 5.0
"""of one of its nodes"""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not done.

    Attributes:
        code: a word for programs, such as `unknown-dataflow`.
        message: a sentence for people.
        hint: what to do about it, or "".
        problems: for a wrong dataflow file or node: one line each.
    """

    code: str
    message: str
    hint: str = ""
    problems: list[str] = []


class ServiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The service itself.

    Attributes:
        dora: its version.
        runtime_dir: where its socket, log and store are.
        addresses: where it listens, besides its Unix socket.
        running: dataflows that run now.
    """

    dora: str
    api: int
    pid: int
    started_ns: int
    runtime_dir: str
    addresses: list[str] = []
    running: int = 0
    warnings: list[str] = []


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Start a dataflow in the background.

    Attributes:
        file: absolute path of the dataflow file.
        name: unique among running dataflows; made up if empty.
        env: as `dora run --env`.
        is_locked: take the commits and checksums of the lock file.
        lockfile: absolute path of that file; empty: the one beside `file`.
        environ: the environment of the nodes; null: the service's own.
        python: the interpreter that runs it; empty: the service's own.
        grace_s: from STOP to SIGTERM.
    """

    file: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^/"})]
    name: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": NAME_PATTERN})] = ""
    env: dict[str, str] = {}
    uses_uv: bool = False
    is_locked: bool = False
    lockfile: str = ""
    environ: dict[str, str] | None = None
    python: str = ""
    grace_s: float = GRACE_S
    exits_when_nodes_finish: bool | None = None
    allows_shell_nodes: bool = False
    reloads_operators: bool = False


class StopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a dataflow; the answer comes when it is over.

    Attributes:
        grace_s: from STOP to SIGTERM; null: as it was started with.
        is_forced: SIGKILL at once.
        waits: false: answer at once.
    """

    grace_s: float | None = None
    is_forced: bool = False
    waits: bool = True


class RestartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a dataflow if it runs, and start it again from its file, under its name; the answer is the new one.

    Attributes:
        grace_s, is_forced: of the stop.
        environ, python: as in `StartRequest`.
    """

    grace_s: float | None = None
    is_forced: bool = False
    environ: dict[str, str] | None = None
    python: str = ""


class NodeStopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Stop one node for good."""

    grace_s: float = NODE_GRACE_S
    is_forced: bool = False


class NodeRestartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Stop one node and start it again."""

    grace_s: float = NODE_GRACE_S


class NodeAddRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Add a node to a dataflow that runs, and start it.

    Attributes:
        text: its entry of a dataflow file, as YAML; relative paths start in the dataflow's folder.
        file: what messages call the text.
        waits: answer when it is ready, or has ended; false: at once.
    """

    text: NodeText
    file: FileName = "node.yml"
    waits: bool = True


class NodeRemoveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Stop one node and take it out of the graph.

    Attributes:
        waits: answer when it is gone; false: at once.
    """

    grace_s: float = NODE_GRACE_S
    is_forced: bool = False
    waits: bool = True


class NodeReplaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Put another node in the place of one.

    Attributes:
        text, file: as in `NodeAddRequest`; the id must be the same.
        grace_s: of the old one, from STOP to SIGTERM.
        waits: answer when the new one is ready, or has ended; false: at once.
    """

    text: NodeText
    file: FileName = "node.yml"
    grace_s: float = NODE_GRACE_S
    waits: bool = True


class ConnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Have an input read an output.

    Attributes:
        source: `node/output`, or `dora/logs`.
        target: `node/input`; an input that the node does not state comes into being.
        is_instead: in place of what feeds the input now; false: it must not be fed.
        queue_size, queue_policy: of the input; null: as it was stated, or the default.
    """

    source: str
    target: str
    is_instead: bool = False
    queue_size: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    queue_policy: Literal["drop_oldest", "backpressure"] | None = None


class DisconnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Close an input that reads an output: it gets what is queued, then INPUT_CLOSED."""

    source: str
    target: str


class ParamSetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Set a parameter of a node.

    Attributes:
        value: any JSON value, at most 65536 bytes of it, nested at most 128 levels deep.
    """

    value: Any


class ParamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a node.

    Attributes:
        dataflow: its id.
        value: as JSON has it.
    """

    dataflow: str
    node: str
    key: str
    value: Any


class ParamList(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a node.

    Attributes:
        dataflow: its id.
        params: their values as JSON has them, by key.
    """

    dataflow: str
    node: str
    params: dict[str, Any]


class InputInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a node.

    Attributes:
        source: what feeds it, as in the dataflow file; empty: nothing, since it was disconnected.
        waiting: messages in its queue now.
    """

    id: str
    source: str
    queue_size: int | None = None
    queue_policy: str | None = None
    sent: int = 0
    dropped: int = 0
    taken: int = 0
    waiting: int = 0
    bytes: int = 0


class OutputInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a node; `subscribers` are inputs, as `node/input`."""

    id: str
    subscribers: list[str] = []


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One node, now.

    Attributes:
        state: waiting, starting, running, restarting, stopping, finished, failed, stopped, or detached (a dynamic node
            without a process).
        cpu_percent: of one core, its child processes included.
        memory_bytes: resident, its child processes included.
        exit_code, signal: how it ended, if it has.
        message: how it ended, in words; of one that runs, how the node ended that could not take its place.
    """

    id: str
    state: str
    dataflow: str
    pid: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    is_dynamic: bool = False
    name: str = ""
    description: str = ""
    path: str = ""
    command: str = ""
    restart_policy: str = "never"
    max_restarts: int = 0
    restart_delay_s: float | None = None
    health_check_timeout_s: float | None = None
    finish_grace_s: float | None = None
    inputs: list[InputInfo] = []
    outputs: list[OutputInfo] = []


class DataflowInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One dataflow, running or ended.

    Attributes:
        id: unique for ever, a UUID.
        name: unique among those that run; empty for `dora run`.
        state: building, starting, running, stopping, finished or failed.
        origin: `start` (in the background) or `run` (in somebody's terminal).
        pid: of its runner.
        exit_code, report: how it ended, if it has: who failed and how, messages dropped.
        node_count: nodes that have not ended.
        waits_for: nodes for which the start waits.
        nodes: only where one dataflow is asked for.
    """

    id: str
    name: str
    file: str
    state: str
    origin: str = BACKGROUND
    pid: int | None = None
    started_ns: int = 0
    ended_ns: int | None = None
    exit_code: int | None = None
    report: str = ""
    log_dir: str = ""
    node_count: int = 0
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    waits_for: list[str] = []
    nodes: list[NodeInfo] = []

    @property
    def called(self) -> str:
        """How commands and messages name it: by its name, if it has one."""
        return self.name or self.id


class GraphChange(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a change of the graph.

    Attributes:
        dataflow: as it is now, with its nodes.
        node: the one that was added, removed, replaced, or whose input was connected or disconnected.
        notes: what you may not have expected, one sentence each.
    """

    dataflow: DataflowInfo
    node: str
    notes: list[str] = []


class DataflowList(msgspec.Struct, frozen=True, kw_only=True):
    """Running dataflows first, then those that have ended, the newest first.

    Attributes:
        warnings: runners that do not answer, and why.
    """

    dataflows: list[DataflowInfo]
    warnings: list[str] = []


class CleanResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `clean` has forgotten."""

    cleaned: list[DataflowInfo]


class StateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """On the event stream: a dataflow is in another state, or nodes of it are; `nodes` maps them to their states."""

    dataflow: str
    name: str
    state: str
    nodes: dict[str, str] = {}


encode: Final = msgspec.json.Encoder().encode
