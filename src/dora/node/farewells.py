"""What a node is told when those who feed it fail or are restarted: each ending once, however many inputs it feeds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from dora.messages import node_runner as messages
from dora.node import events
from dora.node.inputs import Edge, Input


class Farewells:
    """Remembers what was told.

    Attributes:
        restarted: nodes that feed this one, each time that one of them was restarted.
    """

    def __init__(self) -> None:
        self.restarted: Final[list[str]] = []
        self._told: set[tuple[str, str, int]] = set()

    def of(self, edge: Edge, reader: Input, inputs: Collection[Input]) -> list[events.Event]:
        """NODE_RESTARTED or NODE_FAILED, where the sender of that edge of `reader` has so ended and it is news.

        Args:
            inputs: all of the node's, of which others may be affected.
        """
        told = (edge.source, edge.verdict, edge.run)
        if told in self._told or edge.verdict not in (messages.RESTARTING, messages.FAILED):
            return []
        self._told.add(told)
        if edge.verdict == messages.RESTARTING:
            self.restarted.append(edge.source)
            return [events.node_restarted(edge.source)]
        others = (one for one in inputs if any(fed.source == edge.source for fed in one.edges))
        return [events.node_failed(edge.source, edge.error, sorted({reader.id, *(one.id for one in others)}))]
