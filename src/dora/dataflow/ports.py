"""Reads the inputs, outputs and log settings that a node or an operator states."""

from __future__ import annotations

from dataclasses import dataclass

from dora.dataflow.descriptor import DEFAULT_QUEUE_SIZE, DROP_OLDEST, Input, LogSettings, Source
from dora.dataflow.document import YamlMap, YamlScalar, YamlValue
from dora.dataflow.fields import Fields, Stated, read_fields, read_text, unexpected
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.scalars import is_null
from dora.dataflow.schema import INPUT_FIELDS
from dora.dataflow.sources import read_source
from dora.ids import data_id_fault


@dataclass
class InputDraft:
    """One input as the file states it.

    Attributes:
        subject: how messages name it.
        timer_output: the output of a timer node that it reads, as `<node>/<output>`; `source` is then that timer.
    """

    id: str
    at: Place
    subject: str
    source: Source | None
    source_at: Place
    fields: Fields
    timer_output: str = ""


def read_outputs(fields: Fields, subject: str, report: Report) -> dict[str, Place]:
    """The outputs, with what `send_stdout_as` and `send_logs_as` name."""
    found: dict[str, Place] = {}
    for output, at in fields.get("outputs", []):
        if output in found:
            report.warn(at, f"{subject}: output {shown(output)} is listed twice")
        found.setdefault(output, at)
    for key in ("send_stdout_as", "send_logs_as"):
        if key in fields.stated:
            found.setdefault(fields.get(key), fields.value_at(key))
    return found


def read_inputs(fields: Fields, subject: str, report: Report) -> dict[str, InputDraft]:
    """The inputs, by their ids."""
    value = fields.get("inputs")
    if value is None:
        return {}
    if not isinstance(value, YamlMap):
        hint = "write each as `input_id: node/output`"
        unexpected(value, f"{subject}: 'inputs'", "a mapping from input id to source", report, hint)
        return {}
    found: dict[str, InputDraft] = {}
    for key, (key_at, entry) in value.entries.items():
        input_subject = f"{subject}: input {shown(key)}"
        fault = data_id_fault(key)
        if fault is not None:
            report.error(key_at, f"{input_subject} cannot be an input id: {fault}")
        found[key] = _read_input(key, key_at, entry, input_subject, report)
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
    return InputDraft(key, key_at, subject, source, at, fields)


def finish_inputs(drafts: dict[str, InputDraft]) -> dict[str, Input]:
    """The checked inputs, by the keys of `drafts`."""
    return {key: _finish_input(key, draft, draft.source) for key, draft in drafts.items() if draft.source is not None}


def _finish_input(name: str, draft: InputDraft, source: Source) -> Input:
    get = draft.fields.get
    return Input(
        id=name,
        source=source,
        queue_size=max(1, get("queue_size", DEFAULT_QUEUE_SIZE)),
        queue_policy=get("queue_policy", DROP_OLDEST),
        is_stated="queue_size" in draft.fields.stated or "queue_policy" in draft.fields.stated,
        input_timeout_s=get("input_timeout"),
    )


def log_settings(fields: Fields) -> LogSettings:
    """What the file says about the lines that are printed."""
    return LogSettings(
        send_stdout_as=fields.get("send_stdout_as"),
        send_logs_as=fields.get("send_logs_as"),
        min_log_level=fields.get("min_log_level"),
        max_log_size_bytes=fields.get("max_log_size"),
        max_rotated_files=fields.get("max_rotated_files", 5),
    )
