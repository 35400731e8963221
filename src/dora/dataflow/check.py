"""Checks that need the whole file: who is wired to whom, and what fits together on one node.

Strategy: one function per rule, all of them run over all drafts, each reports and goes on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from dora.dataflow.descriptor import BACKPRESSURE, DROP_OLDEST, LogsSource, OutputSource, TimerSource
from dora.dataflow.nodes import HUB, ROS2, RUNTIME, STANDARD, TIMER, UNKNOWN, NodeDraft
from dora.dataflow.operator_checks import check_operators, report_missing_operator_output, resolve_short_outputs
from dora.dataflow.operators import OperatorDraft, log_fields
from dora.dataflow.ports import InputDraft
from dora.dataflow.programs import DYNAMIC, SHELL, is_url, split_args
from dora.dataflow.report import Report, shown
from dora.dataflow.source_checks import check_bridge, check_git, check_hub, check_interpreter
from dora.dataflow.sources import EXPECTED

ById = Mapping[str, Sequence[NodeDraft]]
"""Drafts by node id; more than one where an id is used twice."""

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")

_NOT_ON_TIMER: Final = (
    "inputs", "args", "build", "git", "path_sha256", "python", "venv", "conda", "restart_policy", "max_restarts",
    "restart_delay", "max_restart_delay", "restart_window", "health_check_timeout", "startup_timeout",
    "finish_grace_secs", "cpu_affinity", "send_stdout_as", "send_logs_as",
)  # fmt: skip
_NOT_ON_DYNAMIC: Final = (
    "args", "build", "env", "deploy", "restart_policy", "max_restarts", "restart_delay", "max_restart_delay",
    "restart_window", "cpu_affinity", "python", "venv", "conda",
)  # fmt: skip
_RESTART_DETAILS: Final = ("max_restarts", "restart_delay", "max_restart_delay", "restart_window")


def check_nodes(drafts: list[NodeDraft], report: Report) -> None:
    """Everything about single nodes, and that their ids are unique."""
    _check_unique(drafts, report)
    for draft in drafts:
        if draft.kind != UNKNOWN:
            for rule in _RULES[draft.kind]:
                rule(draft, report)


def check_wiring(drafts: list[NodeDraft], report: Report, others: Iterable[InputDraft] = ()) -> None:
    """Every input has a source that exists; the short names of operators' outputs are completed first.

    Args:
        others: inputs to check that are not of any node.
    """
    resolve_short_outputs(drafts)
    by_id: dict[str, list[NodeDraft]] = {}
    for draft in drafts:
        by_id.setdefault(draft.id, []).append(draft)
    for entry in itertools.chain(others, *(draft.inputs.values() for draft in drafts)):
        if isinstance(entry.source, OutputSource):
            _check_output(entry, entry.source, by_id, report)
        elif isinstance(entry.source, LogsSource):
            _check_logs(entry, entry.source, by_id, report)


def rewrite_timers(drafts: list[NodeDraft]) -> None:
    """Turn inputs that read a timer node into inputs of that timer (dora dataflow-yaml, section 7.2)."""
    timers = {draft.id: draft for draft in drafts if draft.timer is not None}
    for draft in drafts:
        for entry in draft.inputs.values():
            if isinstance(entry.source, OutputSource) and entry.source.node in timers:
                timer = timers[entry.source.node]
                if entry.source.output in timer.outputs:
                    entry.timer_output = f"{entry.source.node}/{entry.source.output}"
                    entry.source = timer.timer


def _check_unique(drafts: list[NodeDraft], report: Report) -> None:
    first: dict[str, NodeDraft] = {}
    for draft in drafts:
        if not draft.id:
            continue
        other = first.setdefault(draft.id, draft)
        if other is not draft:
            where = f"first one in line {other.at.line}"
            report.error(
                draft.fields.value_at("id"), f"node id {shown(draft.id)} is used twice ({where})", "rename one"
            )


def _check_output(entry: InputDraft, source: OutputSource, by_id: ById, report: Report) -> None:
    senders = by_id.get(source.node)
    if not source.output:
        _report_half_a_source(entry, source.node, by_id, report)
    elif senders is None:
        text = f"{entry.subject}: there is no node {shown(source.node)}"
        is_built_in = source.output.startswith(("timer/", "logs/"))
        hint = (
            f"did you mean 'dora/{source.output}'?" if is_built_in else report.suggest(source.node, by_id, name="nodes")
        )
        report.error(entry.source_at, text, hint)
    elif all(_is_without(sender, source.output) for sender in senders):
        _report_missing_output(entry, source, senders[0], report)
    elif source.output in printed_outputs(senders[0]):
        _never_wait(entry, "a node does not wait to print", report)


def _report_half_a_source(entry: InputDraft, text: str, by_id: ById, report: Report) -> None:
    """The input names a node, or something else, without an output."""
    outputs = [f"{text}/{output}" for sender in by_id.get(text, ()) for output in sender.outputs]
    node, _, output = text.rpartition(".")
    if any(output in sender.outputs for sender in by_id.get(node, ())):
        outputs = [f"{node}/{output}"]
    hint = f"did you mean '{outputs[0]}'?" if len(outputs) == 1 else report.suggest("", outputs, name="there is")
    report.error(entry.source_at, f"{entry.subject}: {EXPECTED}, found {shown(text)} without '/'", hint)


def _is_without(sender: NodeDraft, output: str) -> bool:
    """The node certainly has no such output: what it states can be read."""
    owners: tuple[NodeDraft | OperatorDraft, ...] = (sender, *sender.operators)
    is_readable = not any("outputs" in owner.fields.wrong for owner in owners)
    return sender.kind not in (UNKNOWN, HUB) and output not in sender.outputs and is_readable


def _report_missing_output(entry: InputDraft, source: OutputSource, sender: NodeDraft, report: Report) -> None:
    if sender.kind == RUNTIME:
        report_missing_operator_output(entry, source, sender, report)
        return
    text = f"{entry.subject}: {sender.subject} has no output {shown(source.output)}"
    hint = report.suggest(source.output, sender.outputs) or "add it to the node's `outputs`"
    report.error(entry.source_at, text, hint)


def printed_outputs(draft: NodeDraft) -> set[str]:
    """The outputs that carry what the node prints."""
    fields = log_fields(draft.operators) if draft.kind == RUNTIME else draft.fields
    return {fields.get(key) for key in ("send_stdout_as", "send_logs_as") if key in fields.stated}


def _check_logs(entry: InputDraft, source: LogsSource, by_id: ById, report: Report) -> None:
    if source.node is not None and source.node not in by_id:
        text = f"{entry.subject}: there is no node {shown(source.node)}"
        report.error(entry.source_at, text, report.suggest(source.node, by_id, name="nodes"))


def _warn_of_sibling_timeout(draft: NodeDraft, entry: InputDraft, source: OutputSource, report: Report) -> None:
    is_sibling = draft.kind == RUNTIME and source.node == draft.id and source.output not in printed_outputs(draft)
    if is_sibling and "input_timeout" in entry.fields.stated:
        text = f"{entry.subject}: 'input_timeout' has no effect here: an operator of the same node feeds it"
        report.warn(entry.fields.key_at("input_timeout"), text)


def _check_inputs(draft: NodeDraft, report: Report) -> None:
    for entry in draft.inputs.values():
        if isinstance(entry.source, OutputSource):
            _warn_of_sibling_timeout(draft, entry, entry.source, report)
        if isinstance(entry.source, OutputSource) or entry.source is None:
            continue
        if "input_timeout" in entry.fields.stated:
            text = f"{entry.subject}: 'input_timeout' has no effect here: timers and logs never close"
            report.warn(entry.fields.key_at("input_timeout"), text)
        is_timer = isinstance(entry.source, TimerSource)
        _never_wait(entry, "missed ticks are skipped" if is_timer else "a node does not wait to print", report)


def _never_wait(entry: InputDraft, reason: str, report: Report) -> None:
    """The sender of this input cannot be made to wait: read `backpressure` as the default, and say so."""
    stated = entry.fields.stated.get("queue_policy")
    if stated is not None and stated.value == BACKPRESSURE:
        report.warn(stated.key_at, f"{entry.subject}: 'backpressure' has no effect here: {reason}")
        entry.fields.stated["queue_policy"] = stated._replace(value=DROP_OLDEST)


def _check_args(draft: NodeDraft, report: Report) -> None:
    if draft.path == SHELL:
        if not draft.fields.get("args", "").strip():
            report.error(draft.at, f"{draft.subject}: expected the command line in 'args', found none")
        return
    fault = split_args(draft.fields.get("args", ""))
    if isinstance(fault, str):
        report.error(draft.fields.value_at("args"), f"{draft.subject}: 'args' cannot be split: {fault}")


def _check_path(draft: NodeDraft, report: Report) -> None:
    at = draft.fields.value_at("path")
    if not draft.path.strip():
        report.error(at, f"{draft.subject}: expected a script or program in 'path', found an empty text")
    if draft.path.startswith("dora/"):
        report.error(at, f"{draft.subject}: nothing built in is named {shown(draft.path)}", "built in: dora/timer/...")
    checksum = draft.fields.get("path_sha256")
    if checksum is None:
        return
    if not _SHA256.fullmatch(checksum):
        report.error(draft.fields.value_at("path_sha256"), f"{draft.subject}: 'path_sha256': expected 64 hex digits")
    elif not is_url(draft.path):
        report.error(draft.fields.key_at("path_sha256"), f"{draft.subject}: 'path_sha256' needs a URL as 'path'")


def _check_params(draft: NodeDraft, report: Report) -> None:
    if "params" in draft.fields.stated:
        report.error(draft.fields.key_at("params"), f"{draft.subject}: 'params' needs 'module'")


def _check_dynamic(draft: NodeDraft, report: Report) -> None:
    if draft.path != DYNAMIC:
        return
    if "startup_timeout" in draft.fields.stated:
        at = draft.fields.key_at("startup_timeout")
        report.error(at, f"{draft.subject}: 'startup_timeout' cannot be on a dynamic node", "remove it")
    for key in _NOT_ON_DYNAMIC:
        if key in draft.fields.stated:
            text = f"{draft.subject}: '{key}' has no effect on a dynamic node: you start its process"
            report.warn(draft.fields.key_at(key), text)


def _check_restart(draft: NodeDraft, report: Report) -> None:
    if draft.fields.get("restart_policy", "never") != "never":
        return
    for key in _RESTART_DETAILS:
        if draft.fields.get(key):
            text = f"{draft.subject}: '{key}' has no effect without a 'restart_policy'"
            report.warn(draft.fields.key_at(key), text, "add `restart_policy: on-failure`")


def _check_timer(draft: NodeDraft, report: Report) -> None:
    for key in _NOT_ON_TIMER:
        if key in draft.fields.stated and (key != "inputs" or draft.inputs):
            at = draft.fields.key_at(key)
            report.error(at, f"{draft.subject}: '{key}' cannot be on a timer node: it has no process", "remove it")
    if not draft.outputs:
        report.warn(draft.at, f"{draft.subject}: a timer node without outputs does nothing", "add `outputs: [tick]`")


_RULES: Final[dict[str, tuple[Callable[[NodeDraft, Report], None], ...]]] = {
    STANDARD: (
        _check_path,
        _check_args,
        _check_params,
        check_git,
        check_interpreter,
        _check_dynamic,
        _check_restart,
        _check_inputs,
    ),
    RUNTIME: (
        check_operators,
        check_git,
        check_interpreter,
        _check_params,
        _check_restart,
        _check_inputs,
    ),
    ROS2: (check_bridge, check_git, _check_params, _check_restart, _check_inputs),
    HUB: (check_hub, _check_params, _check_restart, _check_inputs),
    TIMER: (_check_timer, check_git, _check_params),
}
