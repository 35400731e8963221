"""Puts the nodes of module files in the place of the nodes that use them (dora dataflow-yaml, section 13).

Strategy: drafts in, drafts out, from the outside in.  Each use of a module copies its drafts under longer ids, with the
inputs that read `_mod/<port>` wired to what the using node names; nested uses are then expanded in turn.  At the end,
inputs that read an output of a module are wired to the node that sends it.  What is wrong with a module file is said
when it is read (`module_files.py`), what is wrong with a use is said at the node that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from dora.dataflow.descriptor import LogsSource, Module, OutputSource, Source
from dora.dataflow.fields import Fields, Stated
from dora.dataflow.module_files import PORTS, ModuleFile, ModuleReader
from dora.dataflow.nodes import MAX_NODES, MODULE, RUNTIME, STANDARD, TIMER, UNKNOWN, NodeDraft
from dora.dataflow.ports import InputDraft
from dora.dataflow.programs import DYNAMIC
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.schema import MODULE_KEYS
from dora.dataflow.sources import source_text

MAX_DEPTH: Final = 8

_PARAM_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_PARAM: Final = re.compile(r"\$(?:PARAM_(?P<upper>[A-Za-z0-9_]+)|\{_param\.(?P<name>[A-Za-z0-9_]+)\})")


class Expanded(NamedTuple):
    """What became of the nodes of a file.

    Attributes:
        drafts: without uses of modules, but for those with an error, which are of kind UNKNOWN.
        unread: inputs of modules that none of their nodes reads.
    """

    drafts: list[NodeDraft]
    modules: tuple[Module, ...] = ()
    unread: tuple[InputDraft, ...] = ()


def expand_modules(drafts: list[NodeDraft], reader: ModuleReader, report: Report) -> Expanded:
    """The drafts with modules replaced by their nodes.

    Raises:
        DescriptorError: there are more than `MAX_NODES` of them.
    """
    expansion = _Expansion(reader, report)
    flat = [found for draft in drafts for found in expansion.expanded(draft, ())]
    for draft in flat:
        for entry in draft.inputs.values():
            expansion.resolve(entry)
    for entry in expansion.unread:
        expansion.resolve(entry)
    return Expanded(flat, tuple(expansion.modules()), tuple(expansion.unread))


def check_module_file(module: ModuleFile, reader: ModuleReader, report: Report) -> Expanded:
    """Look at a module file for itself: its outputs, and the modules that it uses."""
    expansion = _Expansion(reader, report)
    expansion.outputs_of(module)
    return expand_modules(module.drafts, reader, report)


class _Use(NamedTuple):
    """A module file in the place of one node."""

    draft: NodeDraft
    module: ModuleFile
    outputs: dict[str, OutputSource | None]


class _Expansion:
    def __init__(self, reader: ModuleReader, report: Report) -> None:
        self.unread: list[InputDraft] = []
        self._reader = reader
        self._report = report
        self._uses: dict[str, _Use] = {}
        self._outputs: dict[str, dict[str, tuple[str, str] | None]] = {}
        self._count = 0

    def modules(self) -> Iterator[Module]:
        """What was used where."""
        for use in self._uses.values():
            inputs = {port: self._target(entry.source) for port, entry in use.draft.inputs.items()}
            outputs = {port: self._target(source) for port, source in use.outputs.items()}
            yield Module(
                id=use.draft.id,
                name=use.module.name,
                file=use.module.path,
                inputs={port: source for port, source in inputs.items() if source is not None},
                outputs={port: source for port, source in outputs.items() if isinstance(source, OutputSource)},
            )

    def expanded(self, draft: NodeDraft, around: tuple[str, ...]) -> list[NodeDraft]:
        """The nodes that take the place of one; `around` are the files of the modules it is in."""
        if draft.kind != MODULE:
            return [draft]
        module = self._module(draft, around)
        if module is None:
            draft.kind = UNKNOWN
            return [draft]
        self._check_wiring(draft, module)
        outputs = self.outputs_of(module)
        sources = {
            port: None if sender is None else OutputSource(f"{draft.id}.{sender[0]}", sender[1])
            for port, sender in outputs.items()
        }
        self._uses.setdefault(draft.id, _Use(draft, module, sources))
        self._count += len(module.drafts)
        if self._count > MAX_NODES:
            at = draft.fields.value_at("module")
            raise self._report.fatal(at, f"{draft.subject}: the modules have more than {MAX_NODES} nodes together")
        copies = [_copy(child, draft, module) for child in module.drafts]
        return [found for copy in copies for found in self.expanded(copy, (*around, module.path))]

    def resolve(self, entry: InputDraft) -> None:
        """Wire an input that reads an output of a module to the node that sends it."""
        source = entry.source
        if not isinstance(source, OutputSource) or source.node not in self._uses:
            return
        use = self._uses[source.node]
        if source.output not in use.outputs:
            text = (
                f"{entry.subject}: {use.draft.subject} (module {use.module.name}) has no output {shown(source.output)}"
            )
            hint = self._report.suggest(source.output, use.outputs) or "add it to the `outputs` of the module"
            self._report.error(entry.source_at, text, hint)
        _rewire(entry, self._target(source))

    def _target(self, source: Source | None) -> Source | None:
        """The node behind an output of a module; None if there is none."""
        while isinstance(source, OutputSource) and source.node in self._uses:
            source = self._uses[source.node].outputs.get(source.output)
        return source

    def _module(self, draft: NodeDraft, around: tuple[str, ...]) -> ModuleFile | None:
        self._check_keys(draft)
        self._check_params(draft)
        at = draft.fields.value_at("module")
        module = self._reader.read(draft.fields.get("module"), at, draft.subject)
        if module is None or (module.path not in around and len(around) < MAX_DEPTH):
            return module
        text = f"{draft.subject}: modules are nested more than {MAX_DEPTH} levels deep"
        if module.path in around:
            chain = " -> ".join([*around[around.index(module.path) :], module.path])
            text = f"{draft.subject}: module {shown(module.path)} uses itself: {chain}"
        self._report.error(at, text)
        return None

    def _check_keys(self, draft: NodeDraft) -> None:
        foreign = [key for key in draft.fields.stated if key not in MODULE_KEYS and not _is_default(draft.fields, key)]
        if foreign:
            listed = ", ".join(f"'{key}'" for key in foreign)
            text = f"{draft.subject}: {listed} cannot be on a node that uses a module"
            hint = "write it on the nodes of the module, where it is needed"
            self._report.error(draft.fields.key_at(foreign[0]), text, hint)

    def _check_params(self, draft: NodeDraft) -> None:
        stated: dict[str, Stated] = draft.fields.get("params", {})
        first: dict[str, str] = {}
        for name, entry in stated.items():
            other = first.setdefault(name.upper(), name)
            if not _PARAM_NAME.fullmatch(name):
                text = f"{draft.subject}: {shown(name)} cannot be a parameter: only letters, digits and '_' are allowed"
                self._report.error(entry.key_at, text)
            elif other != name:
                text = f"{draft.subject}: parameters {shown(other)} and {shown(name)} differ only in case"
                self._report.error(entry.key_at, text, f"both are PARAM_{name.upper()}; rename one")

    def _check_wiring(self, draft: NodeDraft, module: ModuleFile) -> None:
        read = {entry.source for child in module.drafts for entry in child.inputs.values()}
        for port, entry in draft.inputs.items():
            if port not in module.inputs:
                text = f"{draft.subject}: module {module.name} has no input {shown(port)}"
                self._report.error(entry.at, text, self._report.suggest(port, module.inputs) or "it has no inputs")
            elif OutputSource(PORTS, port) not in read:
                self.unread.append(entry)
        for port, is_required in module.inputs.items():
            if is_required and port not in draft.inputs:
                text = f"{draft.subject}: module {module.name} needs its input {shown(port)}"
                self._report.error(draft.at, text, f"add `{port}: <node>/<output>` to its `inputs`")

    def outputs_of(self, module: ModuleFile) -> dict[str, tuple[str, str] | None]:
        """For each output of a module the node in its file that sends it, and that node's name for it."""
        if module.path not in self._outputs:
            self._outputs[module.path] = {port: self._sender(module, port, at) for port, at in module.outputs.items()}
        return self._outputs[module.path]

    def _sender(self, module: ModuleFile, port: str, at: Place) -> tuple[str, str] | None:
        sent = {child.id: self._sent(child, port) for child in module.drafts}
        found = [(node, output) for node, outputs in sent.items() for output in outputs or ()]
        if len(found) == 1:
            return found[0]
        if found:
            senders = ", ".join(f"{node}/{output}" for node, output in found)
            text = f"module: output {shown(port)} is sent by several nodes: {senders}"
            self._report.error(at, text, "rename all but one")
        elif None not in sent.values():
            known = {output for child in module.drafts for output in child.outputs}
            text = f"module: no node of it sends the output {shown(port)}"
            self._report.error(at, text, self._report.suggest(port, known, name="sent are"))
        return None

    def _sent(self, child: NodeDraft, port: str) -> list[str] | None:
        """The outputs of a node in a module file that `port` may mean; None where that cannot be known."""
        if child.kind == MODULE:
            inner = self._reader.read(child.fields.get("module"), child.fields.value_at("module"), child.subject)
            return None if inner is None else [port] if port in inner.outputs else []
        if child.kind == UNKNOWN:
            return None
        if child.kind == RUNTIME and port not in child.outputs:
            return [output for output in child.outputs if output.partition("/")[2] == port]
        return [port] if port in child.outputs else []


def _is_default(fields: Fields, key: str) -> bool:
    return (key, fields.get(key)) in (("restart_policy", "never"), ("max_restarts", 0))


def _copy(child: NodeDraft, use: NodeDraft, module: ModuleFile) -> NodeDraft:
    """A node of a module file as a node of the dataflow."""
    copy = replace(child, id=f"{use.id}.{child.id}", fields=Fields(child.at, dict(child.fields.stated)))
    copy.subject = f"node {shown(copy.id)}"
    siblings = {sibling.id for sibling in module.drafts}
    if child.kind == RUNTIME:
        copy.operators = [
            replace(operator, fields=Fields(operator.at, dict(operator.fields.stated))) for operator in child.operators
        ]
        copy.inputs = {}
        for operator in copy.operators:
            operator.subject = copy.subject + operator.subject[len(child.subject) :]
            operator.inputs = _wired(operator.inputs, child, copy, use, siblings)
            copy.inputs |= {f"{operator.id}/{name}": entry for name, entry in operator.inputs.items()}
    else:
        copy.inputs = _wired(child.inputs, child, copy, use, siblings)
    _inherit(copy, use, module)
    return copy


def _wired(
    inputs: dict[str, InputDraft], child: NodeDraft, copy: NodeDraft, use: NodeDraft, siblings: set[str]
) -> dict[str, InputDraft]:
    """The inputs of a copy; those that read an optional port that is not wired are left out."""
    found: dict[str, InputDraft] = {}
    for name, entry in inputs.items():
        own = replace(entry, subject=copy.subject + entry.subject[len(child.subject) :])
        own.fields = Fields(entry.fields.at, dict(entry.fields.stated))
        source = entry.source
        if isinstance(source, OutputSource) and source.node == PORTS:
            outer = use.inputs.get(source.output)
            if outer is None:
                continue
            own.fields.stated.update({**outer.fields.stated, **own.fields.stated})
            own.subject, own.source_at = outer.subject, outer.source_at
            _rewire(own, outer.source)
        elif isinstance(source, OutputSource) and source.node in siblings:
            _rewire(own, OutputSource(f"{use.id}.{source.node}", source.output))
        elif isinstance(source, LogsSource) and source.node in siblings:
            _rewire(own, LogsSource(source.level, f"{use.id}.{source.node}"))
        found[name] = own
    return found


def _rewire(entry: InputDraft, source: Source | None) -> None:
    entry.source = source
    stated = entry.fields.stated.get("source")
    if source is not None and stated is not None:
        entry.fields.stated["source"] = stated._replace(value=source_text(source))


def _inherit(copy: NodeDraft, use: NodeDraft, module: ModuleFile) -> None:
    """What the node that uses a module hands down: environment, machine, build, parameters."""
    stated = copy.fields.stated
    if copy.kind == TIMER:
        return
    copy.env = {**use.env, **copy.env}
    if "deploy" in use.fields.stated:
        stated.setdefault("deploy", use.fields.stated["deploy"])
    builds = [build for build in (use.fields.get("build"), module.build) if build]
    if builds and not (copy.kind == STANDARD and copy.path == DYNAMIC):
        owner = copy.operators[0].fields if copy.operators else copy.fields
        own = owner.stated.get("build", Stated("", copy.at, copy.at))
        owner.stated["build"] = own._replace(value="\n".join([*builds, own.value]).rstrip("\n"))
    if copy.kind == MODULE:
        own_params = {name: substitute(value, use.params) for name, value in copy.params.items()}
        taken = {name.upper() for name in own_params}
        copy.params = {name: value for name, value in use.params.items() if name.upper() not in taken} | own_params
        return
    copy.env |= {f"PARAM_{name.upper()}": value for name, value in use.params.items()}
    if "args" in stated:
        stated["args"] = stated["args"]._replace(value=substitute(stated["args"].value, use.params))


def substitute(text: str, params: dict[str, str]) -> str:
    """Replace `$PARAM_NAME` and `${_param.name}`; unknown ones stay as they are."""
    by_upper = {name.upper(): value for name, value in params.items()}

    def value(match: re.Match[str]) -> str:
        found = by_upper.get(match["upper"]) if match["upper"] else params.get(match["name"])
        return match[0] if found is None else found

    return _PARAM.sub(value, text)
