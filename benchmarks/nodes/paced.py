"""Sends arrays of one size at a fixed rate.

Ports:
    out data  uint8[BENCH_SIZE], BENCH_RATE times a second, BENCH_COUNT times;
              metadata: n (its number, from 0), t (CLOCK_MONOTONIC just before the send, ns)
"""

import os
import time

import numpy as np
import pyarrow as pa
from results import write_result

from dora import Node

size, count, rate = (int(os.environ[f"BENCH_{name}"]) for name in ("SIZE", "COUNT", "RATE"))
array = pa.array(np.arange(size, dtype=np.uint8))
node = Node()
time.sleep(0.2)
start, cpu_start = time.monotonic(), time.process_time()
for n in range(count):
    time.sleep(max(0.0, start + n / rate - time.monotonic()))
    node.send_output("data", array, {"n": n, "t": time.monotonic_ns()})
elapsed_s, cpu_s = time.monotonic() - start, time.process_time() - cpu_start
time.sleep(0.5)
write_result(sent=count, elapsed_s=elapsed_s, cpu_s=cpu_s)
