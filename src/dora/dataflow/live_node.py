"""Reads the YAML of one node that is to join a graph that runs, or to take a node's place in it.

Strategy: the entry is read and checked like one of a dataflow file; who feeds it is looked up in the graph as it is
now.  A graph that runs builds nothing, so what would have to be built, cloned or downloaded first is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from dora.dataflow.changes import StatedNode
from dora.dataflow.check import check_nodes
from dora.dataflow.describe import describe_node
from dora.dataflow.descriptor import Dataflow, LogsSource, Node, OutputSource
from dora.dataflow.document import YamlList, YamlMap, YamlValue, parse_document
from dora.dataflow.environment import as_text
from dora.dataflow.live_types import type_fault
from dora.dataflow.nodes import MODULE, RUNTIME, STANDARD, TIMER, UNKNOWN, NodeDraft, finish_node, read_node
from dora.dataflow.ports import InputDraft
from dora.dataflow.programs import is_url
from dora.dataflow.report import NOWHERE, Report, shown
from dora.dataflow.scalars import is_null
from dora.dataflow.sources import EXPECTED
from dora.dataflow.timers import parse_timer

_EXPECTED: Final = "expected one node, a mapping with `id` and `path`"


class LiveNode(NamedTuple):
    """A node that may join the graph, and what is odd about it, one line each."""

    stated: StatedNode
    warnings: tuple[str, ...]


def read_live_node(
    text: str, file: str, dataflow: Dataflow, *, environ: Mapping[str, str], replaces: str | None = None
) -> LiveNode:
    """The node that `text` states.

    Args:
        file: what messages call the text.
        environ: what `$VAR` in `env` values and paths is looked up in.
        replaces: the node whose place it takes; None: it is a further one.

    Raises:
        DescriptorError: with every problem, one `file:line:column: text` each.
    """
    report = Report(file)
    draft = _read(_entry(parse_document(text, report), report), environ, report)
    _check_name(draft, dataflow, replaces, report)
    _check_kind(draft, report)
    report.check()
    for entry in draft.inputs.values():
        _resolve(entry, draft, dataflow, report)
    report.check()
    own = {key: as_text(value) for key, value in draft.env.items()}
    node = finish_node(draft, {**dataflow.env, **own}, environ)._replace(file=file)
    _check_types(node, draft, dataflow, report)
    report.check()
    return LiveNode(StatedNode(node, describe_node(draft)), tuple(report.warning_lines()))


def _entry(value: YamlValue | None, report: Report) -> YamlMap:
    """The mapping of the node; a list with one entry, as it stands in a dataflow file, is as good."""
    if value is None or is_null(value):
        raise report.fatal(NOWHERE, f"{_EXPECTED}, found an empty file")
    if isinstance(value, YamlList) and len(value.items) == 1:
        value = value.items[0]
    if isinstance(value, YamlMap) and "nodes" not in value.entries:
        return value
    if isinstance(value, YamlMap):
        raise report.fatal(value.entries["nodes"].place, f"{_EXPECTED}, found a dataflow", "give the entry alone")
    found = f"a list of {len(value.items)}" if isinstance(value, YamlList) else "a text"
    raise report.fatal(value.place, f"{_EXPECTED}, found {found}")


def _read(value: YamlMap, environ: Mapping[str, str], report: Report) -> NodeDraft:
    draft = read_node(value, 0, environ, report)
    assert draft is not None  # only what is no mapping gives none
    if draft.kind != MODULE:  # which has no rules: it is expanded before they are asked
        check_nodes([draft], report)
    return draft


def _check_name(draft: NodeDraft, dataflow: Dataflow, replaces: str | None, report: Report) -> None:
    at = draft.fields.value_at("id")
    if replaces is not None:
        if draft.id and draft.id != replaces:
            report.error(at, f"expected the id {shown(replaces)} of the node to replace, found {shown(draft.id)}")
        return
    taken = {str(node.id) for node in dataflow.nodes} | {*dataflow.timer_nodes} | {each.id for each in dataflow.modules}
    if draft.id in taken:
        hint = f"`dora node replace {draft.id}` puts another node in its place"
        report.error(at, f"there is a node {shown(draft.id)} already", hint)


def _check_kind(draft: NodeDraft, report: Report) -> None:
    """A graph that runs starts processes, and does nothing else."""
    stated, subject = draft.fields.stated, draft.subject
    if draft.kind == TIMER:
        report.error(
            draft.fields.value_at("path"), f"{subject}: a timer cannot be added", "name it as the source of inputs"
        )
    elif draft.kind not in (STANDARD, RUNTIME, UNKNOWN):
        report.error(draft.at, f"{subject}: a node with '{draft.kind}' cannot be added to a graph that runs")
    owners = (draft.fields, *(operator.fields for operator in draft.operators))
    builds = [fields for fields in owners if "build" in fields.stated]
    if builds:
        hint = "run its lines yourself, then remove 'build'"
        report.error(builds[0].key_at("build"), f"{subject}: 'build' is not run while the dataflow runs", hint)
    if "git" in stated:
        hint = "clone it yourself, and name the file"
        report.error(draft.fields.key_at("git"), f"{subject}: 'git' is not cloned while the dataflow runs", hint)
    if is_url(draft.path) or any(is_url(operator.source) for operator in draft.operators):
        hint = "download it yourself, and name the file"
        report.error(draft.at, f"{subject}: a URL is not downloaded while the dataflow runs", hint)
    if "deploy" in stated:
        text = f"{subject}: 'deploy' cannot be on a node that is added"
        report.error(draft.fields.key_at("deploy"), text, "remove it")


def _resolve(entry: InputDraft, draft: NodeDraft, dataflow: Dataflow, report: Report) -> None:
    """Find what feeds an input; a short name of an operator's output becomes the full one, a timer node its timer."""
    source = entry.source
    if isinstance(source, LogsSource) and source.node is not None:
        _check_known(entry, source.node, draft, dataflow, report)
    if not isinstance(source, OutputSource):
        return
    if not source.output:
        report.error(entry.source_at, f"{entry.subject}: {EXPECTED}, found {shown(source.node)} without '/'")
    elif source.node in dataflow.timer_nodes:
        timer = parse_timer(dataflow.timer_nodes[source.node])
        assert not isinstance(timer, str)  # it is one that was read before
        entry.timer_output, entry.source = f"{source.node}/{source.output}", timer
    elif _check_known(entry, source.node, draft, dataflow, report):
        outputs, single = _outputs(source.node, draft, dataflow)
        full = f"{single}/{source.output}"
        if source.output not in outputs and single and full in outputs:
            entry.source = OutputSource(source.node, full)
        elif source.output not in outputs:
            text = f"{entry.subject}: node {shown(source.node)} has no output {shown(source.output)}"
            report.error(entry.source_at, text, report.suggest(source.output, outputs))


def _check_known(entry: InputDraft, name: str, draft: NodeDraft, dataflow: Dataflow, report: Report) -> bool:
    names = [*(str(node.id) for node in dataflow.nodes), draft.id]
    if name not in names:
        hint = report.suggest(name, names, name="nodes")
        report.error(entry.source_at, f"{entry.subject}: there is no node {shown(name)}", hint)
    return name in names


def _outputs(name: str, draft: NodeDraft, dataflow: Dataflow) -> tuple[list[str], str]:
    """The outputs of a node, and its operator if it has a single one."""
    if name == draft.id:
        is_single = "operator" in draft.fields.stated and len(draft.operators) == 1
        return list(draft.outputs), draft.operators[0].id if is_single else ""
    node = next(node for node in dataflow.nodes if node.id == name)
    return list(node.outputs), node.operators[0].id if node.is_single_operator else ""


def _check_types(node: Node, draft: NodeDraft, dataflow: Dataflow, report: Report) -> None:
    for name, port in node.inputs.items():
        fault = type_fault(dataflow, port.source, node, name)
        if fault:
            report.error(draft.inputs[name].source_at, f"{draft.inputs[name].subject}: {fault}")
    for reader in dataflow.nodes:
        for name, port in reader.inputs.items():
            if isinstance(port.source, OutputSource) and port.source.node == node.id and reader.id != node.id:
                fault = type_fault(_in_place(dataflow, node), port.source, reader, name)
                if fault:
                    text = f"{draft.subject}: {reader.id}/{name} reads its output {shown(port.source.output)}: {fault}"
                    report.error(draft.at, text)


def _in_place(dataflow: Dataflow, node: Node) -> Dataflow:
    return dataflow._replace(nodes=tuple(node if old.id == node.id else old for old in dataflow.nodes))
