"""Connects and disconnects inputs of a graph that runs: what is wrong with the wish, or the graph as wished."""

from __future__ import annotations

from typing import Final, NamedTuple

from dora.dataflow.changes import connected, disconnected, plugged, settings_of
from dora.dataflow.descriptor import BACKPRESSURE, DROP_OLDEST, Dataflow, LogsSource, Node, OutputSource
from dora.dataflow.live_types import type_fault
from dora.dataflow.report import NOWHERE, Report
from dora.dataflow.sources import read_source, source_text
from dora.errors import DoraError
from dora.hints import did_you_mean, near_and_all
from dora.ids import data_id_fault

NODE: Final = "node"
OUTPUT: Final = "output"
INPUT: Final = "input"
OTHER: Final = "other"

MOST_QUEUED: Final = 1_000_000


class WireFault(DoraError):
    """A wish that cannot be granted.

    Attributes:
        about: `NODE`, `OUTPUT` or `INPUT`: there is no such; else `OTHER`.
    """

    def __init__(self, about: str, message: str) -> None:
        super().__init__(message)
        self.about: Final = about


class Wish(NamedTuple):
    """An input that is to read an output.

    Attributes:
        source: `<node>/<output>`, or `dora/logs[/level[/node]]`.
        target: `<node>/<input>`.
        is_instead: it may read something else now, and then reads this in its place.
        queue_size, queue_policy: of the input; None: as it was before, or as nothing is stated.
    """

    source: str
    target: str
    is_instead: bool = False
    queue_size: int | None = None
    queue_policy: str | None = None


class Wired(NamedTuple):
    """The graph as wished, the wire in words, and what the user may not have expected."""

    dataflow: Dataflow
    source: OutputSource | LogsSource
    reader: Node
    input: str
    notes: tuple[str, ...] = ()


def connect(dataflow: Dataflow, wish: Wish) -> Wired:
    """The graph in which the input reads the output.

    Raises:
        WireFault: it cannot.
    """
    reader, name = _target(dataflow, wish.target)
    source = _source(dataflow, wish.source)
    present = reader.inputs.get(name)
    if present is not None:
        _check_present(source_text(present.source), source_text(source), wish)
    kept = present or settings_of(dataflow, reader.id, name)
    notes: tuple[str, ...] = ()
    if kept is None:
        notes = _note_new(dataflow, reader, name)
    fault = type_fault(dataflow, source, reader, name)
    if fault:
        raise WireFault(OTHER, f"`{source_text(source)}` cannot feed input `{name}` of node `{reader.id}`: {fault}")
    port = plugged(name, source, kept)
    if wish.queue_size is not None:
        if not 1 <= wish.queue_size <= MOST_QUEUED:
            raise WireFault(OTHER, f"the queue size must be from 1 to {MOST_QUEUED}, got {wish.queue_size}")
        port = port._replace(queue_size=wish.queue_size, is_stated=True)
    if wish.queue_policy is not None:
        if wish.queue_policy not in (DROP_OLDEST, BACKPRESSURE):
            text = f"the queue policy must be {DROP_OLDEST} or {BACKPRESSURE}, got `{wish.queue_policy}`"
            raise WireFault(OTHER, text)
        port = port._replace(queue_policy=wish.queue_policy, is_stated=True)
    return Wired(connected(dataflow, reader.id, port), source, reader, name, notes)


def disconnect(dataflow: Dataflow, source: str, target: str) -> Wired:
    """The graph in which the input reads that output no longer.

    Raises:
        WireFault: it does not read it.
    """
    reader, name = _target(dataflow, target)
    present = reader.inputs.get(name)
    if present is None:
        fed = {port: source_text(each.source) for port, each in reader.inputs.items()}
        has = ", ".join(f"{port} <- {text}" for port, text in fed.items()) or "it has none that is connected"
        tip = f"{did_you_mean(name, fed)} {has}".lstrip()
        raise WireFault(INPUT, f"nothing feeds input `{name}` of node `{reader.id}` ({tip})")
    if not isinstance(present.source, (OutputSource, LogsSource)):
        text = f"input `{name}` of node `{reader.id}` reads {source_text(present.source)}, which is part of the node"
        raise WireFault(OTHER, f"{text}; `dora node replace` can change it")
    if _full(dataflow, source) != source_text(present.source):
        text = f"input `{name}` of node `{reader.id}` does not read `{source}`, but `{source_text(present.source)}`"
        raise WireFault(OTHER, text)
    return Wired(disconnected(dataflow, reader.id, name), present.source, reader, name)


def node_named(dataflow: Dataflow, name: str) -> Node:
    """The node of that name.

    Raises:
        WireFault: there is none.
    """
    for node in dataflow.nodes:
        if node.id == name:
            return node
    if name in dataflow.timer_nodes:
        text = f"`{name}` is a timer: it is part of the nodes that read it"
        raise WireFault(OTHER, f"{text}, and what they read can be changed with `dora node replace`")
    names = [str(node.id) for node in dataflow.nodes]
    raise WireFault(NODE, f"there is no node `{name}` ({near_and_all(name, names, 'nodes')})")


def _target(dataflow: Dataflow, target: str) -> tuple[Node, str]:
    node_id, slash, port = target.partition("/")
    if not slash or not port:
        raise WireFault(OTHER, f"expected <node>/<input>, got `{target}`")
    node = node_named(dataflow, node_id)
    if node.is_single_operator and f"{node.operators[0].id}/{port}" in _inputs(dataflow, node):
        port = f"{node.operators[0].id}/{port}"
    return node, port


def _inputs(dataflow: Dataflow, node: Node) -> list[str]:
    ports = (key.partition("/") for key in dataflow.unplugged)
    return [*node.inputs, *(port for owner, _, port in ports if owner == node.id)]


def _source(dataflow: Dataflow, text: str) -> OutputSource | LogsSource:
    report = Report("")
    source = read_source(text, NOWHERE, "the source", report)
    if source is None:
        raise WireFault(OTHER, report.error_lines()[0].lstrip(": "))
    if isinstance(source, LogsSource):
        if source.node is not None:
            node_named(dataflow, source.node)
        return source
    if not isinstance(source, OutputSource):
        raise WireFault(OTHER, f"`{text}` is a timer, which is part of the node; `dora node replace` can add one")
    node = node_named(dataflow, source.node)
    full = _full(dataflow, text).partition("/")[2]
    if full not in node.outputs:
        if not full:
            raise WireFault(OTHER, f"expected <node>/<output>, got `{text}`")
        has = near_and_all(full, node.outputs, "outputs")
        raise WireFault(OUTPUT, f"node `{node.id}` has no output `{full}` ({has})")
    return OutputSource(node.id, full)


def _full(dataflow: Dataflow, source: str) -> str:
    """`node/output` of a node with one operator means `node/<operator>/<output>`."""
    name, _, output = source.partition("/")
    node = next((node for node in dataflow.nodes if node.id == name), None)
    if node is not None and node.is_single_operator and output not in node.outputs:
        full = f"{node.operators[0].id}/{output}"
        return f"{name}/{full}" if full in node.outputs else source
    return source


def _check_present(present: str, wanted: str, wish: Wish) -> None:
    has_settings = wish.queue_size is not None or wish.queue_policy is not None
    if present == wanted and not has_settings:
        raise WireFault(OTHER, f"`{wanted}` feeds `{wish.target}` already")
    if not wish.is_instead:
        text = f"`{present}` feeds `{wish.target}` already, and an input has one source"
        raise WireFault(OTHER, f"{text}; `--instead` puts `{wanted}` in its place")


def _note_new(dataflow: Dataflow, reader: Node, name: str) -> tuple[str, ...]:
    if reader.operators:
        has = ", ".join(_inputs(dataflow, reader)) or "none"
        text = f"node `{reader.id}` has no input `{name}`, and operators have those of the file only (inputs: {has})"
        raise WireFault(INPUT, text)
    fault = data_id_fault(name)
    if fault:
        raise WireFault(OTHER, f"`{name}` cannot be an input id: {fault}")
    known = _inputs(dataflow, reader)
    tip = did_you_mean(name, known) or f"it states {', '.join(known) or 'none'}"
    return (f"`{reader.id}` states no input `{name}` ({tip}): it gets events with this id from now on",)
