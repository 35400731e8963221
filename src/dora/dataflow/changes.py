"""Changes of a graph that runs: one node more or less, an input that reads something else.

Strategy: a checked `Dataflow` in, another one out, with its `raw` (what `node.dataflow_descriptor()` returns) to match;
the old one stays as it is.  Whether a change makes sense is asked before (`live_node.py`, `live_wires.py`).  An
input whose source is gone leaves the node's plan but is remembered as unplugged, so that whoever connects it again
gets the queue that the file states.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from dora.dataflow.descriptor import DEFAULT_QUEUE_SIZE, DROP_OLDEST, Dataflow, Input, LogsSource, Node, OutputSource
from dora.dataflow.sources import source_text

SINGLE: Final = "operator"
SEVERAL: Final = "operators"


class StatedNode(NamedTuple):
    """A node that was read and checked, and its entry in `raw`."""

    node: Node
    raw: dict[str, Any]


def with_node(dataflow: Dataflow, stated: StatedNode) -> Dataflow:
    """The graph with that node, in the place of the one with its name if there is one.

    Inputs whose source is gone meanwhile are left out.
    """
    node = stated.node
    is_new = all(other.id != node.id for other in dataflow.nodes)
    nodes = (*dataflow.nodes, node) if is_new else tuple(node if old.id == node.id else old for old in dataflow.nodes)
    entries: list[dict[str, Any]] = list(dataflow.raw.get("nodes", []))
    if is_new:
        entries.append(stated.raw)
    else:
        entries = [stated.raw if entry["id"] == node.id else entry for entry in entries]
    unplugged = {port: kept for port, kept in dataflow.unplugged.items() if port.partition("/")[0] != node.id}
    changed = dataflow._replace(nodes=nodes, raw={**dataflow.raw, "nodes": entries}, unplugged=unplugged)
    known = {each.id for each in nodes}
    for port in node.inputs.values():
        if isinstance(port.source, OutputSource) and port.source.node not in known:
            changed = disconnected(changed, node.id, port.id)
    return changed


def without_node(dataflow: Dataflow, name: str) -> Dataflow:
    """The graph without that node; inputs that read its outputs, or its log, are unplugged."""
    for node in dataflow.nodes:
        for port in node.inputs.values():
            if node.id != name and _reads(port, name):
                dataflow = disconnected(dataflow, node.id, port.id)
    entries = [entry for entry in dataflow.raw.get("nodes", []) if entry["id"] != name]
    return dataflow._replace(
        nodes=tuple(node for node in dataflow.nodes if node.id != name),
        raw={**dataflow.raw, "nodes": entries},
        unplugged={port: kept for port, kept in dataflow.unplugged.items() if port.partition("/")[0] != name},
    )


def connected(dataflow: Dataflow, name: str, port: Input) -> Dataflow:
    """The graph in which that input of the node `name` is as stated, whether it was there before or not."""
    source: str | dict[str, Any] = source_text(port.source)
    options: dict[str, Any] = {}
    if port.is_stated:
        options = {"queue_size": port.queue_size, "queue_policy": port.queue_policy}
    if port.input_timeout_s is not None:
        options["input_timeout"] = port.input_timeout_s
    unplugged = {key: kept for key, kept in dataflow.unplugged.items() if key != f"{name}/{port.id}"}
    changed = dataflow._replace(unplugged=unplugged)
    return _with_input(changed, name, port.id, port, {"source": source, **options} if options else source)


def disconnected(dataflow: Dataflow, name: str, port: str) -> Dataflow:
    """The graph in which nothing feeds that input of the node `name`."""
    node = next(node for node in dataflow.nodes if node.id == name)
    changed = dataflow._replace(unplugged={**dataflow.unplugged, f"{name}/{port}": node.inputs[port]})
    return _with_input(changed, name, port, None, None)


def settings_of(dataflow: Dataflow, name: str, port: str) -> Input | None:
    """What is known of an input that nothing feeds at present."""
    return dataflow.unplugged.get(f"{name}/{port}")


def plugged(port: str, source: OutputSource | LogsSource, kept: Input | None) -> Input:
    """An input that reads `source`, with the queue that it had before, if it was there."""
    if kept is None:
        return Input(port, source, DEFAULT_QUEUE_SIZE, DROP_OLDEST)
    return kept._replace(source=source)


def _reads(port: Input, name: str) -> bool:
    source = port.source
    return isinstance(source, (OutputSource, LogsSource)) and source.node == name


def _with_input(dataflow: Dataflow, name: str, port: str, stated: Input | None, source: object) -> Dataflow:
    nodes = tuple(_node_with(node, port, stated) if node.id == name else node for node in dataflow.nodes)
    entries = [
        _entry_with(entry, port, source) if entry["id"] == name else entry for entry in dataflow.raw.get("nodes", [])
    ]
    return dataflow._replace(nodes=nodes, raw={**dataflow.raw, "nodes": entries})


def _node_with(node: Node, port: str, stated: Input | None) -> Node:
    node = node._replace(inputs=_put(node.inputs, port, stated))
    owner, _, own_name = port.partition("/")
    if not node.operators:
        return node
    own = None if stated is None else stated._replace(id=own_name)
    operators = tuple(
        each._replace(inputs=_put(each.inputs, own_name, own)) if each.id == owner else each for each in node.operators
    )
    return node._replace(operators=operators)


def _entry_with(entry: dict[str, Any], port: str, source: object) -> dict[str, Any]:
    owner, _, own_name = port.partition("/")
    if SINGLE in entry:
        single = entry[SINGLE]
        return {**entry, SINGLE: {**single, "inputs": _put(single["inputs"], own_name, source)}}
    if SEVERAL in entry:
        several = [
            {**each, "inputs": _put(each["inputs"], own_name, source)} if each["id"] == owner else each
            for each in entry[SEVERAL]
        ]
        return {**entry, SEVERAL: several}
    return {**entry, "inputs": _put(entry["inputs"], port, source)}


def _put(ports: dict[str, Any], port: str, value: object) -> dict[str, Any]:
    """The mapping with that entry, or without it; an entry that was there keeps its place."""
    if value is None:
        return {key: kept for key, kept in ports.items() if key != port}
    return {**ports, port: value}
