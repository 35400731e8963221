"""Processes that die in the middle of something."""

from __future__ import annotations

import os
import random
import signal
import time

from end_to_end.running import Flow, Run, wait_until
from end_to_end.scenarios.marks import Mark

EIGHT_MEGABYTES = """
import numpy as np
from dora import Node

node = Node()
data = np.arange(1_000_000)
print("run", flush=True)
while True:
    node.send_output("out", data)
"""
CHECKING = """
import json
import numpy as np
from dora import Node

node = Node()
expected = np.arange(1_000_000)
right = wrong = 0
for event in node:
    if event["type"] == "STOP":
        break
    if event["type"] == "INPUT":
        values = event["value"].to_numpy()
        is_right = bool(len(values) == 1_000_000 and (values[::1009] == expected[::1009]).all())
        right += is_right
        wrong += not is_right
        if right % 50 == 1:
            print(json.dumps([right, wrong]), flush=True)
print(json.dumps([right, wrong]))
"""


def _open_files(run: Run) -> int:
    return len(os.listdir(f"/proc/{run.process.pid}/fd"))


def _received(run: Run, node: str) -> int:
    lines = [line for line in run.said(node) if line.startswith("[")]
    return int(lines[-1].strip("[]").split(",")[0]) if lines else 0


def _wait_at_work(run: Run, node: str, turn: int) -> None:
    """Until that run of the node, counted from 1, sends or has received its first message."""
    sign = "run" if node == "sender" else "[1, 0]"
    wait_until(lambda: run.said(node).count(sign) >= turn, what=f"run {turn} of the {node}")


def killed_in_the_middle(flow: Flow, count: int) -> list[Mark]:
    """SIGKILL, by turns, to a sender and a reader of 8 MB messages; both are restarted, a second reader lives on."""
    always = {"restart_policy": "always"}
    flow.node("sender", EIGHT_MEGABYTES, outputs=["out"], **always)
    edge = {"source": "sender/out", "queue_size": 2, "queue_policy": "backpressure"}
    flow.node("reader", CHECKING, inputs={"in": edge}, **always)
    flow.node("steady", CHECKING, inputs={"in": {"source": "sender/out", "queue_size": 2}})
    run = flow.start()
    wait_until(lambda: _received(run, "reader") and _received(run, "steady"), what="the first messages")
    files = []
    steady = run.nodes()["steady"]
    choice = random.Random(37)
    for number in range(count):
        victim = ("sender", "reader")[number % 2]
        before = run.nodes()
        time.sleep(choice.random() * 0.05)
        os.kill(before[victim], signal.SIGKILL)
        wait_until(lambda old=before, who=victim: run.nodes().get(who, old[who]) != old[who], what="the restart")
        _wait_at_work(run, victim, number // 2 + 2)
        files.append(_open_files(run))
    wait_until(lambda: run.nodes().get("steady") == steady, what="the other reader")
    ended = run.stop()
    assert ended.code in (0, 1), ended
    right, wrong = run.figures("steady")
    settled = files[len(files) // 4 :]
    return [
        Mark("kills", len(files), "==", count),
        Mark("messages that the other reader got", right, ">=", count // 2),
        Mark("wrong messages", wrong, "==", 0),
        Mark("more descriptors of `dora run` at the end than at the begin", settled[-1] - settled[0], "<=", 3),
    ]
