"""Ctrl-C in a node (a real SIGINT to its process) is heard at once in every call that waits, and the node goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from end_to_end.running import Flow, wait_until

pytestmark = pytest.mark.slow

CALLS = {
    "next": "node.next()",
    "next with a time-out": "node.next(timeout=1000)",
    "iteration": "[event for event in node]",
    "recv_async": "asyncio.run(awaited(node.recv_async()))",
    "service": "node.recv_service_response('a', 'other')",
    "awaited service": "asyncio.run(awaited(node.recv_service_response_async('a', 'other')))",
    "action": "node.recv_action_result('a', 'other')",
    "send": "send_until_full()",
    "raw send": "fill_until_full()",
}
PROGRAM = f"""
import asyncio
import pyarrow as pa
from dora import Node

async def awaited(waiting):
    return await waiting

def send_until_full():
    while True:
        node.send_output("out", pa.array([0]))

def fill_until_full():
    while True:
        with node.send_output_raw("out", 8) as buffer:
            memoryview(buffer)[:] = bytes(8)

node = Node()
for name, call in {CALLS!r}.items():
    print("in", name, flush=True)
    try:
        eval(call)
    except KeyboardInterrupt:
        print("out of", name, flush=True)
event = node.next()
print(event["type"], event["id"], flush=True)
node.next()
"""
OTHER = """
import os, time
from dora import Node

node = Node()
while not os.path.exists("go"):
    time.sleep(0.01)
node.send_output("out", b"")
while True:
    time.sleep(1000)
"""


def is_asleep(pid: int) -> bool:
    """The process waits for something."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_interrupt_is_heard_in_every_call_that_waits(flow: Flow) -> None:
    flow.node("node", PROGRAM, inputs={"in": "other/out"}, outputs=["out"])
    never_read = {"source": "node/out", "queue_size": 1, "queue_policy": "backpressure"}
    flow.node("other", OTHER, inputs={"in": never_read}, outputs=["out"])
    run = flow.start("--grace", "100ms")
    run.wait_said("node", "in next", timeout_s=60)
    pid = run.wait_nodes("node")["node"]
    for name in CALLS:
        run.wait_said("node", f"in {name}")
        wait_until(lambda: is_asleep(pid), what=f"{name} to wait")
        os.kill(pid, signal.SIGINT)
        run.wait_said("node", f"out of {name}")
    (flow.folder / "go").touch()
    run.wait_said("node", "INPUT in")
    run.stop()
