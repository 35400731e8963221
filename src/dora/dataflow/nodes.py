"""Reads one node of a dataflow file, and later makes the checked `Node` of it.

Strategy: `read_node` turns YAML into a `NodeDraft`, which keeps the places of everything for the checks
that need the whole file (`check.py`); when those have passed, `finish_node` makes the frozen `Node`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dora.dataflow.descriptor import (
    DEFAULT_QUEUE_SIZE,
    DROP_OLDEST,
    Deploy,
    Input,
    LogSettings,
    Node,
    RestartPolicy,
    Source,
    TimerSource,
)
from dora.dataflow.document import YamlMap, YamlScalar, YamlValue
from dora.dataflow.environment import read_env
from dora.dataflow.fields import Fields, Stated, read_fields, read_text, unexpected
from dora.dataflow.legacy import modernise_node
from dora.dataflow.programs import SHELL, expand_path, split_args
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.scalars import Plain, is_null
from dora.dataflow.schema import INPUT_FIELDS, KIND_KEYS, LATER_KEYS, NODE_FIELDS
from dora.dataflow.sources import read_source
from dora.dataflow.timers import is_timer, parse_timer
from dora.ids import data_id_fault, node_id_fault

STANDARD: Final = "standard"
TIMER: Final = "timer"
UNKNOWN: Final = "unknown"
"""A node with an error in what it is, or of a kind that is not built yet: nothing else is said about it."""


@dataclass
class InputDraft:
    """One input as the file states it."""

    id: str
    at: Place
    source: Source | None
    source_at: Place
    fields: Fields


@dataclass
class NodeDraft:
    """One node as the file states it.

    Attributes:
        subject: how messages name it.
        env: the node's own variables.
        timer: what a timer node is made of; None for others and for a timer that is wrong.
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

    @property
    def path(self) -> str:
        """The `path` of the file."""
        return str(self.fields.get("path", ""))


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
    draft.outputs = _read_outputs(draft, report)
    draft.inputs = _read_inputs(draft, report)
    if draft.kind == TIMER:
        _read_timer(draft, report)
    return draft


def finish_node(draft: NodeDraft, env: dict[str, str], environ: Mapping[str, str]) -> Node:
    """The checked node; `env` is the environment that all nodes inherit, its own comes on top."""
    get = draft.fields.get
    path_at = draft.fields.value_at("path")
    args = split_args(get("args", ""))
    return Node(
        id=draft.id,
        path=expand_path(draft.path, environ),
        args=(get("args", ""),) if draft.path == SHELL else tuple(args),
        env=env,
        build=get("build"),
        inputs={entry.id: _finish_input(entry) for entry in draft.inputs.values() if entry.source is not None},
        outputs=tuple(draft.outputs),
        output_types=_plain_map(get("output_types")),
        input_types=_plain_map(get("input_types")),
        log=_log_settings(draft.fields),
        restart=_restart_policy(draft.fields),
        health_check_timeout_s=get("health_check_timeout"),
        startup_timeout_s=get("startup_timeout"),
        finish_grace_s=get("finish_grace_secs"),
        cpu_affinity=_items(get("cpu_affinity")),
        name=get("name"),
        description=get("description"),
        path_sha256=get("path_sha256"),
        output_framing=_plain_map(get("output_framing")),
        output_metadata={key: _items(entry.value) or () for key, entry in get("output_metadata", {}).items()},
        pattern=get("pattern"),
        deploy=finish_deploy(get("deploy")),
        line=draft.at.line,
        column=draft.at.column,
        path_line=path_at.line,
        path_column=path_at.column,
    )


def finish_deploy(fields: Fields | None) -> Deploy | None:
    """The `deploy` mapping of a node or of the root."""
    if fields is None:
        return None
    return Deploy(
        machine=fields.get("machine"),
        labels=_plain_map(fields.get("labels")),
        working_dir=fields.get("working_dir"),
        distribute=fields.get("distribute", "local"),
    )


def _subject(value: YamlMap, index: int) -> str:
    entry = value.entries.get("id")
    if entry is not None and isinstance(entry.value, YamlScalar) and not is_null(entry.value):
        return f"node {shown(entry.value.text)}"
    return f"nodes[{index}]"


def _check_id(draft: NodeDraft, report: Report) -> None:
    fault = node_id_fault(draft.id) if "id" in draft.fields.stated else None
    if fault is not None:
        at = draft.fields.value_at("id")
        report.error(at, f"{draft.subject}: {shown(draft.id)} cannot be a node id: {fault}")


def _kind(value: YamlMap, fields: Fields, subject: str, report: Report) -> str:
    """What the node is; says so if that is unclear or not built yet."""
    stated = [key for key in KIND_KEYS if key in value.entries and not is_null(value.entries[key].value)]
    later = [key for key in LATER_KEYS if key in fields.stated]
    if len(stated) > 1:
        at = value.entries[stated[1]].place
        report.error(at, f"{subject}: expected one of {', '.join(KIND_KEYS)}, found {' and '.join(stated)}")
    elif later:
        report.error(fields.key_at(later[0]), f"{subject}: '{later[0]}' is not supported yet")
    elif not stated:
        report.error(
            value.place, f"{subject}: expected one of {', '.join(KIND_KEYS)}, found none", "add `path: <script>`"
        )
    elif is_timer(fields.get("path", "")):
        return TIMER
    elif "path" in fields.stated:
        return STANDARD
    return UNKNOWN


def _read_timer(draft: NodeDraft, report: Report) -> None:
    timer = parse_timer(draft.path)
    if isinstance(timer, str):
        report.error(draft.fields.value_at("path"), f"{draft.subject}: {timer}")
    else:
        draft.timer = timer


def _read_outputs(draft: NodeDraft, report: Report) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for output, at in draft.fields.get("outputs", []):
        if output in found:
            report.warn(at, f"{draft.subject}: output {shown(output)} is listed twice")
        found.setdefault(output, at)
    for key in ("send_stdout_as", "send_logs_as"):
        if key in draft.fields.stated:
            found.setdefault(draft.fields.get(key), draft.fields.value_at(key))
    return found


def _read_inputs(draft: NodeDraft, report: Report) -> dict[str, InputDraft]:
    value = draft.fields.get("inputs")
    if value is None:
        return {}
    if not isinstance(value, YamlMap):
        hint = "write each as `input_id: node/output`"
        unexpected(value, f"{draft.subject}: 'inputs'", "a mapping from input id to source", report, hint)
        return {}
    found: dict[str, InputDraft] = {}
    for key, (key_at, entry) in value.entries.items():
        subject = f"{draft.subject}: input {shown(key)}"
        fault = data_id_fault(key)
        if fault is not None:
            report.error(key_at, f"{subject} cannot be an input id: {fault}")
        found[key] = _read_input(key, key_at, entry, subject, report)
    return found


def _read_input(key: str, key_at: Place, value: YamlValue, subject: str, report: Report) -> InputDraft:
    if isinstance(value, YamlMap):
        fields = read_fields(value, INPUT_FIELDS, subject, report)
    else:
        fields = Fields(value.place)
        if isinstance(value, YamlScalar) and not is_null(value):
            text = read_text(value, subject, report)
            if text is not None:
                fields.stated["source"] = Stated(text, key_at, value.place)
        else:
            unexpected(value, subject, "<node>/<output> or a mapping with 'source'", report)
    at = fields.value_at("source")
    text = fields.get("source")
    source = read_source(text, at, subject, report) if text is not None else None
    return InputDraft(key, key_at, source, at, fields)


def _finish_input(draft: InputDraft) -> Input:
    assert draft.source is not None
    get = draft.fields.get
    return Input(
        id=draft.id,
        source=draft.source,
        queue_size=max(1, get("queue_size", DEFAULT_QUEUE_SIZE)),
        queue_policy=get("queue_policy", DROP_OLDEST),
        is_stated="queue_size" in draft.fields.stated or "queue_policy" in draft.fields.stated,
        input_timeout_s=get("input_timeout"),
    )


def _log_settings(fields: Fields) -> LogSettings:
    return LogSettings(
        send_stdout_as=fields.get("send_stdout_as"),
        send_logs_as=fields.get("send_logs_as"),
        min_log_level=fields.get("min_log_level"),
        max_log_size_bytes=fields.get("max_log_size"),
        max_rotated_files=fields.get("max_rotated_files", 5),
    )


def _restart_policy(fields: Fields) -> RestartPolicy:
    return RestartPolicy(
        when=fields.get("restart_policy", "never"),
        max_restarts=fields.get("max_restarts", 0),
        delay_s=fields.get("restart_delay"),
        max_delay_s=fields.get("max_restart_delay"),
        window_s=fields.get("restart_window"),
    )


def _plain_map(found: dict[str, Stated] | None) -> dict[str, Any]:
    return {key: entry.value for key, entry in (found or {}).items()}


def _items(found: list[tuple[Any, Place]] | None) -> tuple[Any, ...] | None:
    return None if found is None else tuple(item for item, _ in found)
