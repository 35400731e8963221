"""A node of dora 0.1: iteration gives pairs, and ends when all senders are gone.

Inputs: string and counter, bytes.
"""

from dora import Node

node = Node()
for input_id, value in node:
    print(input_id, value)
