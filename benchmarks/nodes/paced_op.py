"""An operator that sends arrays of one size at the rate of its timer.

Ports:
    in  tick  at any rate
    out data  uint8[BENCH_SIZE], BENCH_COUNT times; metadata: n (its number, from 0), t (CLOCK_MONOTONIC, ns)
"""

import os
import time

import numpy as np
import pyarrow as pa

from dora import DoraStatus


class Operator:
    def __init__(self):
        self.n = 0
        self.count = int(os.environ["BENCH_COUNT"])
        self.array = pa.array(np.zeros(int(os.environ["BENCH_SIZE"]), dtype=np.uint8))

    def on_event(self, event, send_output):
        if event["type"] != "INPUT":
            return DoraStatus.CONTINUE
        if self.n == self.count:
            return DoraStatus.STOP
        send_output("data", self.array, {"n": self.n, "t": time.monotonic_ns()})
        self.n += 1
        return DoraStatus.CONTINUE
