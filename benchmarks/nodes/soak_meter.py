"""The controller of the soak command: notes how old messages are when their events are there.

Ports:
    in frame, joints, flaky  uint8[n]; metadata: t (CLOCK_MONOTONIC just before the send, ns)

One JSON line per SOAK_WINDOW_S in SOAK_OUT: when the window ended, and per input count, p50 and p99 in us.
"""

import json
import os
import time

from dora import Node

window_ns = int(float(os.environ["SOAK_WINDOW_S"]) * 1e9)
ages: dict[str, list[int]] = {"frame": [], "joints": [], "flaky": []}
restarts = 0


def figures(found: list[int]) -> dict[str, float]:
    """Count, p50 and p99."""
    found.sort()
    count = len(found)
    return {"count": count, "p50_us": found[count // 2] / 1e3, "p99_us": found[count * 99 // 100] / 1e3}


node = Node()
due_ns = time.monotonic_ns() + window_ns
with open(os.environ["SOAK_OUT"], "a", buffering=1) as file:
    for event in node:
        now_ns = time.monotonic_ns()
        if event["type"] == "INPUT":
            ages[event["id"]].append(now_ns - event["metadata"]["t"])
        elif event["type"] == "NODE_RESTARTED":
            restarts += 1
        if now_ns > due_ns:
            due_ns += window_ns
            line = {name: figures(found) for name, found in ages.items() if found}
            file.write(json.dumps({"at_s": now_ns / 1e9, "restarts": restarts, **line}) + "\n")
            for found in ages.values():
                found.clear()
