"""Many messages, a lossless edge or many threads: nothing is lost, nothing is out of order, nobody hangs."""

from __future__ import annotations

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

FLOOD = """
import os
import pyarrow as pa
from dora import Node

node = Node()
for i in range(int(os.environ["COUNT"])):
    node.send_output("out", pa.array([i]))
"""
SLOW_READER = """
import json, time
from dora import Node

expected = ticks = wrong = 0
last_tick = -1
begun = time.monotonic()
for event in Node():
    if event["id"] == "in" and event["type"] == "INPUT":
        wrong += event["value"][0].as_py() != expected
        expected += 1
        if expected % 100 == 0:
            time.sleep(0.001)
    elif event["id"] == "tick":
        count = event["value"][0].as_py()
        wrong += count <= last_tick
        last_tick = count
        ticks += 1
    elif event["type"] == "INPUT_CLOSED":
        break
elapsed = time.monotonic() - begun
print(json.dumps({"received": expected, "wrong": wrong, "ticks": ticks, "due": last_tick + 1, "elapsed_s": elapsed}))
"""
THREADS = """
import os, threading
import pyarrow as pa
from dora import Node

node = Node()
each = int(os.environ["COUNT"]) // 8

def send(thread):
    for i in range(each):
        node.send_output("out", pa.array([thread, i]))

threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
ASYNC_READER = """
import asyncio, json, time
from dora import Node

async def main():
    node = Node()
    next_of = [0] * 8
    wrong = beats = 0
    longest_s = 0.0

    async def beat():
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    begun = last = time.monotonic()
    while (event := await node.recv_async())["type"] == "INPUT":
        thread, i = event["value"].to_pylist()
        wrong += next_of[thread] != i
        next_of[thread] = i + 1
        now = time.monotonic()
        longest_s = max(longest_s, now - last)
        last = now
    heart.cancel()
    beats_hz = beats / (last - begun)
    print(json.dumps({"received": sum(next_of), "wrong": wrong, "longest_s": longest_s, "beats_hz": beats_hz}))

asyncio.run(main())
"""


def slow_reader(flow: Flow, count: int, *, least_hz: float = 1000) -> list[Mark]:
    """A lossless edge into a slow reader that also has a 1 kHz timer."""
    flow.node("sender", FLOOD, outputs=["out"], env={"COUNT": count})
    edge = {"source": "sender/out", "queue_size": 10, "queue_policy": "backpressure"}
    flow.node("reader", SLOW_READER, inputs={"in": edge, "tick": "dora/timer/hz/1000"})
    ended = flow.run(timeout_s=60 + count / 1000)
    assert ended.code == 0, ended
    found = flow.figures("reader")
    return [
        Mark("messages received", found["received"], "==", count),
        Mark("messages or ticks out of order", found["wrong"], "==", 0),
        Mark("share of the due ticks", found["ticks"] / found["due"], ">=", 0.1),
        Mark("messages per second", found["received"] / found["elapsed_s"], ">=", least_hz),
    ]


def threads(flow: Flow, count: int) -> list[Mark]:
    """Eight sending threads into a reader on an asyncio loop."""
    count = count // 8 * 8
    flow.node("sender", THREADS, outputs=["out"], env={"COUNT": count})
    edge = {"source": "sender/out", "queue_size": 100, "queue_policy": "backpressure"}
    flow.node("reader", ASYNC_READER, inputs={"in": edge})
    ended = flow.run(timeout_s=60 + count / 1000)
    assert ended.code == 0, ended
    found = flow.figures("reader")
    return [
        Mark("messages received", found["received"], "==", count),
        Mark("messages of a thread out of order", found["wrong"], "==", 0),
        Mark("longest time without a message, s", found["longest_s"], "<=", 1),
        Mark("turns of another task of the loop per second", found["beats_hz"], ">=", 10),
    ]
