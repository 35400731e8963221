"""Passes every message on.

Ports:
    in data   any array, any rate
    out data  the same, with the same metadata
"""

from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("data", event["value"], event["metadata"])
