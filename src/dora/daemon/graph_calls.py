"""Requests that change the graph of a dataflow that runs: each becomes a request to its runner."""

from __future__ import annotations

import msgspec

from dora.daemon.calls import Call
from dora.messages import runner_daemon as messages
from dora.runs import graph_requests


async def add_node(call: Call) -> msgspec.Struct:
    """One node more."""
    return await _change(call, graph_requests.add_node(call.body), waits=call.body.waits)


async def remove_node(call: Call) -> msgspec.Struct:
    """One node less."""
    return await _change(call, graph_requests.remove_node(call.path["node"], call.body), waits=call.body.waits)


async def replace_node(call: Call) -> msgspec.Struct:
    """Another node in the place of one."""
    return await _change(call, graph_requests.replace_node(call.path["node"], call.body), waits=call.body.waits)


async def connect_input(call: Call) -> msgspec.Struct:
    """An input reads an output."""
    return await _change(call, graph_requests.connect_input(call.body))


async def disconnect_input(call: Call) -> msgspec.Struct:
    """An input reads nothing."""
    return await _change(call, graph_requests.disconnect_input(call.body))


async def _change(call: Call, request: messages.Request, *, waits: bool = False) -> msgspec.Struct:
    return await call.service.change_graph(call.path["dataflow"], request, waits=waits)
