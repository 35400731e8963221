"""Checks what ports say about types, metadata and patterns: warnings, or errors where types are strict.

Strategy: works on drafts after modules and timers are resolved.  Nothing is looked at, and no file of types is read,
unless some port states a type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from dora.dataflow.descriptor import LogsSource, OutputSource, TimerSource
from dora.dataflow.fields import Fields, Stated
from dora.dataflow.nodes import RUNTIME, UNKNOWN, NodeDraft
from dora.dataflow.operators import OperatorDraft, port_fields
from dora.dataflow.ports import InputDraft
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.schema import PATTERNS
from dora.dataflow.sources import source_text
from dora.dataflow.std_types import STRING, TICK
from dora.dataflow.types import TypeLibrary, TypeUse, parse_use
from dora.dataflow.user_types import read_user_types

_TICK: Final = TypeUse(TICK)
_LOGS: Final = TypeUse(STRING)


class Typed(NamedTuple):
    """What is known about types.

    Attributes:
        inferred: a type by input, as `<node>/<input>`, where only the output states one.
        own: the types of the user's files.
    """

    inferred: dict[str, str]
    own: tuple[str, ...] = ()


def check_types(drafts: list[NodeDraft], root: Fields, file: str, report: Report, *, is_strict: bool) -> Typed:
    """Look at all types of a dataflow.

    Args:
        root: the fields of the file's root.
        file: the dataflow; its folder may have a folder `types`.
        is_strict: also typed inputs that read an untyped output are warned about.
    """
    for draft in drafts:
        owners: Sequence[NodeDraft | OperatorDraft] = draft.operators or (draft,)
        for owner in owners:
            _check_ports(owner, report)
            _check_pattern(owner, report)
    rules: list[tuple[Fields, Place]] = root.get("type_rules", [])
    if not rules and not any(_states_types(draft) for draft in drafts):
        return Typed({})
    own = read_user_types(file, report)
    library = TypeLibrary(own, [(_urn(rule.get("from", "")), _urn(rule.get("to", ""))) for rule, _ in rules])
    checker = _Checker(library, report, is_strict=is_strict)
    checker.check_rules(rules)
    return Typed(checker.check(drafts), tuple(each.urn for each in own))


def _states_types(draft: NodeDraft) -> bool:
    owners = [operator.fields for operator in draft.operators] or [draft.fields]
    return any(key in fields.stated for fields in owners for key in ("input_types", "output_types"))


def _urn(text: str) -> str:
    use = parse_use(text)
    return text if use is None else use.urn


class _Checker:
    def __init__(self, library: TypeLibrary, report: Report, *, is_strict: bool) -> None:
        self._library = library
        self._report = report
        self._is_strict = is_strict
        self._stated: set[tuple[str, str]] = set()

    def check_rules(self, rules: list[tuple[Fields, Place]]) -> None:
        """Rules name types that exist."""
        for rule, _ in rules:
            for key in ("from", "to"):
                if key in rule.stated:
                    self._use(rule.get(key), rule.value_at(key), "'type_rules'")

    def check(self, drafts: list[NodeDraft]) -> dict[str, str]:
        """All ports and all edges; returns what could be inferred."""
        sent = {(draft.id, port): use for draft in drafts for port, (use, _) in self._uses(draft, "output").items()}
        inferred: dict[str, str] = {}
        for draft in drafts:
            expected = self._uses(draft, "input")
            for port, entry in draft.inputs.items():
                upstream = _upstream(entry, sent)
                if port in expected:
                    use, at = expected[port]
                    self._check_edge(entry, at, use, upstream)
                elif upstream is not None and isinstance(entry.source, OutputSource):
                    inferred[f"{draft.id}/{port}"] = str(upstream)
        return inferred

    def _uses(self, draft: NodeDraft, direction: str) -> dict[str, tuple[TypeUse, Place]]:
        """The types of a node's ports, by full names; unknown ones are reported and left out."""
        key = f"{direction}_types"
        if draft.kind == UNKNOWN:
            return {}
        stated: Mapping[str, Stated] = draft.fields.get(key, {})
        if draft.kind == RUNTIME:
            stated = port_fields(draft.operators, key)
        found = {}
        for port, entry in stated.items():
            if direction == "output":
                self._stated.add((draft.id, port))
            use = self._use(entry.value, entry.at, f"{draft.subject}: {direction} {shown(port)}")
            if use is not None:
                found[port] = use, entry.at
        return found

    def _use(self, text: str, at: Place, subject: str) -> TypeUse | None:
        use = parse_use(text)
        known = None if use is None else self._library.get(use.urn)
        if use is None:
            written = f"{subject}: expected a type such as std/core/v1/Float32, found {shown(text)}"
            self._report.warn_type(at, written)
            return None
        if known is None:
            self._report.warn_type(at, f"{subject}: there is no type {shown(use.urn)}", self._meant(use.urn))
            return None
        for name in use.params:
            if name not in known.params:
                hint = self._report.suggest(name, known.params) or "remove it"
                self._report.warn_type(at, f"{subject}: type {known.urn} has no parameter {shown(name)}", hint)
        return use

    def _meant(self, urn: str) -> str:
        found = self._library.find(urn)
        if found is not None:
            return f"did you mean '{found.urn}'?"
        ends = {known.rpartition("/")[2]: known for known in self._library.types}
        hint = self._report.suggest(urn, self._library.types)
        if not hint.startswith("did"):
            last = self._report.suggest(urn.rpartition("/")[2], ends)
            name = last.partition("'")[2].partition("'")[0]
            hint = f"did you mean '{ends[name]}'?" if last.startswith("did") else ""
        return hint

    def _check_edge(self, entry: InputDraft, at: Place, expected: TypeUse, upstream: TypeUse | None) -> None:
        source = entry.source
        if upstream is None:
            if (
                self._is_strict
                and isinstance(source, OutputSource)
                and (source.node, source.output) not in self._stated
            ):
                text = f"{entry.subject} expects {expected}, but {source_text(source)} states no type"
                self._report.warn_type(at, text, f"add `output_types: {{{source.output}: {expected}}}` there")
            return
        if self._library.may_feed(upstream, expected):
            return
        sender = "" if source is None else source_text(source)
        text = f"{entry.subject} expects {expected}, but {sender} is {upstream}"
        detail = self._library.difference(upstream, expected)
        hint = f"mend one of them, or allow it with `type_rules: [{{from: {upstream.urn}, to: {expected.urn}}}]`"
        if upstream.urn == expected.urn or not isinstance(source, OutputSource):
            hint = "change the type"
        self._report.warn_type(at, f"{text} ({detail})" if detail else text, hint)


def _check_ports(draft: NodeDraft | OperatorDraft, report: Report) -> None:
    """What is said about ports is said about ports that exist."""
    owner = "operator" if isinstance(draft, OperatorDraft) else "node"
    ports: dict[str, tuple[str, dict[str, object]]] = {
        "input_types": ("input", dict(draft.inputs)),
        "output_types": ("output", dict(draft.outputs)),
        "output_framing": ("output", dict(draft.outputs)),
        "output_metadata": ("output", dict(draft.outputs)),
    }
    for key, (noun, known) in ports.items():
        stated: dict[str, Stated] = draft.fields.get(key, {})
        for port, entry in stated.items():
            if port not in known:
                text = f"{draft.subject}: '{key}' names {shown(port)}, which is no {noun} of this {owner}"
                warn = report.warn if key == "output_framing" else report.warn_type
                warn(entry.key_at, text, report.suggest(port, known))


def _check_pattern(draft: NodeDraft | OperatorDraft, report: Report) -> None:
    pattern = draft.fields.get("pattern")
    if pattern is not None and pattern not in PATTERNS:
        text = f"{draft.subject}: 'pattern': expected one of {', '.join(PATTERNS)}, found {shown(pattern)}"
        hint = report.suggest(pattern, PATTERNS)
        report.warn_type(draft.fields.value_at("pattern"), text, hint if hint.startswith("did") else "")


def _upstream(entry: InputDraft, sent: Mapping[tuple[str, str], TypeUse]) -> TypeUse | None:
    source = entry.source
    if isinstance(source, OutputSource):
        return sent.get((source.node, source.output))
    return _TICK if isinstance(source, TimerSource) else _LOGS if isinstance(source, LogsSource) else None
