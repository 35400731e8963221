"""Names of types: what they mean, and which type may feed which (dora dataflow-yaml, section 14).

Strategy: a `TypeLibrary` holds the standard types and those of the user's files; ports state `URN` or
`URN[parameter=value,...]`.  One type may feed another when both are the same and agree on the parameters that both
state, when the other is Bytes, or over at most three steps of widening, built in or stated in `type_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from dora.dataflow.std_types import ARROW_NAMES, BYTES, STANDARD_TYPES, STRUCT, WIDENINGS, Type, TypeField

MAX_STEPS: Final = 3
MAX_LIST_DEPTH: Final = 8

_WRITTEN: Final = re.compile(r"(?P<urn>[^\[\]\s]+)(?:\[(?P<params>[^\[\]]*)\])?")
_PARAM: Final = re.compile(r"\s*(?P<name>[A-Za-z0-9_]+)\s*=\s*(?P<value>[^,=\s]+)\s*")
_LIST: Final = re.compile(r"List<(.+)>")


class TypeUse(NamedTuple):
    """A type as a port states it."""

    urn: str
    params: Mapping[str, str] = MappingProxyType({})

    def __str__(self) -> str:
        params = ",".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.urn}[{params}]" if params else self.urn


def parse_use(text: str) -> TypeUse | None:
    """The type that a port states; None if the text is not of that form."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return None
    params: dict[str, str] = {}
    for part in found["params"].split(",") if found["params"] else ():
        pair = _PARAM.fullmatch(part)
        if pair is None or pair["name"] in params:
            return None
        params[pair["name"]] = pair["value"]
    return TypeUse(found["urn"], params)


class TypeLibrary:
    """All types of one dataflow."""

    def __init__(self, own: Iterable[Type] = (), rules: Iterable[tuple[str, str]] = ()) -> None:
        """`rules` say which type may feed which, beside the built-in widenings."""
        self.types: Final = {**STANDARD_TYPES, **{each.urn: each for each in own}}
        self._wider: dict[str, set[str]] = {}
        for narrow, wide in (*WIDENINGS, *rules):
            self._wider.setdefault(narrow, set()).add(wide)

    def get(self, urn: str) -> Type | None:
        """The type of that full name."""
        return self.types.get(urn)

    def find(self, name: str) -> Type | None:
        """The type of a full name, or of the end of one if there is only one such."""
        found = self.types.get(name)
        if found is not None:
            return found
        ends = [each for urn, each in self.types.items() if urn.endswith(f"/{name}")]
        return ends[0] if len(ends) == 1 else None

    def may_feed(self, sent: TypeUse, expected: TypeUse) -> bool:
        """Whether an input of one type may read an output of the other."""
        if sent.urn == expected.urn:
            return all(sent.params[name] == value for name, value in expected.params.items() if name in sent.params)
        return expected.urn == BYTES or expected.urn in self._widened(sent.urn)

    def _widened(self, urn: str) -> set[str]:
        found, last = {urn}, {urn}
        for _ in range(MAX_STEPS):
            last = {wide for narrow in last for wide in self._wider.get(narrow, ())} - found
            found |= last
        return found

    def difference(self, sent: TypeUse, expected: TypeUse) -> str:
        """In what two structures differ, for a message; empty if there is nothing to compare."""
        upper, lower = self.get(sent.urn), self.get(expected.urn)
        if upper is None or lower is None or upper.urn == lower.urn:
            return ""
        if upper.arrow != STRUCT or lower.arrow != STRUCT:
            return f"{upper.arrow} is sent, {lower.arrow} expected"
        have = {each.name: each.type for each in upper.fields}
        want = {each.name: each.type for each in lower.fields}
        parts = [f"field '{name}' is missing" for name in want if name not in have]
        other = [name for name in want if have.get(name, want[name]) != want[name]]
        parts += [f"field '{name}' is {have[name]} instead of {want[name]}" for name in other]
        return ", ".join(parts)

    def field_fault(self, entry: TypeField) -> str | None:
        """What is wrong with the type of a field, or None."""
        inner, depth = entry.type.strip(), 0
        while (found := _LIST.fullmatch(inner)) is not None:
            inner, depth = found[1].strip(), depth + 1
        if depth > MAX_LIST_DEPTH:
            return f"lists are nested more than {MAX_LIST_DEPTH} levels deep"
        if inner in ARROW_NAMES or self.find(inner) is not None:
            return None
        return f"there is no type '{inner}'"
