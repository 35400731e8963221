"""A dataflow of two hundred nodes in three levels of modules is right, and its picture is complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dora.dataflow.load import load_dataflow
from dora.dataflow.picture import graph_of_file

ROBOT = Path(__file__).parents[2] / "benchmarks" / "dataflows" / "robot" / "dataflow.yml"


def test_two_hundred_nodes_in_modules_are_right() -> None:
    dataflow = load_dataflow(ROBOT)
    assert (len(dataflow.nodes), len(dataflow.modules), dataflow.warnings) == (200, 29, ())
    assert max(module.id.count(".") for module in dataflow.modules) == 2


def test_their_picture_has_them_all_in_their_modules() -> None:
    graph, problems = graph_of_file(ROBOT)
    assert problems == []
    assert graph is not None
    found = re.search(r'id="model">(.*?)</script>', graph.page("robot"))
    assert found
    model = json.loads(found[1])
    assert model["count"] == "200 nodes, 2 operators, 29 modules, 278 connections"
    assert not [box for box in model["boxes"] if box["kind"] == "missing"]
    pid = next(box for box in model["boxes"] if box["id"] == "arms.left.joint3.pid")
    assert (pid["title"], model["groups"][pid["group"]]["id"]) == ("pid", "arms.left.joint3")
