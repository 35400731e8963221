"""Notes how old each message is when its event is there.

Ports:
    in data  uint8[n] with its number and send time, as `paced.py` or `raw.py` makes it, at any rate
"""

import time

from results import write_result

from dora import Node

ages = []
node = Node()
for event in node:
    if event["type"] == "INPUT":
        value, metadata = event["value"], event["metadata"]
        now = time.monotonic_ns()
        sent = metadata["t"] if "t" in metadata else int.from_bytes(value[:8].to_pylist(), "little")
        ages.append((metadata["n"], now - sent))
write_result(ages=ages)
