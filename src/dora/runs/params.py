"""What is said about parameters that are not there; the same with a service and without one."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from dora.messages import api


def unknown_param(node: str, key: str, known: Collection[str]) -> api.Problem:
    """The node has no parameter of that name."""
    has = f"has: {', '.join(known)}" if known else "it has none"
    message = f"node `{node}` has no parameter `{key}` ({has})"
    return api.Problem(code=api.UNKNOWN_PARAM, message=message, hint=_tip(key, known))


def check_node(info: api.DataflowInfo, node: str) -> api.Problem | None:
    """What is wrong with that name of a node of a dataflow that is over."""
    names = [one.id for one in info.nodes]
    if node in names:
        return None
    has = f"nodes: {', '.join(names)}" if names else "it has none"
    message = f"there is no node `{node}` in {info.called} ({has})"
    return api.Problem(code=api.UNKNOWN_NODE, message=message, hint=_tip(node, names))


def _tip(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean `{close[0]}`?" if close else ""
