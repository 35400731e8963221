"""Reads one node of a dataflow file, and later makes the checked `Node` of it.

Strategy: `read_node` turns YAML into a `NodeDraft`, which keeps the places of everything for the checks
that need the whole file (`check.py`); when those have passed, `finish_node` makes the frozen `Node`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dora.dataflow.descriptor import (
    Deploy,
    GitSource,
    Interpreter,
    Node,
    OutputSource,
    RestartPolicy,
    TimerSource,
)
from dora.dataflow.document import YamlList, YamlMap, YamlScalar, YamlValue
from dora.dataflow.environment import read_env
from dora.dataflow.fields import Fields, Stated, items_of, plain_map, read_fields, unexpected
from dora.dataflow.legacy import modernise_node
from dora.dataflow.operators import (
    OperatorDraft,
    build_of,
    finish_operator,
    log_fields,
    port_fields,
    read_operators,
)
from dora.dataflow.ports import InputDraft, finish_inputs, log_settings, read_inputs, read_outputs
from dora.dataflow.programs import SHELL, Program, expand_path, split_args
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.scalars import Plain, is_null
from dora.dataflow.schema import INTERPRETER_KEYS, KIND_KEYS, NODE_FIELDS, OPERATOR_KEYS
from dora.dataflow.timers import is_timer, parse_timer
from dora.ids import node_id_fault

MAX_NODES: Final = 10_000

STANDARD: Final = "standard"
RUNTIME: Final = "runtime"
TIMER: Final = "timer"
MODULE: Final = "module"
ROS2: Final = "ros2"
HUB: Final = "hub"
UNKNOWN: Final = "unknown"
"""A node with an error in what it is, nothing else is said about it."""


@dataclass
class NodeDraft:
    """One node as the file states it.

    Attributes:
        subject: how messages name it.
        inputs, outputs: by id; those of operators as `<operator>/<name>`.
        env: the node's own variables.
        timer: what a timer node is made of; None for others and for a timer that is wrong.
        operators: what a runtime node hosts.
        params: of a node that uses a module; those of the modules around it come first.
    """

    id: str
    at: Place
    subject: str
    kind: str
    fields: Fields
    inputs: dict[str, InputDraft] = field(default_factory=dict)
    outputs: dict[str, Place] = field(default_factory=dict)
    env: dict[str, Plain] = field(default_factory=dict)
    timer: TimerSource | None = None
    operators: list[OperatorDraft] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The `path` of the file."""
        return str(self.fields.get("path", ""))


def read_nodes(root: YamlMap, environ: Mapping[str, str], report: Report) -> list[NodeDraft]:
    """The drafts of the `nodes` of a file."""
    entry = root.entries.get("nodes")
    if entry is None or is_null(entry.value):
        return []
    if not isinstance(entry.value, YamlList):
        unexpected(entry.value, "'nodes'", "a list of nodes", report, "start each node with `- id: <name>`")
        return []
    if not entry.value.items:
        report.warn(entry.place, "the dataflow has no nodes")
    if len(entry.value.items) > MAX_NODES:
        raise report.fatal(entry.value.place, f"more than {MAX_NODES} nodes")
    found = [read_node(value, index, environ, report) for index, value in enumerate(entry.value.items)]
    return [draft for draft in found if draft is not None]


def read_node(value: YamlValue, index: int, environ: Mapping[str, str], report: Report) -> NodeDraft | None:
    """Read one entry of `nodes`; None if it is not even a mapping."""
    if not isinstance(value, YamlMap):
        unexpected(value, f"nodes[{index}]", "a mapping with id and path", report)
        return None
    subject = _subject(value, index)
    modernise_node(value, subject, report)
    fields = read_fields(value, NODE_FIELDS, subject, report)
    draft = NodeDraft(fields.get("id", ""), value.place, subject, _kind(value, fields, subject, report), fields)
    _check_id(draft, report)
    if draft.kind == UNKNOWN:
        return draft
    if "env" in fields.stated:
        draft.env = read_env(fields.get("env"), f"{subject}: ", environ, report)
    if draft.kind == RUNTIME:
        _read_operators(draft, report)
        return draft
    draft.inputs = read_inputs(fields, subject, report)
    if draft.kind == MODULE:
        draft.params = plain_map(fields.get("params"))
        return draft
    draft.outputs = read_outputs(fields, subject, report)
    if draft.kind == TIMER:
        _read_timer(draft, report)
    return draft


def programs_of(drafts: Iterable[NodeDraft], environ: Mapping[str, str]) -> Iterator[Program]:
    """What they are started from, as far as the file can be read; nodes that are built or cloned are left out."""
    for draft in drafts:
        if "git" in draft.fields.stated or draft.fields.get("build") or build_of(draft.operators):
            continue
        if draft.kind == STANDARD and draft.path.strip() and not draft.path.startswith("dora/"):
            yield Program(draft.subject, expand_path(draft.path, environ), draft.fields.value_at("path"))
        for operator in draft.operators:
            if operator.source:
                subject = f"{draft.subject}: operator {shown(operator.id)}"
                yield Program(subject, expand_path(operator.source, environ), operator.source_at, is_operator=True)


def finish_node(draft: NodeDraft, env: dict[str, str], environ: Mapping[str, str]) -> Node:
    """The checked node; `env` is the environment that all nodes inherit, its own comes on top."""
    get = draft.fields.get
    node = Node(
        id=draft.id,
        path="",
        env=env,
        restart=_restart_policy(draft.fields),
        health_check_timeout_s=get("health_check_timeout"),
        startup_timeout_s=get("startup_timeout"),
        finish_grace_s=get("finish_grace_secs"),
        cpu_affinity=items_of(get("cpu_affinity")),
        name=get("name"),
        description=get("description"),
        deploy=finish_deploy(get("deploy")),
        interpreter=_interpreter(draft.fields, environ),
        line=draft.at.line,
        column=draft.at.column,
        file=draft.at.file,
    )
    return _finish_runtime(node, draft, environ) if draft.kind == RUNTIME else _finish_standard(node, draft, environ)


def _finish_standard(node: Node, draft: NodeDraft, environ: Mapping[str, str]) -> Node:
    get = draft.fields.get
    path_at = draft.fields.value_at("path")
    args = split_args(get("args", ""))
    return node._replace(
        path=expand_path(draft.path, environ),
        args=(get("args", ""),) if draft.path == SHELL else tuple(args),
        build=get("build"),
        inputs=finish_inputs(draft.inputs),
        outputs=tuple(draft.outputs),
        output_types=plain_map(get("output_types")),
        input_types=plain_map(get("input_types")),
        log=log_settings(draft.fields),
        path_sha256=get("path_sha256"),
        git=_git_source(draft.fields),
        output_framing=plain_map(get("output_framing")),
        output_metadata=_metadata_keys(get("output_metadata")),
        pattern=get("pattern"),
        path_line=path_at.line,
        path_column=path_at.column,
    )


def _finish_runtime(node: Node, draft: NodeDraft, environ: Mapping[str, str]) -> Node:
    drafts = draft.operators
    log = log_settings(log_fields(drafts))
    printed = (log.send_stdout_as, log.send_logs_as)  # these go through the runner
    inner = [OutputSource(draft.id, output) for output in draft.outputs if output not in printed]
    return node._replace(
        build=build_of(drafts),
        inputs=finish_inputs({name: entry for name, entry in draft.inputs.items() if entry.source not in inner}),
        outputs=tuple(draft.outputs),
        output_types=plain_map(port_fields(drafts, "output_types")),
        input_types=plain_map(port_fields(drafts, "input_types")),
        log=log,
        output_framing=plain_map(port_fields(drafts, "output_framing")),
        output_metadata=_metadata_keys(port_fields(drafts, "output_metadata")),
        operators=tuple(finish_operator(operator, environ) for operator in drafts),
        is_single_operator="operator" in draft.fields.stated,
        conda_env=next((operator.conda_env for operator in drafts if operator.conda_env), None),
    )


def finish_deploy(fields: Fields | None) -> Deploy | None:
    """The `deploy` mapping of a node or of the root."""
    if fields is None:
        return None
    return Deploy(
        machine=fields.get("machine"),
        labels=plain_map(fields.get("labels")),
        working_dir=fields.get("working_dir"),
        distribute=fields.get("distribute", "local"),
    )


def _git_source(fields: Fields) -> GitSource | None:
    get = fields.get
    return GitSource(get("git"), get("branch"), get("tag"), get("rev")) if "git" in fields.stated else None


def _interpreter(fields: Fields, environ: Mapping[str, str]) -> Interpreter | None:
    for kind in INTERPRETER_KEYS:
        if kind in fields.stated:
            at = fields.value_at(kind)
            return Interpreter(kind, expand_path(fields.get(kind), environ), at.line, at.column)
    return None


def _subject(value: YamlMap, index: int) -> str:
    entry = value.entries.get("id")
    if entry is not None and isinstance(entry.value, YamlScalar) and not is_null(entry.value):
        return f"node {shown(entry.value.text)}"
    return f"nodes[{index}]"


def _check_id(draft: NodeDraft, report: Report) -> None:
    fault = node_id_fault(draft.id) if "id" in draft.fields.stated else None
    if fault is not None:
        at = draft.fields.value_at("id")
        close = re.sub(r"[^A-Za-z0-9_.-]+", "-", draft.id).strip("-.")
        hint = f"did you mean '{close}'?" if close != draft.id and not node_id_fault(close) else ""
        report.error(at, f"{draft.subject}: {shown(draft.id)} cannot be a node id: {fault}", hint)


def _kind(value: YamlMap, fields: Fields, subject: str, report: Report) -> str:
    """What the node is; says so if that is unclear or not built yet."""
    stated = [key for key in KIND_KEYS if key in value.entries and not is_null(value.entries[key].value)]
    if len(stated) > 1:
        at = value.entries[stated[1]].place
        text = f"{subject}: expected one of {', '.join(KIND_KEYS)}, found {' and '.join(stated)}"
        report.error(at, text, "remove all but one")
    elif not stated:
        report.error(
            value.place, f"{subject}: expected one of {', '.join(KIND_KEYS)}, found none", "add `path: <script>`"
        )
    elif is_timer(fields.get("path", "")):
        return TIMER
    elif "path" in fields.stated:
        return STANDARD
    elif stated[0] in OPERATOR_KEYS:
        return RUNTIME
    elif stated[0] in fields.stated:
        return stated[0]
    return UNKNOWN


def _read_operators(draft: NodeDraft, report: Report) -> None:
    draft.operators = read_operators(draft.fields, draft.subject, report)
    if not draft.operators:
        draft.kind = UNKNOWN
    for operator in draft.operators:
        draft.inputs |= {f"{operator.id}/{name}": entry for name, entry in operator.inputs.items()}
        draft.outputs |= {f"{operator.id}/{name}": at for name, at in operator.outputs.items()}


def _read_timer(draft: NodeDraft, report: Report) -> None:
    timer = parse_timer(draft.path)
    if isinstance(timer, str):
        report.error(draft.fields.value_at("path"), f"{draft.subject}: {timer}")
    else:
        draft.timer = timer


def _restart_policy(fields: Fields) -> RestartPolicy:
    return RestartPolicy(
        when=fields.get("restart_policy", "never"),
        max_restarts=fields.get("max_restarts", 0),
        delay_s=fields.get("restart_delay"),
        max_delay_s=fields.get("max_restart_delay"),
        window_s=fields.get("restart_window"),
    )


def _metadata_keys(found: dict[str, Stated] | None) -> dict[str, tuple[str, ...]]:
    return {key: items_of(entry.value) or () for key, entry in (found or {}).items()}
