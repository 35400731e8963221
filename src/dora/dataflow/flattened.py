"""A dataflow as YAML with the nodes of its modules in their place (`dora expand`).

Strategy: what is printed is made from the checked drafts and is itself a dataflow that means the same: variables are
replaced (a `$` that is left is written `$$`), keys that state a default are left out, texts that would read as a
number or truth value are quoted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from dora.dataflow.check import check_nodes, check_wiring
from dora.dataflow.descriptor import OutputSource
from dora.dataflow.document import YamlList, YamlMap, YamlScalar, YamlValue
from dora.dataflow.fields import Fields, Stated, Table
from dora.dataflow.load import Reading, read_dataflow
from dora.dataflow.module_files import PORTS, ModuleReader
from dora.dataflow.modules import check_module_file
from dora.dataflow.nodes import UNKNOWN, NodeDraft
from dora.dataflow.operators import OperatorDraft
from dora.dataflow.ports import InputDraft
from dora.dataflow.report import NOWHERE, Place, Report, shown
from dora.dataflow.scalars import Plain, meaning
from dora.dataflow.schema import NODE_FIELDS, OPERATOR_FIELDS, ROOT_FIELDS
from dora.dataflow.sources import source_text
from dora.errors import DescriptorError

_WIDTH: Final = 10_000  # a broken line would be hard to read, and to compare


class Flattened(NamedTuple):
    """A dataflow without modules.

    Attributes:
        text: YAML; also where the wiring has errors, so that one can look at it.
        errors, warnings: `file:line:column: text` each.
    """

    text: str
    errors: list[str]
    warnings: list[str]


def flatten_dataflow(path: Path, *, env: Mapping[str, str] | None = None) -> Flattened:
    """A dataflow file as one file without modules.

    Args:
        env: what `$VAR` is looked up in; the process environment if None.

    Raises:
        DescriptorError: there is nothing to look at.
    """
    reading = read_dataflow(path, env=os.environ if env is None else env)
    return Flattened(_yaml_text(flattened(reading)), reading.report.error_lines(), reading.report.warning_lines())


def check_module(path: Path, *, env: Mapping[str, str] | None = None) -> list[str]:
    """Check a module file for itself; returns warnings, `file:line:column: text` each.

    Nodes that are not in the file are taken to be in the dataflow that uses it.

    Raises:
        DescriptorError: with every problem of the file.
    """
    report = Report(str(path))
    reader = ModuleReader(str(path), os.environ if env is None else env, report)
    module = reader.read(path.name, NOWHERE, "")
    if module is None:
        raise DescriptorError(report.error_lines())
    drafts = [*check_module_file(module, reader, report).drafts]
    known = {draft.id for draft in drafts} | {PORTS}
    for entry in [entry for draft in drafts for entry in draft.inputs.values()]:
        if isinstance(entry.source, OutputSource) and entry.source.node not in known:
            text = f"{entry.subject}: there is no node {shown(entry.source.node)} in this module"
            report.warn(entry.source_at, text, "the dataflow that uses it must have it")
            drafts.append(_stranger(entry.source.node))
            known.add(entry.source.node)
    check_nodes(drafts, report)
    check_wiring([*drafts, _stranger(PORTS)], report)
    report.check()
    return report.warning_lines()


def _stranger(node: str) -> NodeDraft:
    return NodeDraft(node, Place(0, 0), "", UNKNOWN, Fields(Place(0, 0)))


def flattened(reading: Reading) -> dict[str, Any]:
    """The dataflow as plain dicts and lists, as it would be written without modules."""
    made = {
        "env": _env(reading.env),
        "nodes": [_node(draft) for draft in reading.drafts],
    }
    return _mapping(reading.fields, ROOT_FIELDS, made)


def _node(draft: NodeDraft) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": draft.id,
        "env": _env(draft.env),
        "inputs": {name: _input(entry) for name, entry in draft.inputs.items()},
    }
    if draft.operators:
        operators = [_operator(operator) for operator in draft.operators]
        made |= {"operators": operators} if "operators" in draft.fields.stated else {"operator": operators[0]}
        made["inputs"] = made["outputs"] = None
    return _mapping(draft.fields, NODE_FIELDS, made)


def _operator(draft: OperatorDraft) -> dict[str, Any]:
    made = {
        "python": {"source": draft.source, "conda_env": draft.conda_env} if draft.conda_env else draft.source,
        "inputs": {name: _input(entry) for name, entry in draft.inputs.items()},
    }
    return _mapping(draft.fields, OPERATOR_FIELDS, made)


def _mapping(fields: Fields, table: Table, made: Mapping[str, Any]) -> dict[str, Any]:
    """What is stated, in the order of the table, without empty values and defaults; `made` wins."""
    found: dict[str, Any] = {}
    for name, known in table.items():
        value = made[name] if name in made else _plain(fields.get(name))
        if known.is_required or (value not in (None, {}, []) and (known.default is None or value != known.default)):
            found[name] = value
    return found


def _input(entry: InputDraft) -> Any:
    text = entry.timer_output or entry.fields.get("source", "")
    if not entry.timer_output and entry.source is not None and not isinstance(entry.source, OutputSource):
        text = source_text(entry.source)
    options = {key: _plain(stated) for key, stated in entry.fields.stated.items() if key != "source"}
    return {"source": text, **options} if options else text


def _env(values: Mapping[str, Plain]) -> dict[str, Plain]:
    return {key: value.replace("$", "$$") if isinstance(value, str) else value for key, value in values.items()}


def _plain(value: Any) -> Any:
    """A stated value without its places."""
    if isinstance(value, Stated):
        return _plain(value.value)
    if isinstance(value, Fields):
        return {key: _plain(stated) for key, stated in value.stated.items()}
    if isinstance(value, (YamlMap, YamlList, YamlScalar)):
        return _as_written(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item, _ in value]
    return value


def _as_written(value: YamlValue) -> Any:
    if isinstance(value, YamlScalar):
        return meaning(value)
    if isinstance(value, YamlList):
        return [_as_written(item) for item in value.items]
    return {key: _as_written(entry.value) for key, entry in value.entries.items()}


class _Dumper(yaml.SafeDumper):
    """Writes texts so that this project reads them as texts."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    if not isinstance(meaning(YamlScalar(Place(1, 1), text, is_plain=True)), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _yaml_text(value: dict[str, Any]) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text
