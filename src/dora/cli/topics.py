"""Outputs as topics: of which run, their names, which are meant, and how a message is printed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from dora.cli.targets import choose_dataflow, open_control
from dora.errors import ConnectionLost
from dora.hints import did_you_mean
from dora.messages import runner_daemon as messages
from dora.runs.link import describe_all


class Topic(NamedTuple):
    """One output of a running dataflow.

    Attributes:
        readers: inputs that read it, as `node/input`.
        slots: places of its edges in the counters page.
    """

    node: str
    output: str
    readers: tuple[str, ...]
    slots: tuple[int, ...]

    @property
    def name(self) -> str:
        """As users write it."""
        return f"{self.node}/{self.output}"


def find_run(wanted: str | None) -> tuple[str, messages.Described]:
    """The admin socket of the run that is meant, and what it says of itself."""
    with open_control(None, None) as control:
        found = choose_dataflow(control, wanted)
    for path, run in describe_all()[0]:
        if run.dataflow_id == found.id:
            return path, run
    raise ConnectionLost(f"dataflow {found.called} does not run on this machine any more")


def topics_of(run: messages.Described) -> list[Topic]:
    """All outputs of a run, in file order."""
    found = []
    for node in run.nodes:
        for output in node.outputs:
            edges = [edge for edge in run.edges if (edge.source, edge.output) == (node.id, output)]
            readers = tuple(f"{edge.reader}/{edge.input}" for edge in edges)
            found.append(Topic(node.id, output, readers, tuple(edge.slot for edge in edges)))
    return found


def choose_topics(known: Sequence[Topic], names: Sequence[str]) -> list[Topic]:
    """Those that are named, or all.

    Raises:
        click.ClickException: there is none of that name; it names what exists.
    """
    if not known:
        raise click.ClickException("this dataflow has no outputs")
    return [_find(known, name) for name in names] if names else list(known)


def _find(known: Sequence[Topic], name: str) -> Topic:
    by_name = {one.name: one for one in known}
    found = by_name.get(name)
    if found is not None:
        return found
    of_node = [one.name for one in known if one.node == name]
    if of_node:
        raise click.ClickException(f"`{name}` is a node; its outputs are: {', '.join(of_node)}")
    meant = did_you_mean(name, by_name)
    tip = f"; {meant}" if meant else ""
    raise click.ClickException(f"there is no output `{name}`{tip} (there are: {', '.join(by_name)})")


def metadata_as_json(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata in the types of JSON: instants as ISO 8601, bytes as hex."""
    return {key: _plain(value) for key, value in metadata.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return metadata_as_json(value)
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
