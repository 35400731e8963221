"""Sends as fast as it can.

Ports:
    out data  uint8[BENCH_SIZE], for BENCH_SECONDS; metadata: n (its number, from 0)
"""

import os
import time

import numpy as np
import pyarrow as pa
from results import write_result

from dora import Node

array = pa.array(np.arange(int(os.environ["BENCH_SIZE"]), dtype=np.uint8))
node = Node()
time.sleep(0.2)
end = time.monotonic() + float(os.environ["BENCH_SECONDS"])
n = 0
while time.monotonic() < end:
    node.send_output("data", array, {"n": n})
    n += 1
time.sleep(0.5)
write_result(sent=n)
