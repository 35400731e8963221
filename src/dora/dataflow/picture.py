"""The graph of a dataflow file, right or wrong, and what is wrong with it.

Strategy: a picture helps most where something is wrong, so one is made of whatever has nodes.  Variables are left as
they are written (`$TOKEN`): pictures are shown around, and a machine that only draws need not have them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dora.dataflow.document import YamlList, YamlMap, YamlScalar, YamlValue, parse_document
from dora.dataflow.files import read_text
from dora.dataflow.graph import Graph, graph_of
from dora.dataflow.legacy import modernise_node, modernise_root
from dora.dataflow.load import load_dataflow
from dora.dataflow.report import Report
from dora.dataflow.scalars import meaning
from dora.errors import DescriptorError


class AsWritten(dict[str, str]):
    """An environment in which every variable stands for itself."""

    def get(self, name: str, default: Any = None) -> Any:
        """`$NAME`."""
        return f"${name}"


def graph_of_file(path: Path) -> tuple[Graph | None, list[str]]:
    """The graph, None if there is nothing to draw, and the problems, one `file:line:column: text` each."""
    try:
        load_dataflow(path, env=AsWritten())
        problems = []
    except DescriptorError as error:
        problems = error.problems
    try:
        root = _root(path)
    except DescriptorError:  # no YAML: said above
        root = None
    return (graph_of(_plain(root)) if root is not None and "nodes" in root.entries else None), problems


def _root(path: Path) -> YamlMap | None:
    report = Report(str(path))
    root = parse_document(read_text(str(path), report), report)
    if not isinstance(root, YamlMap):
        return None
    modernise_root(root, report)
    nodes = root.entries.get("nodes")
    for node in nodes.value.items if nodes is not None and isinstance(nodes.value, YamlList) else ():
        if isinstance(node, YamlMap):
            modernise_node(node, "", report)
    return root


def _plain(value: YamlValue) -> Any:
    if isinstance(value, YamlScalar):
        return meaning(value)
    if isinstance(value, YamlList):
        return [_plain(item) for item in value.items]
    return {key: _plain(entry.value) for key, entry in value.entries.items()}
