"""The checked dataflow: plain frozen data, what every other part of the project reads.

Strategy: `load.py` turns YAML into these classes, with every default filled in and every reference
checked; nothing here knows YAML, files or processes.  Times carry their unit in the name.  NamedTuples, because frozen
dataclasses of that many fields took 15 ms to define, a tenth of what every command may take.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple, Union

DROP_OLDEST: Final = "drop_oldest"
BACKPRESSURE: Final = "backpressure"
DEFAULT_QUEUE_SIZE: Final = 10
_NONE: Final[dict[str, Any]] = {}
"""the default of all mappings; nobody changes what is here"""


class OutputSource(NamedTuple):
    """An input fed by another node's output."""

    node: str
    output: str


class TimerSource(NamedTuple):
    """An input fed by a timer (dora dataflow-yaml, section 7.1)."""

    period_ns: float
    """whole, unless it comes from a rate"""
    text: str
    """canonical form, rounded to whole ns, e.g. `dora/timer/millis/200`"""


class LogsSource(NamedTuple):
    """An input fed by log entries (`dora/logs[/level[/node]]`)."""

    level: str | None
    node: str | None


Source = Union[OutputSource, TimerSource, LogsSource]


class Input(NamedTuple):
    """One input of a node.

    Attributes:
        queue_size: at least 1; 10 unless stated.
        queue_policy: `DROP_OLDEST` or `BACKPRESSURE`.
        is_stated: the file states a queue size or a policy (design.md, burst rule).
    """

    id: str
    source: Source
    queue_size: int = DEFAULT_QUEUE_SIZE
    queue_policy: str = DROP_OLDEST
    is_stated: bool = False
    input_timeout_s: float | None = None


class RestartPolicy(NamedTuple):
    """dora yaml-spec, Restart policy."""

    when: str = "never"
    max_restarts: int = 0
    delay_s: float | None = None
    max_delay_s: float | None = None
    window_s: float | None = None


class LogSettings(NamedTuple):
    """What the runner does with a node's lines."""

    send_stdout_as: str | None = None
    send_logs_as: str | None = None
    min_log_level: str | None = None
    max_log_size_bytes: int | None = None
    max_rotated_files: int = 5


class Deploy(NamedTuple):
    """Which machine a node runs on (dora dataflow-yaml, section 20)."""

    machine: str | None = None
    labels: dict[str, str] = _NONE
    working_dir: str | None = None
    distribute: str = "local"


class GitSource(NamedTuple):
    """The repository that holds a node (dora dataflow-yaml, section 12.3); at most one of the last three is stated.

    Attributes:
        url: with a scheme: `https://`, `ssh://`, `git://`, `file://`.
        rev: a commit, or the name of a ref.
    """

    url: str
    branch: str | None = None
    tag: str | None = None
    rev: str | None = None


class Interpreter(NamedTuple):
    """Which Python a node is started with, where the file says so.

    Attributes:
        kind: the key that states it: `python` (an interpreter: a file, or a program on PATH), `venv` (the folder of a
            virtual environment) or `conda` (the name, or the folder, of a conda environment).
        value: as in the file, `$HOME` and the like replaced; relative paths start in the dataflow's folder.
    """

    kind: str
    value: str
    line: int = 0
    column: int = 1


class Operator(NamedTuple):
    """One Python class in the process of a runtime node (dora dataflow-yaml, section 9).

    Attributes:
        id: unique in its node.
        source: its Python file, or a URL; `$HOME` and the like are replaced.
        inputs: by the operator's own names.  One that a sibling feeds (an operator of the same node, or the operator
            itself) stays in the process and is none of the node's; its source is `<node>` and `<operator>/<output>`.
            What the node prints (`send_stdout_as`) goes through the runner, so a sibling reads it like other nodes do.
        outputs: the operator's own names, also what `send_stdout_as` and `send_logs_as` name.
        source_line, source_column: where the value of `python` stands.
    """

    id: str
    source: str
    inputs: dict[str, Input] = _NONE
    outputs: tuple[str, ...] = ()
    name: str | None = None
    description: str | None = None
    pattern: str | None = None
    source_line: int = 0
    source_column: int = 1


class Node(NamedTuple):
    """One process of the dataflow (timer nodes are rewritten to timer inputs and do not appear here).

    Attributes:
        path: a local file, a program on PATH, a URL, `dynamic` or `shell`; `$HOME` and the like are replaced.  Empty
            for a runtime node.
        args: split like a POSIX shell; with `path: shell` one element, the command line as it is.
        env: root `env` merged with the node's own, values as text.
        outputs: also what `send_stdout_as` and `send_logs_as` name.
        line, column: where the node starts in the file, 1-based, for messages.
        path_line, path_column: where the value of `path` stands.
        operators: what a runtime node hosts, in file order; its own inputs and outputs are then those of the operators
            that lead out of the process, as `<operator>/<input>` and `<operator>/<output>`.
        is_single_operator: written as `operator:`, so people leave the operator out of the names of its outputs.
        conda_env: the conda environment that a runtime node is started in.
        git: the repository whose clone `path` starts in.
        file: the module file that states the node, as messages name it; empty for the dataflow's own file.
    """

    id: str
    path: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = _NONE
    build: str | None = None
    inputs: dict[str, Input] = _NONE
    outputs: tuple[str, ...] = ()
    output_types: dict[str, str] = _NONE
    input_types: dict[str, str] = _NONE
    log: LogSettings = LogSettings()
    restart: RestartPolicy = RestartPolicy()
    health_check_timeout_s: float | None = None
    startup_timeout_s: float | None = None
    finish_grace_s: float | None = None
    cpu_affinity: tuple[int, ...] | None = None
    name: str | None = None
    description: str | None = None
    path_sha256: str | None = None
    output_framing: dict[str, str] = _NONE
    output_metadata: dict[str, tuple[str, ...]] = _NONE
    pattern: str | None = None
    deploy: Deploy | None = None
    line: int = 0
    column: int = 1
    path_line: int = 0
    path_column: int = 1
    operators: tuple[Operator, ...] = ()
    is_single_operator: bool = False
    conda_env: str | None = None
    git: GitSource | None = None
    interpreter: Interpreter | None = None
    file: str = ""

    @property
    def is_dynamic(self) -> bool:
        """The user starts its process; it is not part of the start barrier."""
        return self.path == "dynamic"

    @property
    def is_runtime(self) -> bool:
        """Its process is ours and hosts operators."""
        return bool(self.operators)


class Module(NamedTuple):
    """One use of a module file; its nodes are among those of the dataflow, named `<id>.<node>`.

    Attributes:
        id: of the node that uses it; of a nested one `<outer>.<id>`.
        name: as the module file states it.
        file: the module file, relative to the dataflow's folder.
        inputs: what feeds its ports, by port; ports that are not wired are absent.
        outputs: which node of the module sends each output; what others read.
    """

    id: str
    name: str
    file: str
    inputs: dict[str, Source] = _NONE
    outputs: dict[str, OutputSource] = _NONE


class Dataflow(NamedTuple):
    """A checked dataflow file.

    Attributes:
        path: the file, absolute.
        file: the file as the user named it, for messages.
        working_dir: its folder; relative paths and the nodes' working directory start here.
        nodes: in file order, timer nodes rewritten away.
        modules: the uses of module files, outer before inner; their nodes are in `nodes`.
        files: the file and all module files, absolute.
        timer_nodes: ids of the nodes that were timers, with their canonical timer.
        warnings: one line each, `file:line:column: text`.
        type_warnings: those of them that are about types.
        inferred_types: for inputs (`<node>/<input>`) that state no type, that of the output they read.
        user_types: full names of the types that the files below `types/` define; empty if no port states a type.
        raw: what `node.dataflow_descriptor()` returns: the YAML with defaults filled in.
        unplugged: inputs that nothing feeds since the running graph was changed, as `<node>/<input>`.
    """

    path: Path
    working_dir: Path
    nodes: tuple[Node, ...]
    env: dict[str, str] = _NONE
    modules: tuple[Module, ...] = ()
    files: tuple[Path, ...] = ()
    timer_nodes: dict[str, str] = _NONE
    exit_when_nodes_finish: bool = False
    strict_types: bool = False
    type_rules: tuple[tuple[str, str], ...] = ()
    deploy: Deploy | None = None
    file: str = ""
    warnings: tuple[str, ...] = ()
    type_warnings: tuple[str, ...] = ()
    inferred_types: dict[str, str] = _NONE
    user_types: tuple[str, ...] = ()
    raw: dict[str, Any] = _NONE
    unplugged: dict[str, Input] = _NONE
