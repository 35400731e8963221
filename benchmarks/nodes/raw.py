"""Fills samples in place and sends them without a copy, at a fixed rate.

Ports:
    out data  uint8[BENCH_SIZE], BENCH_RATE times a second, BENCH_COUNT times; its first 8 bytes are
              CLOCK_MONOTONIC just before send(), ns, little endian; metadata: n (its number, from 0)
"""

import os
import struct
import time

import numpy as np
from results import write_result

from dora import Node

size, count, rate = (int(os.environ[f"BENCH_{name}"]) for name in ("SIZE", "COUNT", "RATE"))
picture = np.arange(size, dtype=np.uint8)
node = Node()
time.sleep(0.2)
start = time.monotonic()
for n in range(count):
    time.sleep(max(0.0, start + n / rate - time.monotonic()))
    sample = node.send_output_raw("data", size, {"n": n})
    buffer = sample.as_buffer()
    np.asarray(buffer, dtype=np.uint8)[:] = picture
    struct.pack_into("<q", buffer, 0, time.monotonic_ns())
    sample.send()
time.sleep(1.0)
write_result(sent=count)
