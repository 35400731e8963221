"""When a change of a running graph is done, seen from outside: runners answer at once, processes take their time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dora.errors import ConnectionLost
from dora.messages import runner_daemon as messages
from dora.runs.link import RunnerLink

READY_PATIENCE_S: Final = 15.0
"""how long a node that was added may take to connect before who asked is answered"""
_STOP_EXTRA_S: Final = 15.0
_BEGINNING: Final = frozenset({messages.WAITING, messages.STARTING, messages.RESTARTING})

Nodes = Sequence[messages.NodeState]
Condition = Callable[[Nodes], bool]


def done_when(request: messages.Request, node: str, before: Nodes) -> Condition:
    """What the nodes look like when that change of `node` is done.

    Args:
        before: the nodes before it was asked for.
    """
    if isinstance(request, messages.RemoveNode):
        return lambda nodes: _find(nodes, node) is None
    restarts = getattr(_find(before, node), "restarts", 0)
    if isinstance(request, messages.ReplaceNode):
        return lambda nodes: _is_replaced(_find(nodes, node), restarts)
    if isinstance(request, messages.AddNode):
        return lambda nodes: (found := _find(nodes, node)) is not None and found.state not in _BEGINNING
    return lambda _: True


def patience_s(request: messages.Request) -> float:
    """How long to wait for that."""
    if isinstance(request, messages.RemoveNode | messages.ReplaceNode):
        return request.grace_s + _STOP_EXTRA_S
    return READY_PATIENCE_S


def with_news(nodes: Nodes, news: messages.Changed) -> list[messages.NodeState]:
    """The nodes after a change of their states."""
    known: Mapping[str, messages.NodeState] = {node.id: node for node in nodes}
    merged = {**known, **{node.id: node for node in news.nodes}}
    return [node for name, node in merged.items() if name not in news.removed]


def wait_until_done(link: RunnerLink, request: messages.Request, node: str, before: messages.Described) -> None:
    """Wait for that on a link that watches; the end of the run ends it, too.

    Args:
        before: what the runner answered to `Watch`.
    """
    is_done = done_when(request, node, before.nodes)
    nodes: Nodes = before.nodes
    due_s = time.monotonic() + patience_s(request)
    while not is_done(nodes):
        try:
            news = link.next_change(max(0.0, due_s - time.monotonic()))
        except ConnectionLost:
            return
        if not isinstance(news, messages.Changed):
            return
        nodes = with_news(nodes, news)


def _find(nodes: Nodes, name: str) -> messages.NodeState | None:
    return next((node for node in nodes if node.id == name), None)


def _is_replaced(node: messages.NodeState | None, restarts: int) -> bool:
    if node is None or node.state in (messages.FINISHED, messages.FAILED, messages.STOPPED):
        return True
    return node.restarts > restarts and node.state not in _BEGINNING
