"""The guide's first example, again and again."""

from __future__ import annotations

import pytest
from end_to_end.running import Flow

pytestmark = pytest.mark.slow

SENDER = """
import pyarrow as pa
from dora import Node

node = Node()
for i in range(100):
    node.send_output("message", pa.array([i]))
"""
RECEIVER = """
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        values = event["value"].to_pylist()
        print(f"Received {event['id']}: {values}")
    elif event["type"] == "STOP":
        break
"""


def test_hello_world_delivers_100_of_100(flow: Flow) -> None:
    flow.node("sender", SENDER, outputs=["message"])
    flow.node("receiver", RECEIVER, inputs={"message": "sender/message"})
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("receiver") == [f"Received message: [{i}]" for i in range(100)], ended
