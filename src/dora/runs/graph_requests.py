"""A change of a running graph, from the words of the API to those of the runner."""

from __future__ import annotations

from dora.messages import api
from dora.messages import runner_daemon as messages


def add_node(body: api.NodeAddRequest) -> messages.AddNode:
    """One node more."""
    return messages.AddNode(body.text, body.file)


def remove_node(node: str, body: api.NodeRemoveRequest) -> messages.RemoveNode:
    """One node less."""
    return messages.RemoveNode(node, body.grace_s, body.is_forced)


def replace_node(node: str, body: api.NodeReplaceRequest) -> messages.ReplaceNode:
    """Another node in the place of one."""
    return messages.ReplaceNode(node, body.text, body.file, body.grace_s)


def connect_input(body: api.ConnectRequest) -> messages.Connect:
    """An input reads an output."""
    return messages.Connect(body.source, body.target, body.is_instead, body.queue_size, body.queue_policy)


def disconnect_input(body: api.DisconnectRequest) -> messages.Disconnect:
    """An input reads nothing."""
    return messages.Disconnect(body.source, body.target)
