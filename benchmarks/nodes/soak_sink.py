"""A reader of the soak command: takes its time for each message, and may keep or die.

Ports:
    in ...  uint8[n] at any rate

SOAK_WORK_MS is what a message costs; SOAK_KEEPS how many it holds; with SOAK_LIFE_S it ends badly after that time.
"""

import collections
import os
import signal
import sys
import time

from dora import Node

work_s = float(os.environ.get("SOAK_WORK_MS", "0")) / 1000
kept = collections.deque(maxlen=int(os.environ.get("SOAK_KEEPS", "0")))
end_s = time.monotonic() + float(os.environ.get("SOAK_LIFE_S", "inf"))
node = Node()
for event in node:
    if event["type"] == "INPUT":
        kept.append(event["value"])
        time.sleep(work_s)
    if time.monotonic() > end_s:
        if node.restart_count() % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(3)
