"""Node programs that several end-to-end tests share: each does one thing that nodes do in the field."""

from __future__ import annotations

from end_to_end.running import Flow

COOPERATIVE = """
from dora import Node

node = Node()
print("ready")
for event in node:
    print(event["type"], event["id"])
    if event["type"] == "STOP":
        break
"""
"""prints every event, and leaves at STOP"""

TICKER = """
import pyarrow as pa
from dora import Node

node = Node()
for event in node:
    if event["type"] == "STOP":
        break
    node.send_output("out", event["value"])
"""
"""sends `out` at every tick, and leaves at STOP"""

DEAF = """
import time
from dora import Node

node = Node()
print("ready")
while True:
    node.next(timeout=1.0)
"""
"""does not care about STOP"""

HANGING_IMPORT = """
import time

print("importing")
time.sleep(1000)
from dora import Node
"""
"""never comes to `Node()`"""

DETACHED_CHILD = """
import subprocess

subprocess.Popen(["setsid", "sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
"""in front of another source: starts a grandchild in a session of its own"""

TICKS = {"tick": "dora/timer/millis/20"}


def add_pair(flow: Flow, source: str = TICKER, sink: str = COOPERATIVE) -> None:
    """A `source` node that sends `out` at every tick, and a `sink` node that reads it."""
    flow.node("source", source, inputs=TICKS, outputs=["out"])
    flow.node("sink", sink, inputs={"in": "source/out"})
