"""Does next to nothing once a second, and says what CPU time that took.

Ports:
    in tick  timer, 1 Hz
"""

import os
import time

from results import write_result

from dora import Node

ticks = int(os.environ["BENCH_COUNT"]) // int(os.environ["BENCH_RATE"])
marks = []
node = Node()
for event in node:
    if event["type"] == "INPUT":
        marks.append((time.monotonic(), time.process_time()))
        if len(marks) == ticks:
            break
write_result(elapsed_s=marks[-1][0] - marks[0][0], cpu_s=marks[-1][1] - marks[0][1])
