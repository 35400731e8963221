"""Checks of runtime nodes: what may stand beside operators, and how others name what they send.

Strategy: as in `check.py`, each rule reports and goes on.  `resolve_short_outputs` runs first: after it every
source names `<node>` and `<operator>/<output>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dora.dataflow.descriptor import OutputSource
from dora.dataflow.nodes import RUNTIME, NodeDraft
from dora.dataflow.operators import LOG_KEYS
from dora.dataflow.ports import InputDraft
from dora.dataflow.report import Report, shown

_ONLY_IN_OPERATOR: Final = (
    "build", "input_types", "output_types", "output_framing", "output_metadata", "pattern", *LOG_KEYS,
)  # fmt: skip
_ONLY_ON_PATH: Final = ("path_sha256", "args", "shared_memory_pool_size")


def resolve_short_outputs(drafts: list[NodeDraft]) -> None:
    """`node/output` of a node with one `operator:` means `node/<operator>/<output>`."""
    singles = {draft.id: draft for draft in drafts if draft.kind == RUNTIME and is_single(draft)}
    for draft in drafts:
        for entry in draft.inputs.values():
            source = entry.source
            if isinstance(source, OutputSource) and source.node in singles:
                sender = singles[source.node]
                full = f"{sender.operators[0].id}/{source.output}"
                if source.output not in sender.outputs and full in sender.outputs:
                    entry.source = OutputSource(source.node, full)


def is_single(draft: NodeDraft) -> bool:
    """The node is written with `operator:`."""
    return "operator" in draft.fields.stated and len(draft.operators) == 1


def report_missing_operator_output(entry: InputDraft, source: OutputSource, sender: NodeDraft, report: Report) -> None:
    """Say that a runtime node has no such output, and what was probably meant."""
    text = f"{entry.subject}: {sender.subject} has no output {shown(source.output)}"
    first, _, rest = source.output.partition("/")
    named = next((operator for operator in sender.operators if operator.id == first and rest), None)
    if named is not None or is_single(sender):
        operator = named or sender.operators[0]
        wanted = rest if named is not None else source.output
        if named is not None:
            text = f"{entry.subject}: operator {shown(first)} of {sender.subject} has no output {shown(rest)}"
        hint = report.suggest(wanted, operator.outputs) or "add it to the operator's `outputs`"
    else:
        hint = _hint_for_several(source, sender, report)
    report.error(entry.source_at, text, hint)


def _hint_for_several(source: OutputSource, sender: NodeDraft, report: Report) -> str:
    ids = [operator.id for operator in sender.operators]
    expected = f"expected {sender.id}/<operator>/<output>"
    senders = [operator.id for operator in sender.operators if source.output in operator.outputs]
    if len(senders) == 1:
        return f"{expected}: did you mean '{sender.id}/{senders[0]}/{source.output}'?"
    operator = source.output.partition("/")[0]
    hint = report.suggest(operator, ids, name="operators")
    return f"{expected}; {hint}" if hint else expected


def check_operators(draft: NodeDraft, report: Report) -> None:
    """What the operators of one node state together."""
    _check_beside(draft, report)
    for key in LOG_KEYS:
        stated = [operator for operator in draft.operators if key in operator.fields.stated]
        for operator in stated[1:]:
            text = f"{operator.subject}: '{key}' is already set by operator {shown(stated[0].id)}"
            report.error(operator.fields.key_at(key), text, "all operators of a node print to the same place")
    environments = [operator for operator in draft.operators if operator.conda_env]
    for operator in environments[1:]:
        if operator.conda_env != environments[0].conda_env:
            text = (
                f"{operator.subject}: 'conda_env' is {shown(operator.conda_env or '')}, but that of operator "
                f"{shown(environments[0].id)} is {shown(environments[0].conda_env or '')}"
            )
            report.error(operator.source_at, text, "operators of one node share its process")


def _check_beside(draft: NodeDraft, report: Report) -> None:
    moved = [key for key in _ONLY_IN_OPERATOR if key in draft.fields.stated]
    if moved:
        text = f"{draft.subject}: {_listed(moved)} cannot be on a node with operators"
        report.error(draft.fields.key_at(moved[0]), text, "move it into the operator")
    foreign = [key for key in _ONLY_ON_PATH if key in draft.fields.stated]
    if foreign:
        text = f"{draft.subject}: {_listed(foreign)} cannot be on a node with operators"
        report.error(draft.fields.key_at(foreign[0]), text, "remove it: there is no program of yours to start")


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"'{key}'" for key in keys)
