"""The graph of a dataflow that runs, drawn from what its runner says of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dora.cli.targets import open_control
from dora.dataflow.graph import Graph, graph_of
from dora.messages import api


def running_graph(wanted: str) -> tuple[Path, Graph]:
    """What the graph is called, and the graph as it is now."""
    info = open_control(None, None).dataflow(wanted)
    return Path(info.name or Path(info.file).name), graph_of({"nodes": list(_entries(info.nodes))})


def _entries(nodes: Iterable[api.NodeInfo]) -> Iterable[dict[str, Any]]:
    """The nodes as a dataflow file would state them; an input that is disconnected is not there."""
    for node in nodes:
        yield {
            "id": node.id,
            "path": node.path,
            "inputs": {port.id: port.source for port in node.inputs if port.source},
            "outputs": [port.id for port in node.outputs],
        }
