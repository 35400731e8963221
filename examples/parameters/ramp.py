"""Counts up.

Inputs: tick, a timer.  Outputs: height, int64[1], at every tick.  Parameters: step, int.
"""

import pyarrow as pa
from dora import Node

DEFAULT_STEP = 1

node = Node()
step = DEFAULT_STEP
height = 0

for event in node:
    if event["type"] == "PARAM_UPDATE" and event["id"] == "step":
        step = event["value"]
        print(f"step is {step}")
    elif event["type"] == "PARAM_DELETED" and event["id"] == "step":
        step = DEFAULT_STEP
        print(f"step is {step} again")
    elif event["type"] == "INPUT":
        height += step
        node.send_output("height", pa.array([height]))
