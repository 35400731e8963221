"""The graph of a dataflow file, right or wrong, and what is wrong with it.

Strategy: a picture helps most where something is wrong, so one is made of whatever has nodes.  Variables are left as
they are written (`$TOKEN`): pictures are shown around, and a machine that only draws need not have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dora.dataflow.flattened import flattened
from dora.dataflow.graph import Graph, graph_of
from dora.dataflow.load import read_dataflow
from dora.errors import DescriptorError


class AsWritten(dict[str, str]):
    """An environment in which every variable stands for itself."""

    def get(self, name: str, default: Any = None) -> Any:
        """`$NAME`."""
        return f"${name}"


class Picture(NamedTuple):
    """What there is to show of a file.

    Attributes:
        graph: None if there is nothing to draw.
        problems: why the file cannot be run, one `file:line:column: text` each.
    """

    graph: Graph | None
    problems: list[str]


def graph_of_file(path: Path) -> Picture:
    """The graph of a dataflow file, with the nodes of its modules in groups."""
    try:
        reading = read_dataflow(path, env=AsWritten())
    except DescriptorError as error:
        return Picture(None, error.problems)
    problems = reading.report.error_lines()
    descriptor = flattened(reading)
    for env in _environments(descriptor):
        env.update({key: value.replace("$$", "$") for key, value in env.items() if isinstance(value, str)})
    modules = {module.id: module.file for module in reading.modules}
    is_drawn = bool(reading.drafts) or not problems
    return Picture(graph_of(descriptor, modules) if is_drawn else None, problems)


def _environments(descriptor: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every `env`, where a `$` that stays one is written twice."""
    for entry in (descriptor, *descriptor["nodes"]):
        if "env" in entry:
            yield entry["env"]
