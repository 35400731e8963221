"""The extension table of a run: opaque bytes by namespace and key, kept for the nodes (dora node-api, section 18).

Strategy: plain rules over values that are not looked at.  An entry belongs to the node that stored it and goes with
that node's link; who stored or read a key is told once, on asking, that it was dropped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

MOST_ENTRIES: Final = 8192
MOST_NOTICES: Final = 4096

Value = TypeVar("Value")
_Key = tuple[str, str]


@dataclass
class _Entry(Generic[Value]):
    owner: str
    value: Value
    readers: set[str] = field(default_factory=set)


class ExtensionTable(Generic[Value]):
    """The entries, and which drops each node has not heard of."""

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry[Value]] = {}
        self._notices: dict[str, deque[_Key]] = {}

    def store(self, node: str, namespace: str, key: str, value: Value) -> str:
        """Keep a value; returns why not, or ""."""
        at = (namespace, key)
        old = self._entries.get(at)
        if old is not None and old.owner != node:
            return f"{key!r} in {namespace!r} was stored by node `{old.owner}`: only that node may overwrite it"
        if old is None and len(self._entries) >= MOST_ENTRIES:
            return f"the extension table of this dataflow is full ({MOST_ENTRIES} entries): drop some"
        self._entries[at] = _Entry(node, value, old.readers if old is not None else set())
        return ""

    def load(self, node: str, namespace: str, key: str) -> Value | None:
        """The value, or None; from now on the node hears when it is dropped."""
        entry = self._entries.get((namespace, key))
        if entry is None:
            return None
        entry.readers.add(node)
        return entry.value

    def drop(self, namespace: str, key: str) -> None:
        """Forget the value; harmless when there is none."""
        entry = self._entries.pop((namespace, key), None)
        for node in () if entry is None else {entry.owner, *entry.readers}:
            self._notices.setdefault(node, deque(maxlen=MOST_NOTICES)).append((namespace, key))

    def take_dropped(self, node: str, namespace: str) -> list[str]:
        """Keys of the namespace that were dropped since the node last asked, oldest first."""
        notices = self._notices.get(node, deque())
        found = [key for place, key in notices if place == namespace]
        kept = [notice for notice in notices if notice[0] != namespace]
        notices.clear()
        notices.extend(kept)
        return found

    def forget_node(self, node: str) -> None:
        """The node's link is gone: what it stored vanishes."""
        for namespace, key in [at for at, entry in self._entries.items() if entry.owner == node]:
            self.drop(namespace, key)
        self._notices.pop(node, None)
        for entry in self._entries.values():
            entry.readers.discard(node)
