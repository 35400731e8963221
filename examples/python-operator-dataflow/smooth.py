"""Smooths a position, and says how many it has seen when its inputs have closed.

Inputs: position, float64[2].
Outputs: position, float64[2]: the mean of the last three.
"""

from collections import deque

import numpy as np
import pyarrow as pa
from dora import DoraStatus


class Operator:
    def __init__(self):
        self.count = 0
        self.last = deque(maxlen=3)

    def on_event(self, event, send_output) -> DoraStatus:
        if event["type"] == "INPUT":
            self.count += 1
            self.last.append(event["value"].to_numpy())
            send_output("position", pa.array(np.mean(self.last, axis=0)), event["metadata"])
        elif event["type"] == "STOP":
            print(f"smoothed {self.count} positions")
        return DoraStatus.CONTINUE
