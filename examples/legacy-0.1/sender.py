"""A node of dora 0.1: `next()` gives the input's id and its bytes.

Inputs: tick, 50 Hz.
Outputs: string, bytes.
"""

from dora import Node

node = Node()
for _ in range(10):
    input_id, value = node.next()
    node.send_output("string", b"string")
