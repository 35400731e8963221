"""The runtime parameters of a run's nodes (dora node-api, section 12; dora cli, `dora param`).

Strategy: the runner keeps them, for as long as the run goes on; nobody else is needed.  A node that runs is told every
change, in order.  A node that starts, for the first time or again, is told all that it has, the latest change last,
before its first message: a restart loses nothing, and what was set before the node was there is not lost either.
"""

from __future__ import annotations

from typing import Final

from dora.messages.params import MAX_KEYS, MAX_TOTAL_BYTES


class ParamBook:
    """The parameters of all nodes, each as JSON text; also those that were set before the nodes exist."""

    def __init__(self) -> None:
        self._nodes: Final[dict[str, dict[str, str]]] = {}
        self._total_bytes = 0

    def set(self, node: str, key: str, value: str | None) -> None:
        """Keep a value, or with None forget it."""
        params = self._nodes.setdefault(node, {})
        former = params.pop(key, None)  # so that a key that is set again is told last
        self._total_bytes -= 0 if former is None else _size(key, former)
        if value is not None:
            params[key] = value
            self._total_bytes += _size(key, value)

    def forget(self, node: str) -> None:
        """The node is no more, and its name may be another's."""
        for key in self.of(node):
            self.set(node, key, None)
        self._nodes.pop(node, None)

    def of(self, node: str) -> dict[str, str]:
        """The parameters of a node, in the order in which they were last set."""
        return dict(self._nodes.get(node, {}))

    def all(self) -> dict[str, dict[str, str]]:
        """Those of every node that has some."""
        return {node: dict(params) for node, params in self._nodes.items() if params}

    def fault(self, node: str, key: str, value: str) -> str:
        """Why there is no room for that value, or nothing."""
        params = self._nodes.get(node, {})
        if key not in params and len(params) >= MAX_KEYS:
            return f"node `{node}` has {MAX_KEYS} parameters, the most that is possible"
        former = params.get(key)
        size = self._total_bytes + _size(key, value) - (0 if former is None else _size(key, former))
        if size > MAX_TOTAL_BYTES:
            return f"the parameters of this dataflow would have {size} bytes, the most is {MAX_TOTAL_BYTES}"
        return ""


def _size(key: str, value: str) -> int:
    return len(key.encode()) + len(value.encode())
