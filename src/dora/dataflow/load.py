"""Reads a dataflow file: YAML in, checked `Dataflow` out, or every problem at once.

Strategy: text -> tree with places (`document`), tree -> drafts by tables (`schema`, `fields`, `nodes`),
checks over all drafts (`check`), timer nodes rewritten away, drafts -> frozen data (`descriptor`).
Nothing is raised before everything has been looked at, except where the text is no YAML at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dora.dataflow.check import check_nodes, check_wiring, rewrite_timers
from dora.dataflow.describe import describe_dataflow
from dora.dataflow.descriptor import Dataflow
from dora.dataflow.document import YamlList, YamlMap, YamlValue, parse_document
from dora.dataflow.environment import as_text, read_env
from dora.dataflow.fields import Fields, read_fields, unexpected
from dora.dataflow.files import read_text
from dora.dataflow.legacy import modernise_root
from dora.dataflow.nodes import RUNTIME, STANDARD, NodeDraft, finish_deploy, finish_node, read_node
from dora.dataflow.report import NOWHERE, Report
from dora.dataflow.scalars import Plain, is_null
from dora.dataflow.schema import ROOT_FIELDS
from dora.errors import DescriptorError

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def load_dataflow(
    path: Path,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] = _NOTHING,
    is_strict: bool = False,
) -> Dataflow:
    """Read and check a dataflow file.

    Args:
        env: what `$VAR` in `env` values and paths is looked up in; the process environment if None.
        overrides: `--env` settings: they win over the root `env`, a node's own `env` wins over them.
        is_strict: warnings are errors.

    Raises:
        DescriptorError: with every problem, one `file:line:column: text` each.
    """
    report = Report(str(path))
    text = read_text(str(path), report)
    root = _root_mapping(parse_document(text, report), report)
    environ = os.environ if env is None else env
    modernise_root(root, report)
    fields = read_fields(root, ROOT_FIELDS, "", report)
    root_env = read_env(fields.get("env"), "", environ, report) if "env" in fields.stated else {}
    if "deploy" in fields.stated:
        report.warn(fields.key_at("deploy"), "'deploy' has no effect here", "write it on the nodes that need it")
    drafts = _read_nodes(root, environ, report)
    check_nodes(drafts, report)
    check_wiring(drafts, report)
    rewrite_timers(drafts)
    report.check(is_strict=is_strict)
    return _finish(path, fields, drafts, {**root_env, **overrides}, environ, report)


def _root_mapping(value: YamlValue | None, report: Report) -> YamlMap:
    if value is None or is_null(value):
        raise report.fatal(NOWHERE, "expected a dataflow with 'nodes', found an empty file")
    if not isinstance(value, YamlMap):
        unexpected(value, "dataflow", "a mapping with 'nodes'", report)
        raise DescriptorError(report.error_lines())
    return value


def _read_nodes(root: YamlMap, environ: Mapping[str, str], report: Report) -> list[NodeDraft]:
    entry = root.entries.get("nodes")
    if entry is None or is_null(entry.value):
        return []
    if not isinstance(entry.value, YamlList):
        unexpected(entry.value, "'nodes'", "a list of nodes", report, "start each node with `- id: <name>`")
        return []
    if not entry.value.items:
        report.warn(entry.place, "the dataflow has no nodes")
    found = [read_node(value, index, environ, report) for index, value in enumerate(entry.value.items)]
    return [draft for draft in found if draft is not None]


def _finish(
    path: Path,
    fields: Fields,
    drafts: list[NodeDraft],
    env: Mapping[str, Plain],
    environ: Mapping[str, str],
    report: Report,
) -> Dataflow:
    absolute = Path(os.path.abspath(path))
    inherited = {key: as_text(value) for key, value in env.items()}
    nodes = []
    for draft in drafts:
        if draft.kind in (STANDARD, RUNTIME):
            own = {key: as_text(value) for key, value in draft.env.items()}
            nodes.append(finish_node(draft, {**inherited, **own}, environ))
    return Dataflow(
        path=absolute,
        working_dir=absolute.parent,
        nodes=tuple(nodes),
        env=inherited,
        timer_nodes={draft.id: draft.timer.text for draft in drafts if draft.timer is not None},
        health_check_interval_s=fields.get("health_check_interval", 5.0),
        exit_when_nodes_finish=fields.get("exit_when_nodes_finish", False),
        strict_types=fields.get("strict_types", False),
        type_rules=tuple((rule.get("from", ""), rule.get("to", "")) for rule, _ in fields.get("type_rules", [])),
        deploy=finish_deploy(fields.get("deploy")),
        file=str(path),
        warnings=tuple(report.warning_lines()),
        raw=describe_dataflow(fields, drafts, dict(env)),
    )
