"""Counts what arrives.

Ports:
    in data  uint8[n], at any rate
"""

import time

from results import write_result

from dora import Node

count = size_bytes = first_ns = last_ns = 0
node = Node()
for event in node:
    if event["type"] == "INPUT":
        last_ns = time.monotonic_ns()
        first_ns = first_ns or last_ns
        count += 1
        size_bytes += len(event["value"])
write_result(received=count, size_bytes=size_bytes, elapsed_s=(last_ns - first_ns) / 1e9)
