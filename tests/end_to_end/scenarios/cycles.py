"""Lossless queues that wait for each other in a circle."""

from __future__ import annotations

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

LOOP = """
import json, os, time
import pyarrow as pa
from dora import Node

node = Node()
begun = time.monotonic()
try:
    while True:
        begun = time.monotonic()
        node.send_output("out", pa.array([1]))
except RuntimeError as error:
    print(json.dumps({"s": time.monotonic() - begun, "error": str(error)}))
time.sleep(0.5)
"""


def _edge(source: str) -> dict[str, object]:
    return {"source": source, "queue_size": 3, "queue_policy": "backpressure"}


def two_nodes(flow: Flow, count: int) -> list[Mark]:
    """Two nodes that only send, each into the other's full queue: both raise and name the cycle."""
    flow.node("left", LOOP, outputs=["out"], inputs={"in": _edge("right/out")})
    flow.node("right", LOOP, outputs=["out"], inputs={"in": _edge("left/out")})
    slowest_s = 0.0
    named = 0
    for _ in range(count):
        ended = flow.run()
        assert ended.code == 0, ended
        for node in ("left", "right"):
            found = flow.figures(node)
            slowest_s = max(slowest_s, found["s"])
            named += "left/out -> right/in" in found["error"] and "right/out -> left/in" in found["error"]
    return [
        Mark("slowest detection, s", slowest_s, "<=", 2),
        Mark("errors that name the cycle", named, "==", 2 * count),
    ]
