"""Reads the operators of a runtime node, and later makes the checked `Operator`s of them (dora dataflow-yaml, 9).

Strategy: `operator:` is a list of one whose id may be left out.  An operator is read by its own table to an
`OperatorDraft`; the node then carries all their inputs and outputs under `<operator>/<name>`, so the checks of wiring
and timers see one kind of node.  Where there is one `operator:`, consumers may leave its id out (`node/output`);
`operator_checks.py` puts it in before anything else is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dora.dataflow.descriptor import Operator
from dora.dataflow.document import YamlList, YamlMap, YamlScalar, YamlValue
from dora.dataflow.fields import Fields, Stated, read_fields, read_text, unexpected
from dora.dataflow.ports import InputDraft, finish_inputs, read_inputs, read_outputs
from dora.dataflow.programs import expand_path
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.scalars import is_null
from dora.dataflow.schema import OPERATOR_FIELDS, OPERATOR_SOURCE_KEYS, PYTHON_SOURCE_FIELDS
from dora.ids import data_id_fault

SINGLE_ID: Final = "op"
"""The id of one `operator:` that states none."""

LOG_KEYS: Final = ("send_stdout_as", "send_logs_as", "min_log_level", "max_log_size", "max_rotated_files")
"""All operators of a node print to the same place, so only one of them may say what becomes of it."""


@dataclass
class OperatorDraft:
    """One operator as the file states it.

    Attributes:
        subject: how messages name it.
        source: the Python file; empty after a report.
    """

    id: str
    at: Place
    subject: str
    fields: Fields
    source: str
    source_at: Place
    conda_env: str | None = None
    inputs: dict[str, InputDraft] = field(default_factory=dict)
    outputs: dict[str, Place] = field(default_factory=dict)


def read_operators(node: Fields, subject: str, report: Report) -> list[OperatorDraft]:
    """The operators of a node that has the key `operator` or `operators`.

    Args:
        subject: how messages name the node.
    """
    if "operator" in node.stated:
        value = node.get("operator")
        draft = _read_operator(value, f"{subject}: 'operator'", subject, SINGLE_ID, report)
        drafts = [] if draft is None else [draft]
    else:
        drafts = _read_list(node.get("operators"), subject, report)
    _adopt_ports(node, drafts, subject, report)
    for draft in drafts:
        draft.outputs = read_outputs(draft.fields, draft.subject, report)
        draft.inputs = read_inputs(draft.fields, draft.subject, report)
        if not draft.inputs:
            text = f"{draft.subject}: without inputs it is only called to stop"
            report.warn(draft.at, text, "add `inputs: {tick: dora/timer/millis/100}`")
    return drafts


def log_fields(drafts: list[OperatorDraft]) -> Fields:
    """What the operators together say about the node's lines, with outputs under their full names."""
    found = Fields(drafts[0].at if drafts else Place(1, 1))
    for draft in drafts:
        for key in LOG_KEYS:
            stated = draft.fields.stated.get(key)
            if stated is not None:
                is_output = key in ("send_stdout_as", "send_logs_as")
                found.stated[key] = stated._replace(value=f"{draft.id}/{stated.value}") if is_output else stated
    return found


def port_fields(drafts: list[OperatorDraft], key: str) -> dict[str, Stated]:
    """A mapping by input or output (such as `output_types`) of all operators, by full names."""
    return {f"{draft.id}/{name}": stated for draft in drafts for name, stated in draft.fields.get(key, {}).items()}


def finish_operator(draft: OperatorDraft, environ: Mapping[str, str]) -> Operator:
    """The checked operator."""
    return Operator(
        id=draft.id,
        source=expand_path(draft.source, environ),
        inputs=finish_inputs(draft.inputs),
        outputs=tuple(draft.outputs),
        name=draft.fields.get("name"),
        description=draft.fields.get("description"),
        pattern=draft.fields.get("pattern"),
        source_line=draft.source_at.line,
        source_column=draft.source_at.column,
    )


def build_of(drafts: list[OperatorDraft]) -> str | None:
    """The builds of all operators, in their order, as one script."""
    builds = [draft.fields.get("build") for draft in drafts]
    return "\n".join(build for build in dict.fromkeys(builds) if build) or None


def _read_list(value: YamlValue, subject: str, report: Report) -> list[OperatorDraft]:
    if not isinstance(value, YamlList):
        hint = "start each operator with `- id: <name>`"
        unexpected(value, f"{subject}: 'operators'", "a list of operators", report, hint)
        return []
    if not value.items:
        report.error(value.place, f"{subject}: expected at least one operator in 'operators', found none")
    drafts: list[OperatorDraft] = []
    for index, entry in enumerate(value.items):
        draft = _read_operator(entry, f"{subject}: operators[{index}]", subject, "", report)
        if draft is None:
            continue
        if draft.id and any(draft.id == other.id for other in drafts):
            text = f"{subject}: operator id {shown(draft.id)} is used twice"
            report.error(draft.fields.value_at("id"), text, "rename one")
            continue
        drafts.append(draft)
    return drafts


def _read_operator(
    value: YamlValue, unnamed: str, node_subject: str, default_id: str, report: Report
) -> OperatorDraft | None:
    if not isinstance(value, YamlMap):
        unexpected(value, unnamed, "a mapping with python, inputs and outputs", report)
        return None
    name = _id_text(value)
    subject = unnamed if name is None else f"{node_subject}: operator {shown(name)}"
    fields = read_fields(value, OPERATOR_FIELDS, subject, report)
    draft = OperatorDraft(fields.get("id", default_id), value.place, subject, fields, "", value.place)
    if name is None and not default_id:
        report.error(value.place, f"{subject}: expected a text as 'id', found none", "add `id: <name>`")
    elif "id" in fields.stated:
        fault = "'/' is not allowed" if "/" in draft.id else data_id_fault(draft.id)
        if fault is not None:
            text = f"{subject}: {shown(draft.id)} cannot be an operator id: {fault}"
            report.error(fields.value_at("id"), text)
    _read_source(draft, report)
    return draft


def _id_text(value: YamlMap) -> str | None:
    entry = value.entries.get("id")
    if entry is None or not isinstance(entry.value, YamlScalar) or is_null(entry.value):
        return None
    return entry.value.text


def _read_source(draft: OperatorDraft, report: Report) -> None:
    stated = [key for key in OPERATOR_SOURCE_KEYS if key in draft.fields.stated]
    if len(stated) > 1:
        at = draft.fields.key_at(stated[1])
        expected = f"{draft.subject}: expected one of {', '.join(OPERATOR_SOURCE_KEYS)}"
        report.error(at, f"{expected}, found {' and '.join(stated)}", "remove one")
    elif not stated:
        text = f"{draft.subject}: expected a Python file as 'python', found none"
        report.error(draft.at, text, "add `python: <file>.py`")
    elif stated[0] != "python":
        text = f"{draft.subject}: '{stated[0]}' cannot run here: operators are written in Python"
        hint = "write `python: <file>.py`, or make it a node of its own (`path:`)"
        report.error(draft.fields.key_at(stated[0]), text, hint)
    else:
        _read_python(draft, draft.fields.get("python"), report)


def _read_python(draft: OperatorDraft, value: YamlValue, report: Report) -> None:
    subject = f"{draft.subject}: 'python'"
    draft.source_at = value.place
    if isinstance(value, YamlScalar):
        draft.source = read_text(value, subject, report) or ""
    elif isinstance(value, YamlMap):
        fields = read_fields(value, PYTHON_SOURCE_FIELDS, subject, report)
        draft.source = fields.get("source", "")
        draft.source_at = fields.value_at("source")
        draft.conda_env = fields.get("conda_env")
        if "source" not in fields.stated:
            return
    else:
        unexpected(value, subject, "a Python file, or a mapping with source and conda_env", report)
        return
    if not draft.source.strip():
        report.error(draft.source_at, f"{subject}: expected a Python file, found an empty text")


def _adopt_ports(node: Fields, drafts: list[OperatorDraft], subject: str, report: Report) -> None:
    """`inputs` and `outputs` that stand beside the only operator of a node are its own."""
    for key in ("inputs", "outputs"):
        beside = node.stated.get(key)
        if beside is None:
            continue
        if len(drafts) != 1:
            text = f"{subject}: '{key}' cannot be on a node with 'operators'"
            report.error(beside.key_at, text, "move it into the operator that it belongs to")
            continue
        text = f"{subject}: '{key}' beside the operator is read as the operator's"
        report.warn(beside.key_at, text, "move it into the operator")
        fields = drafts[0].fields
        own = fields.stated.get(key)
        if own is None:
            fields.stated[key] = beside
        elif key == "outputs":
            listed = {name for name, _ in own.value}
            more = [(name, at) for name, at in beside.value if name not in listed]
            fields.stated[key] = own._replace(value=[*own.value, *more])
        else:
            fields.stated[key] = own._replace(value=_joined_inputs(own.value, beside.value, subject, report))


def _joined_inputs(own: YamlValue, beside: YamlValue, subject: str, report: Report) -> YamlValue:
    if not isinstance(own, YamlMap) or not isinstance(beside, YamlMap):
        return own if isinstance(beside, YamlMap) else beside
    for key, entry in beside.entries.items():
        if key in own.entries:
            text = f"{subject}: input {shown(key)} is stated both in the operator and beside it"
            report.error(entry.place, text, "remove one")
    return YamlMap(own.place, {**beside.entries, **own.entries})
