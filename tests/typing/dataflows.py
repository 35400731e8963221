"""What type checkers say of dataflows made and run in Python.  Never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import dora
from dora.builder import DataflowBuilder, Node, Operator, Output

builder = DataflowBuilder("cameras")
camera = builder.add_node("camera", path="camera.py").add_input("tick", "dora/timer/hz/30").env({"SPEED": 2})
assert_type(camera, Node)
image = camera.add_output("image")
assert_type(image, Output)
vision = builder.add_node("vision").set(restart_policy="on-failure")
find = Operator("find", python=Path("find.py")).add_input("image", image, queue_size=1)
vision.add_operator(find)
builder.add_node("plot", path=Path("plot.py")).add_input("spot", find.add_output("spot"), queue_policy="backpressure")
assert_type(builder.to_dict(), dict[str, Any])
assert_type(builder.to_yaml(), str | None)
assert_type(builder.check(), list[str])
assert_type(builder.graph().svg(), str)
builder.run(stop_after=1)

dora.run("dataflow.yml", uv=True, stop_after=1.5)
dora.build(Path("dataflow.yml"), force_local=True)
dora.start_runtime()
