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
from typing import Final, NamedTuple

from dora.dataflow.check import check_nodes, check_wiring, rewrite_timers
from dora.dataflow.cycles import warn_of_cycles
from dora.dataflow.describe import describe_dataflow
from dora.dataflow.descriptor import Dataflow, Module
from dora.dataflow.document import YamlList, YamlMap, YamlValue, parse_document
from dora.dataflow.environment import as_text, read_env
from dora.dataflow.fields import Fields, read_fields, unexpected
from dora.dataflow.files import read_text
from dora.dataflow.legacy import modernise_root
from dora.dataflow.module_files import ModuleReader
from dora.dataflow.modules import expand_modules
from dora.dataflow.nodes import RUNTIME, STANDARD, NodeDraft, finish_deploy, finish_node, programs_of, read_nodes
from dora.dataflow.programs import missing
from dora.dataflow.report import NOWHERE, Report, shown
from dora.dataflow.scalars import Plain, is_null
from dora.dataflow.schema import KIND_KEYS, ROOT_FIELDS
from dora.dataflow.type_checks import Typed, check_types
from dora.errors import DescriptorError

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def load_dataflow(
    path: Path,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] = _NOTHING,
    is_strict: bool = False,
    has_strict_types: bool = False,
    looks_for_programs: bool = False,
) -> Dataflow:
    """Read and check a dataflow file.

    Args:
        env: what `$VAR` in `env` values and paths is looked up in; the process environment if None.
        overrides: `--env` settings: they win over the root `env`, a node's own `env` wins over them.
        is_strict: warnings are errors.
        has_strict_types: warnings about types are errors, also if the file does not say so.
        looks_for_programs: errors come with the scripts and programs that are missing; without errors these are for
            `check_sources` to find, after the builds.

    Raises:
        DescriptorError: with every problem, one `file:line:column: text` each.
    """
    reading = read_dataflow(path, env=os.environ if env is None else env, has_strict_types=has_strict_types)
    strict_types = has_strict_types or reading.fields.get("strict_types", False)
    if looks_for_programs and reading.report.error_lines():
        _warn_of_missing(path, reading)
    reading.report.check(is_strict=is_strict, has_strict_types=strict_types)
    return _finish(path, reading, overrides)


class Reading(NamedTuple):
    """A dataflow file that was read and checked; what is wrong with it is in the report.

    Attributes:
        fields: of the root.
        drafts: the nodes, those of modules in the place of the nodes that use them.
        env: of the root, expanded.
        environ: what variables were looked up in.
        files: all that was read, as messages name them.
    """

    report: Report
    fields: Fields
    drafts: list[NodeDraft]
    env: dict[str, Plain]
    environ: Mapping[str, str]
    modules: tuple[Module, ...]
    files: tuple[str, ...]
    types: Typed


def read_dataflow(path: Path, *, env: Mapping[str, str], has_strict_types: bool = False) -> Reading:
    """Read a dataflow file and look at everything in it; arguments as for `load_dataflow`.

    Raises:
        DescriptorError: it is no YAML, or no mapping, so that there is nothing to look at.
    """
    report = Report(str(path))
    root = _root_mapping(parse_document(read_text(str(path), report), report), report)
    _refuse_other_files(root, report)
    modernise_root(root, report)
    fields = read_fields(root, ROOT_FIELDS, "", report)
    root_env = read_env(fields.get("env"), "", env, report) if "env" in fields.stated else {}
    if "deploy" in fields.stated:
        report.warn(fields.key_at("deploy"), "'deploy' has no effect here", "write it on the nodes that need it")
    reader = ModuleReader(str(path), env, report)
    drafts, modules, unread = expand_modules(read_nodes(root, env, report), reader, report)
    check_nodes(drafts, report)
    check_wiring(drafts, report, unread)
    rewrite_timers(drafts)
    if not report.error_lines():
        warn_of_cycles(drafts, report)
    is_strict = has_strict_types or fields.get("strict_types", False)
    typed = check_types(drafts, fields, str(path), report, is_strict=is_strict)
    return Reading(report, fields, drafts, root_env, env, modules, (str(path), *reader.files()), typed)


def _root_mapping(value: YamlValue | None, report: Report) -> YamlMap:
    if value is None or is_null(value):
        raise report.fatal(NOWHERE, "expected a dataflow with 'nodes', found an empty file")
    if not isinstance(value, YamlMap):
        hint = "write `nodes:` above the list" if isinstance(value, YamlList) else ""
        unexpected(value, "dataflow", "a mapping with 'nodes'", report, hint)
        raise DescriptorError(report.error_lines())
    return value


def _refuse_other_files(root: YamlMap, report: Report) -> None:
    """What is near a dataflow, but none, is called by its name: a list of keys would not help its author."""
    header = root.entries.get("module")
    if header is not None and isinstance(header.value, YamlMap):
        hint = "check it with `dora expand --module FILE`, use it with `module: FILE` on a node"
        raise report.fatal(header.place, "expected a dataflow, found a module file", hint)
    if "nodes" in root.entries:
        return
    if "id" in root.entries and any(key in root.entries for key in KIND_KEYS):
        text = "expected a dataflow with 'nodes', found a single node"
        raise report.fatal(root.place, text, "put it below `nodes:` as `- id: ...`")
    for key, entry in root.entries.items():
        if isinstance(entry.value, YamlMap) and "nodes" in entry.value.entries:
            found = f"expected 'nodes' at the root of the file, found it in {shown(key)}"
            raise report.fatal(
                entry.value.entries["nodes"].place, found, f"put what is in {shown(key)} into a file of its own"
            )


def _warn_of_missing(path: Path, reading: Reading) -> None:
    """Name what is missing beside the errors, so that all is said at once."""
    found = missing(programs_of(reading.drafts, reading.environ), Path(os.path.abspath(path)).parent, reading.environ)
    for text, at, hint in found:
        reading.report.warn(at, text, hint)


def _finish(path: Path, reading: Reading, overrides: Mapping[str, str]) -> Dataflow:
    absolute = Path(os.path.abspath(path))
    report, fields, drafts = reading.report, reading.fields, reading.drafts
    env: dict[str, Plain] = {**reading.env, **overrides}
    inherited = {key: as_text(value) for key, value in env.items()}
    nodes = []
    for draft in drafts:
        if draft.kind in (STANDARD, RUNTIME):
            own = {key: as_text(value) for key, value in draft.env.items()}
            nodes.append(finish_node(draft, {**inherited, **own}, reading.environ))
    return Dataflow(
        path=absolute,
        working_dir=absolute.parent,
        nodes=tuple(nodes),
        env=inherited,
        modules=reading.modules,
        files=tuple(Path(os.path.abspath(file)) for file in reading.files),
        timer_nodes={draft.id: draft.timer.text for draft in drafts if draft.timer is not None},
        exit_when_nodes_finish=fields.get("exit_when_nodes_finish", False),
        strict_types=fields.get("strict_types", False),
        type_rules=tuple((rule.get("from", ""), rule.get("to", "")) for rule, _ in fields.get("type_rules", [])),
        deploy=finish_deploy(fields.get("deploy")),
        file=str(path),
        warnings=tuple(report.warning_lines()),
        type_warnings=tuple(report.type_warning_lines()),
        inferred_types=reading.types.inferred,
        user_types=reading.types.own,
        raw=describe_dataflow(fields, drafts, env),
    )
