"""What is said about nodes and parameters that are not there; the same with a service and without one."""

from __future__ import annotations

from collections.abc import Collection

from dora.hints import did_you_mean
from dora.messages import api
from dora.runs.choosing import shown_name


def unknown_param(node: str, key: str, known: Collection[str]) -> api.Problem:
    """The node has no parameter of that name."""
    has = f"has: {', '.join(known)}" if known else "it has none"
    message = f"node `{node}` has no parameter `{key}` ({has})"
    return api.Problem(code=api.UNKNOWN_PARAM, message=message, hint=did_you_mean(key, known))


def check_node(info: api.DataflowInfo, node: str) -> api.Problem | None:
    """What is wrong with that name of a node of a dataflow that is over."""
    return None if any(one.id == node for one in info.nodes) else unknown_node(info, node)


def unknown_node(info: api.DataflowInfo, node: str) -> api.Problem:
    """The dataflow has no node of that name."""
    names = [one.id for one in info.nodes]
    has = f"nodes: {', '.join(names)}" if names else "it has none"
    message = f"there is no node `{node}` in {shown_name(info)} ({has})"
    return api.Problem(code=api.UNKNOWN_NODE, message=message, hint=did_you_mean(node, names))
