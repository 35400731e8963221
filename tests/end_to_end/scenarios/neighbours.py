"""What one node does to the others: a held GIL, a long chain."""

from __future__ import annotations

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

PACED = """
import os, time
import pyarrow as pa
from dora import Node

node = Node()
count = 0
for event in node:
    if event["type"] == "STOP" or count == int(os.environ["COUNT"]):
        break
    node.send_output("out", pa.array([count]))
    count += 1
"""
STUCK = """
import ctypes, json, os
from dora import Node

node = Node()
first = node.next()["value"][0].as_py()
ctypes.PyDLL(None).usleep(ctypes.c_uint(int(float(os.environ["STUCK"]) * 1e6)))
numbers = [node.next()["value"][0].as_py() for _ in range(5)]
print(json.dumps(numbers))
for event in node:
    pass
"""
GOOD = """
import json, time
from dora import Node

numbers, times = [], []
for event in Node():
    if event["type"] == "INPUT":
        numbers.append(event["value"][0].as_py())
        times.append(time.monotonic())
gaps = sorted(b - a for a, b in zip(times, times[1:]))
print(json.dumps({"numbers": numbers, "elapsed_s": times[-1] - times[0], "p99_gap_s": gaps[int(0.99 * len(gaps))]}))
"""
RELAY = """
import json, time
from dora import Node

node = Node()
count = 0
begun = time.process_time()
for event in node:
    if event["type"] == "INPUT":
        count += 1
        node.send_output("out", event["value"])
print(json.dumps({"count": count, "us": (time.process_time() - begun) / count * 1e6}))
"""
ARRIVALS = """
import json
from dora import Node

received = wrong = 0
for event in Node():
    if event["type"] == "INPUT":
        wrong += event["value"][0].as_py() != received
        received += 1
print(json.dumps({"received": received, "wrong": wrong}))
"""
FLOOD = """
import os
import pyarrow as pa
from dora import Node

node = Node()
for i in range(int(os.environ["COUNT"])):
    node.send_output("out", pa.array([i]))
"""


def holds_the_gil(flow: Flow, duration_s: float, *, least_rate: float = 0.97) -> list[Mark]:
    """One of two readers is in a C call that holds the GIL; the 200 Hz to the other one goes on."""
    count = int((duration_s + 1) * 200)
    flow.node("sender", PACED, inputs={"tick": "dora/timer/hz/200"}, outputs=["out"], env={"COUNT": count})
    flow.node("stuck", STUCK, inputs={"in": {"source": "sender/out", "queue_size": 5}}, env={"STUCK": duration_s})
    flow.node("good", GOOD, inputs={"in": {"source": "sender/out", "queue_size": 5}})
    ended = flow.run(timeout_s=duration_s + 30)
    assert ended.code == 0, ended
    good, after = flow.figures("good"), flow.figures("stuck")
    return [
        Mark("share of messages at the other reader", len(good["numbers"]) / count, ">=", 0.99),
        Mark("their rate / 200 Hz", len(good["numbers"]) / good["elapsed_s"] / 200, ">=", least_rate),
        Mark("the stuck node then got the newest five, in order", after == [*range(after[0], after[0] + 5)], "==", 1),
        Mark("the first of them", after[0], ">=", duration_s * 200 * least_rate * 0.8 - 6),
    ]


def _chain(flow: Flow, relays: int, edge: dict[str, object]) -> list[str]:
    names = [f"relay-{number}" for number in range(relays)]
    for before, name in zip(["sender", *names], names, strict=False):
        flow.node(name, RELAY, inputs={"in": {"source": f"{before}/out", **edge}}, outputs=["out"])
    flow.node("sink", ARRIVALS, inputs={"in": {"source": f"{(names or ['sender'])[-1]}/out", **edge}})
    return names


def paced_chain(flow: Flow, nodes: int, duration_s: float, *, rate_hz: int = 1000) -> list[Mark]:
    """A chain of that many nodes at that rate: everything arrives."""
    count = int(duration_s * rate_hz)
    timer = {"tick": f"dora/timer/hz/{rate_hz}"}
    flow.node("sender", PACED, inputs=timer, outputs=["out"], env={"COUNT": count})
    _chain(flow, nodes - 2, {"queue_size": 100})
    ended = flow.run(timeout_s=60 + 5 * duration_s)
    assert ended.code == 0, ended
    found = flow.figures("sink")
    return [Mark("messages received", found["received"], "==", count), Mark("out of order", found["wrong"], "==", 0)]


def flooded_chain(flow: Flow, nodes: int, count: int) -> tuple[list[Mark], float]:
    """A lossless chain in flood: marks, and the processor time per message of a relay in the middle, in us."""
    flow.node("sender", FLOOD, outputs=["out"], env={"COUNT": count})
    names = _chain(flow, nodes - 2, {"queue_size": 100, "queue_policy": "backpressure"})
    ended = flow.run(timeout_s=60 + nodes * count / 2000)
    assert ended.code == 0, ended
    cost_us = sum(flow.figures(name)["us"] for name in names) / len(names)
    return [Mark("messages received", flow.figures("sink")["received"], "==", count)], cost_us
