"""A sensor of the soak command.

Ports:
    in tick   timer, at the rate of the sensor
    out data  uint8[SOAK_SIZE] per tick; metadata: t (CLOCK_MONOTONIC just before the send, ns)

With SOAK_LIFE_S it ends badly after that time: by an exit code, by SIGKILL, by turns.
"""

import os
import signal
import sys
import time

import numpy as np
import pyarrow as pa

from dora import Node

array = pa.array(np.arange(int(os.environ["SOAK_SIZE"]), dtype=np.uint8))
end_s = time.monotonic() + float(os.environ.get("SOAK_LIFE_S", "inf"))
node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("data", array, {"t": time.monotonic_ns()})
    if time.monotonic() > end_s:
        if node.restart_count() % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(3)
