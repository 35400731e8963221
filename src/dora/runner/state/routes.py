"""The graph as the runner wires it: one route per input that reads an output.

Strategy: timers live in the receiving node and have no route.  What the runner itself sends (`send_stdout_as`,
`send_logs_as`, `dora/logs`) are ordinary routes whose sender has a name that no node can have: it contains a `/`.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from dora.dataflow.descriptor import BACKPRESSURE, Dataflow, Input, LogsSource, Node, OutputSource, TimerSource
from dora.runner.effects import Route

ALL_LOGS: Final = "dora/logs"
"""sender of every `dora/logs` input; never closes"""
_LOGS_OF: Final = "/logs"
_TAP: Final = "dora/tap/"  # no node is called `dora`
_GUEST: Final = "dora/guest/"


def logs_sender(node: str) -> str:
    """Name of the sender of that node's `send_stdout_as` and `send_logs_as` outputs."""
    return node + _LOGS_OF


def is_runner_sender(sender: str) -> bool:
    """Whether the runner itself writes what this sender sends."""
    return "/" in sender and not is_guest(sender)


def guest_sender(number: int) -> str:
    """Name of somebody outside who publishes on an output, beside its node."""
    return f"{_GUEST}{number}"


def is_guest(sender: str) -> bool:
    """Whether this sender is outside."""
    return sender.startswith(_GUEST)


def sender_of(node: Node, output: str) -> str:
    """Who sends on that output of the node: the node, or the runner for it."""
    return logs_sender(node.id) if output in log_outputs(node) else node.id


def tap_reader(number: int) -> str:
    """Name of a late reader of an output, which is no node: somebody who looks at it from outside."""
    return f"{_TAP}{number}"


def is_tap(reader: str) -> bool:
    """Whether this reader looks from outside."""
    return reader.startswith(_TAP)


def tap_route(node: Node, output: str, *, number: int, slot: int, queue_size: int) -> Route:
    """The route of a late reader: a stated `drop_oldest` input, so it holds nobody up (design.md 11.13)."""
    return Route(
        sender=sender_of(node, output),
        source=node.id,
        output=output,
        reader=tap_reader(number),
        input=str(number),
        slot=slot,
        queue_size=queue_size,
        is_stated=True,
    )


def log_outputs(node: Node) -> frozenset[str]:
    """Outputs of the node that the runner sends."""
    return frozenset(name for name in (node.log.send_stdout_as, node.log.send_logs_as) if name)


def routes_of(dataflow: Dataflow) -> list[Route]:
    """All routes, in file order; their slots count from 0."""
    by_runner = {node.id: log_outputs(node) for node in dataflow.nodes}
    routes: list[Route] = []
    for node in dataflow.nodes:
        for port in node.inputs.values():
            route = _route(node.id, port, by_runner, len(routes))
            if route is not None:
                routes.append(route)
    return routes


def sibling_routes(dataflow: Dataflow) -> list[Route]:
    """What operators of one node send each other: never wired, but counted; their slots follow those of `routes_of`."""
    first = len(routes_of(dataflow))
    routes: list[Route] = []
    for node in dataflow.nodes:
        for operator in node.operators:
            for port in operator.inputs.values():
                route = _route(node.id, port, {}, first + len(routes))
                name = f"{operator.id}/{port.id}"
                if isinstance(port.source, OutputSource) and route is not None and name not in node.inputs:
                    routes.append(replace(route, sender=node.id, source=node.id, input=name))
    return routes


def counted_routes(dataflow: Dataflow) -> list[Route]:
    """All that has a line in the counters page."""
    return [*routes_of(dataflow), *sibling_routes(dataflow)]


def _route(reader: str, port: Input, by_runner: dict[str, frozenset[str]], slot: int) -> Route | None:
    source = port.source
    if isinstance(source, TimerSource):
        return None
    if isinstance(source, LogsSource):
        sender, shown, output = ALL_LOGS, "dora", logs_output(source)
    else:
        sender, shown, output = source.node, source.node, source.output
        if output in by_runner.get(sender, frozenset()):
            sender = logs_sender(sender)
    return Route(
        sender=sender,
        source=shown,
        output=output,
        reader=reader,
        input=port.id,
        slot=slot,
        queue_size=max(1, port.queue_size),
        is_lossless=port.queue_policy == BACKPRESSURE and not is_runner_sender(sender),
        is_stated=port.is_stated or is_runner_sender(sender),
    )


def logs_output(source: LogsSource) -> str:
    """The output that carries the entries of this log input: `logs[/level[/node]]`."""
    return "/".join(part for part in ("logs", source.level, source.node) if part)


def has_data_input(node: Node) -> bool:
    """Whether another node (or the node itself) feeds it."""
    return any(isinstance(port.source, OutputSource) for port in node.inputs.values())


def has_timer(node: Node) -> bool:
    """Whether a timer feeds it."""
    return any(isinstance(port.source, TimerSource) for port in node.inputs.values())


def waits_in_barrier(node: Node) -> bool:
    """Whether the start waits for this node: it is ours to start and has inputs, or outputs that it sends itself."""
    return not node.is_dynamic and bool(node.inputs or set(node.outputs) - log_outputs(node))
