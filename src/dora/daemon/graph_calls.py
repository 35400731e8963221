"""Requests that change the graph of a dataflow that runs: each becomes a request to its runner."""

from __future__ import annotations

import msgspec

from dora.daemon.calls import Call
from dora.messages import runner_daemon as messages


async def add_node(call: Call) -> msgspec.Struct:
    """One node more."""
    return await _change(call, messages.AddNode(call.body.text, call.body.file), waits=call.body.waits)


async def remove_node(call: Call) -> msgspec.Struct:
    """One node less."""
    body = call.body
    return await _change(call, messages.RemoveNode(call.path["node"], body.grace_s, body.is_forced), waits=body.waits)


async def replace_node(call: Call) -> msgspec.Struct:
    """Another node in the place of one."""
    body = call.body
    request = messages.ReplaceNode(call.path["node"], body.text, body.file, body.grace_s)
    return await _change(call, request, waits=body.waits)


async def connect_input(call: Call) -> msgspec.Struct:
    """An input reads an output."""
    body = call.body
    request = messages.Connect(body.source, body.target, body.is_instead, body.queue_size, body.queue_policy)
    return await _change(call, request)


async def disconnect_input(call: Call) -> msgspec.Struct:
    """An input reads nothing."""
    return await _change(call, messages.Disconnect(call.body.source, call.body.target))


async def _change(call: Call, request: messages.Request, *, waits: bool = False) -> msgspec.Struct:
    return await call.service.change_graph(call.path["dataflow"], request, waits=waits)
