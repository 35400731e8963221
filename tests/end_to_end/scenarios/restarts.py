"""A node that ends badly again and again, and the others beside it."""

from __future__ import annotations

import json
import os
import time

from end_to_end.running import Flow, wait_until
from end_to_end.scenarios.marks import Mark

CRASHES = """
import os
import pyarrow as pa
from dora import Node

node = Node()
for number in range(3):
    node.send_output("out", pa.array([3 * node.restart_count() + number]))
os._exit(3)
"""
WITNESS = """
import json
from dora import Node

numbers, restarts, ticks = [], 0, 0
for event in Node():
    if event["type"] == "INPUT" and event["id"] == "in":
        numbers.append(event["value"][0].as_py())
    elif event["type"] == "INPUT":
        ticks += 1
    elif event["type"] == "NODE_RESTARTED":
        restarts += 1
    if event["type"] != "INPUT" or event["id"] == "in":
        in_order = numbers == list(range(len(numbers)))
        print(json.dumps([len(numbers), in_order, restarts, ticks, event["type"]]), flush=True)
"""
DELAY_S = 0.1


def crash_loop(flow: Flow, count: int) -> list[Mark]:
    """A source crashes that often, and is restarted after a tenth of a second; its reader goes on."""
    keys = {"restart_policy": "always", "max_restarts": count, "restart_delay": DELAY_S, "max_restart_delay": DELAY_S}
    flow.node("source", CRASHES, outputs=["out"], **keys)
    edge = {"source": "source/out", "queue_size": 10, "queue_policy": "backpressure"}
    flow.node("reader", WITNESS, inputs={"in": edge, "tick": "dora/timer/millis/20"})
    run = flow.start()
    wait_until(lambda: run.said("reader"), what="the first message")
    began_s, first = time.monotonic(), _descriptors(run.process.pid)
    patience_s = 20 + 10 * count
    wait_until(lambda: _figures(run.said("reader"))[4] == "INPUT_CLOSED", patience_s, "the last crash")
    took_s, last = time.monotonic() - began_s, _descriptors(run.process.pid)
    ended = run.stop()
    received, in_order, restarts, ticks, _ = _figures(run.said("reader"))
    return [
        Mark("exit code (the last end of the source counts)", ended.code if ended.code is not None else -1, "==", 1),
        Mark("messages", received, "==", 3 * (count + 1)),
        Mark("out of order", int(not in_order), "==", 0),
        Mark("NODE_RESTARTED", restarts, "==", count),
        Mark("seconds per restart", took_s / count, ">=", DELAY_S),
        Mark("ticks of the reader per 20 ms", ticks / (took_s / 0.02), ">=", 0.5),
        Mark("descriptors of the runner more than at the start", last - first, "<=", 0),
    ]


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _figures(said: list[str]) -> list[int]:
    lines = [line for line in said if line.startswith("[")]
    return list(json.loads(lines[-1]))
