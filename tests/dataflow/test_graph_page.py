"""The page of a graph: it stands alone, says all there is to say, and its layout is sound."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dora.dataflow.graph import graph_of

CHECK = Path(__file__).with_name("graph_layout_check.js")


def page_of(*nodes: dict[str, Any], modules: dict[str, str] | None = None) -> str:
    return graph_of({"nodes": list(nodes)}, modules or {}).page("f.yml")


def model_of(*nodes: dict[str, Any], modules: dict[str, str] | None = None) -> dict[str, Any]:
    """The data in the page."""
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', page_of(*nodes, modules=modules))
    assert found
    model: dict[str, Any] = json.loads(found[1])
    return model


CAMERA = {
    "id": "camera",
    "path": "camera.py",
    "build": "pip install -r requirements.txt\n",
    "env": {"FPS": 30, "FLIP": True},
    "restart_policy": "never",
    "inputs": {
        "tick": "dora/timer/millis/100",
        "said": "dora/logs/info",
        "click": {"source": "plot/c", "queue_size": 1},
    },
    "outputs": ["image"],
    "output_types": {"image": "std/media/v1/Image"},
    "output_metadata": {"image": ["seq"]},
}
PLOT = {"id": "plot", "inputs": {"image": "camera/image"}, "outputs": ["c"]}


def test_page_loads_nothing_from_elsewhere() -> None:
    text = page_of(CAMERA, PLOT)
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"(?:src|href)=", text)
    assert "default-src 'none'" in text


def test_text_of_the_file_cannot_leave_the_data() -> None:
    text = page_of({"id": "</script><script>alert(1)</script><!--", "path": "\u2028"})
    assert "alert(1)</script>" not in text
    assert model_of({"id": "</script>"})["boxes"][0]["id"] == "</script>"


def test_box_says_what_the_file_says() -> None:
    box = model_of(CAMERA, PLOT)["boxes"][0]
    assert (box["title"], box["kind"], box["detail"]) == ("camera", "node", "camera.py")
    assert box["facts"] == [
        ["path", "camera.py"],
        ["build", "pip install -r requirements.txt"],
        ["env", "FPS: 30\nFLIP: true"],
    ]
    image = {"name": "image", "type": "std/media/v1/Image", "note": "metadata: seq"}
    assert box["outputs"] == [image]


def test_timers_and_logs_are_shown_at_the_inputs_that_they_feed() -> None:
    model = model_of(CAMERA, PLOT)
    assert [port.get("chip") for port in model["boxes"][0]["inputs"]] == ["100 ms", "logs/info", None]
    assert model["boxes"][0]["inputs"][2]["note"] == "queue 1"
    assert model["arrows"] == [[1, "c", 0, "click"], [0, "image", 1, "image"]]


def test_timer_node_is_a_box() -> None:
    model = model_of({"id": "t", "path": "dora/timer/hz/30", "outputs": ["o"]}, {"id": "a", "inputs": {"i": "t/o"}})
    assert (model["boxes"][0]["kind"], model["boxes"][0]["detail"]) == ("timer", "30 Hz")
    assert model["arrows"] == [[0, "o", 1, "i"]]


PERIODS = [
    ("secs/2", "2 s"),
    ("hz/30", "30 Hz"),
    ("nanos/33333333", "30 Hz"),
    ("nanos/1500", "1500 ns"),
    ("odd", "odd"),
]


@pytest.mark.parametrize(("timer", "shown"), PERIODS)
def test_period_is_shown_as_people_write_it(timer: str, shown: str) -> None:
    model = model_of({"id": "a", "inputs": {"t": f"dora/timer/{timer}"}})
    assert model["boxes"][0]["inputs"][0]["chip"] == shown


def test_names_in_a_module_are_shown_without_it() -> None:
    model = model_of({"id": "m.in.x"}, modules={"m": "m.yml", "m.in": "in.yml"})
    assert [group["title"] for group in model["groups"]] == ["m", "in"]
    assert (model["boxes"][0]["title"], model["boxes"][0]["group"]) == ("x", 1)


COUNTS = [
    ([CAMERA], {}, "2 nodes, 1 connection"),  # the node that does not exist is one
    ([{"id": "a"}], {}, "1 node, 0 connections"),
    ([{"id": "d", "operator": {}}], {}, "1 node, 1 operator, 0 connections"),
    (
        [{"id": "m.r", "operators": [{"id": "a"}, {"id": "b"}]}, {"id": "c"}],
        {"m": ""},
        "2 nodes, 2 operators, 1 module, 0 connections",
    ),
]


@pytest.mark.parametrize(("nodes", "modules", "count"), COUNTS)
def test_nodes_operators_and_modules_are_counted(nodes: list[Any], modules: dict[str, str], count: str) -> None:
    assert model_of(*nodes, modules=modules)["count"] == count


@pytest.mark.skipif(shutil.which("node") is None, reason="the layout is JavaScript: needs Node.js")
@pytest.mark.slow
def test_layout_is_sound_for_graphs_of_any_shape() -> None:
    """Random graphs with groups in groups: nothing overlaps, everything lies in its group, every arrow has a way."""
    result = subprocess.run(["node", CHECK, "60"], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "60 graphs\n"
