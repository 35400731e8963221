"""Small machines: few descriptors, no /dev/shm, readers that keep everything."""

from __future__ import annotations

import os

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

LINKS = 40
FEW_FILES = ("sh", "-c", 'ulimit -n 256 && exec "$@"', "sh")
"""a command prefix: at most 256 open files, soft and hard"""
TINY_SHM = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"', "sh")
"""a command prefix: a /dev/shm of its own with 1 MB"""

MANY_OUTPUTS = """
import os
import numpy as np
from dora import Node

node = Node()
data = np.zeros(2048)
for i in range(int(os.environ["COUNT"])):
    data[0] = i
    node.send_output(f"out{i % LINKS}", data)
"""
MANY_INPUTS = """
import json, os
from dora import Node

node = Node()
last_of, wrong, received, most_fds = {}, 0, 0, 0
for event in node:
    if event["type"] == "INPUT":
        i = int(event["value"][0].as_py())
        wrong += i != last_of.get(event["id"], int(event["id"][2:]) - LINKS) + LINKS
        last_of[event["id"]] = i
        received += 1
        if received % 1000 == 1:
            most_fds = max(most_fds, len(os.listdir("/proc/self/fd")))
print(json.dumps({"received": received, "wrong": wrong, "fds": most_fds}))
"""
KEEPS = """
import json, time
from collections import deque
from dora import Node

node = Node()
kept = deque(maxlen=1000)
for event in node:
    if event["type"] == "INPUT":
        kept.append(event)
numbers = [int(event["value"][0].as_py()) for event in kept]
print(json.dumps({"kept": len(kept), "right": numbers == list(range(numbers[0], numbers[0] + len(kept)))}))
"""
MEASURED_SENDER = """
import json, os, time
import numpy as np
from dora import Node

node = Node()
data = np.zeros(int(os.environ["SIZE"]) // 8)
longest_s = 0.0
shared = []
for i in range(int(os.environ["COUNT"])):
    data[0] = i
    begun = time.monotonic()
    node.send_output("out", data)
    longest_s = max(longest_s, time.monotonic() - begun)
    if i % 500 == 499:
        status = open("/proc/self/status").read()
        shared.append(int(status.split("RssShmem:")[1].split()[0]) * 1024)
print(json.dumps({"longest_s": longest_s, "shared": shared}))
"""


def many_links(flow: Flow, count: int) -> list[Mark]:
    """40 links in processes that may open 256 files, messages of 16 KB."""
    names = [f"out{number}" for number in range(LINKS)]
    flow.node("sender", MANY_OUTPUTS.replace("LINKS", str(LINKS)), outputs=names, env={"COUNT": count})
    rule = {"queue_size": 10, "queue_policy": "backpressure"}
    inputs = {f"in{number}": {"source": f"sender/{name}", **rule} for number, name in enumerate(names)}
    flow.node("reader", MANY_INPUTS.replace("LINKS", str(LINKS)), inputs=inputs)
    ended = flow.run(prefix=FEW_FILES, timeout_s=60 + count / 500)
    assert ended.code == 0, ended
    found = flow.figures("reader")
    return [
        Mark("messages received", found["received"], "==", count),
        Mark("messages out of order", found["wrong"], "==", 0),
        Mark("open files in the reader", found["fds"], "<=", 256),
    ]


def keeping_reader(flow: Flow, count: int, *, size: int = 100_000) -> list[Mark]:
    """A reader that keeps the last 1,000 events on a lossless edge."""
    flow.node("sender", MEASURED_SENDER, outputs=["out"], env={"COUNT": count, "SIZE": size})
    flow.node(
        "reader",
        KEEPS,
        inputs={"in": {"source": "sender/out", "queue_size": 10, "queue_policy": "backpressure"}},
    )
    ended = flow.run(timeout_s=60 + count * size / 1e8)
    assert ended.code == 0, ended
    sender, reader = flow.figures("sender"), flow.figures("reader")
    return [
        Mark("events kept", reader["kept"], "==", 1000),
        Mark("kept events are the newest, in order", reader["right"], "==", 1),
        Mark("longest send, s", sender["longest_s"], "<=", 1),
        Mark("shared memory of the sender, bytes", max(sender["shared"]), "<=", 1100 * 2 * size + (300 << 20)),
    ]


def tiny_dev_shm(flow: Flow, count: int) -> list[Mark]:
    """40 MB messages on a machine whose /dev/shm has 1 MB (only root may mount; others leave that out)."""
    flow.node("sender", MEASURED_SENDER, outputs=["out"], env={"COUNT": count, "SIZE": 40_000_000})
    reader = """
    import json
    from dora import Node

    found, uses = [], set()
    for event in Node():
        if event["type"] == "INPUT":
            found.append(event["value"][0].as_py())
            uses |= {line.split()[-1] for line in open("/proc/self/maps") if "/dev/shm" in line}
    print(json.dumps([found, len(uses)]))
    """
    edge = {"source": "sender/out", "queue_size": 2, "queue_policy": "backpressure"}
    flow.node("reader", reader, inputs={"in": edge})
    ended = flow.run(prefix=TINY_SHM if os.geteuid() == 0 else ())
    assert ended.code == 0, ended
    numbers, mapped = flow.figures("reader")
    return [
        Mark("messages received in order", numbers == list(range(count)), "==", 1),
        Mark("files of /dev/shm in use", mapped, "==", 0),
    ]
