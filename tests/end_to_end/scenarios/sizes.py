"""Messages of any size."""

from __future__ import annotations

import math

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

ONE = """
import os
import numpy as np
import pyarrow as pa
from dora import Node

node = Node()
size = int(os.environ["SIZE"])
values = np.arange(size // 8)
node.send_output("out", pa.array(values))
"""
CHECK_ONE = """
import json, time
import numpy as np
from dora import Node

for event in Node():
    if event["type"] == "INPUT":
        sent_s = event["metadata"]["timestamp"].timestamp()
        age_s = time.time() - sent_s
        values = event["value"].to_numpy()
        print(json.dumps({"bytes": values.nbytes, "right": bool((values == np.arange(len(values))).all()), "s": age_s}))
"""
GROWING = """
import os
import numpy as np
from dora import Node

node = Node()
size = 1000
while size <= int(os.environ["SIZE"]):
    node.send_output("out", np.full(size // 8, size))
    size = int(size * 1.7783)
node.send_output("out", np.full(int(os.environ["SIZE"]) // 8, int(os.environ["SIZE"])))
"""
CHECK_GROWING = """
import json
from dora import Node

sizes = []
for event in Node():
    if event["type"] == "INPUT":
        values = event["value"].to_numpy()
        size = int(values[0])
        sizes.append([size, bool((values == size).all() and len(values) == size // 8)])
print(json.dumps(sizes))
"""


def one_message(flow: Flow, size: int) -> list[Mark]:
    """One message of that many bytes."""
    flow.node("sender", ONE, outputs=["out"], env={"SIZE": size})
    flow.node("reader", CHECK_ONE, inputs={"in": "sender/out"})
    ended = flow.run(timeout_s=60 + size / 1e8)
    assert ended.code == 0, ended
    found = flow.figures("reader")
    return [
        Mark("bytes received", found["bytes"], "==", size // 8 * 8),
        Mark("all of them right", found["right"], "==", 1),
        Mark("seconds from publishing to event", found["s"], "<=", 5 + size / 5e8),
    ]


def growing(flow: Flow, largest: int) -> list[Mark]:
    """Sizes from 1 kB up to `largest`, four per decade; the reader lives through all of them."""
    flow.node("sender", GROWING, outputs=["out"], env={"SIZE": largest})
    edge = {"source": "sender/out", "queue_size": 2, "queue_policy": "backpressure"}
    flow.node("reader", CHECK_GROWING, inputs={"in": edge})
    ended = flow.run(timeout_s=60 + largest / 1e8)
    assert ended.code == 0, ended
    found = flow.figures("reader")
    return [
        Mark("sizes received", len(found), ">=", int(4 * math.log10(largest / 1000))),
        Mark("wrong messages", sum(not is_right for _, is_right in found), "==", 0),
        Mark("largest, bytes", found[-1][0], "==", largest),
    ]
