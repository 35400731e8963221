"""Services, actions and streams at scale: every reply to its own caller, every chunk in its place, no memory kept."""

from __future__ import annotations

from typing import Any, Final

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

CLIENTS: Final = range(4)
LOSSLESS: Final = {"queue_size": 100, "queue_policy": "backpressure"}

SERVER = """
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_service_response("reply", event["value"], event["metadata"])
"""
CRASHING_SERVER = """
import os, time
from dora import Node

node = Node()
crash_after = int(os.environ["CRASH_AFTER"])
if node.restart_count():
    print("back", time.monotonic())
for number, event in enumerate(event for event in node if event["type"] == "INPUT"):
    if number == crash_after and not node.restart_count():
        print("crashes", time.monotonic())
        os._exit(3)
    node.send_service_response("reply", event["value"], event["metadata"])
"""
BEGINNING = """
import asyncio, json, os, resource, time
import pyarrow as pa
from dora import Node

node = Node()
own = int(node.node_config()["outputs"][0].removeprefix("ask"))
count = int(os.environ["COUNT"])
begun_s = time.monotonic()
found = {"right": 0, "wrong": 0, "told": [], "long_waits": []}

def note(reply, number):
    found["right" if reply["value"].to_pylist() == [own, number] else "wrong"] += 1
"""
ENDING = """
found["calls_hz"] = count / (time.monotonic() - begun_s)
found["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps(found))
"""
CALLER = """
for number in range(count):
    request_id = node.send_service_request(f"ask{own}", pa.array([own, number]))
    note(node.recv_service_response(request_id, "server", timeout=30), number)
"""
TASKS = """
async def call(numbers):
    for number in numbers:
        request_id = node.send_service_request(f"ask{own}", pa.array([own, number]))
        note(await node.recv_service_response_async(request_id, "server", timeout=30), number)

async def main():
    await asyncio.gather(*(call(range(task, count, 20)) for task in range(20)))

asyncio.run(main())
"""
PERSISTENT_CALLER = """
for number in range(count):
    while True:
        request_id = node.send_service_request(f"ask{own}", pa.array([own, number]))
        began_s = time.monotonic()
        try:
            reply = node.recv_service_response(request_id, "server", timeout=30)
        except RuntimeError as error:
            found["told"].append(str(error).rpartition(": ")[2])
            continue
        if time.monotonic() - began_s > 0.02:
            found["long_waits"].append((began_s, time.monotonic()))
        note(reply, number)
        break
"""
ACTOR = """
import pyarrow as pa
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        goal = {"goal_id": event["metadata"]["goal_id"]}
        own, number = event["value"].to_pylist()
        for step in range(3):
            node.send_output("feedback", pa.array([own, number, step]), goal)
        node.send_output("result", event["value"], {**goal, "goal_status": "succeeded"})
"""
GOALS = """
import uuid

for number in range(count):
    goal_id = str(uuid.uuid4())
    node.send_output(f"ask{own}", pa.array([own, number]), {"goal_id": goal_id})
    result = node.recv_action_result(goal_id, "server", timeout=30)
    note(result, number)
    feedback = [event for event in node.drain() if event["id"] == "feedback"]
    steps = [event["value"].to_pylist() for event in feedback if event["metadata"]["goal_id"] == goal_id]
    found["wrong"] += steps != [[own, number, step] for step in range(3)]
"""
STREAMER = """
import os
import pyarrow as pa
from dora import Node

node = Node()
for number in range(int(os.environ["COUNT"]) // 10):
    segment = node.stream_segment("out", session_id="s", segment_id=number)
    for chunk in range(10):
        segment.send(pa.array([number, chunk]), fin=chunk == 9)
"""
LISTENER = """
import json
from dora import Node

right = wrong = 0
for event in Node():
    if event["type"] == "INPUT":
        keys = event["metadata"]
        number, chunk = event["value"].to_pylist()
        is_right = (keys["segment_id"], keys["seq"], keys["fin"]) == (number, chunk, chunk == 9)
        is_right = is_right and number * 10 + chunk == right + wrong
        right, wrong = right + is_right, wrong + (not is_right)
print(json.dumps({"right": right, "wrong": wrong}))
"""


def calls(flow: Flow, count: int) -> list[Mark]:
    """Four clients of one server, one call after the other; each sees the replies to all."""
    return _run(flow, count, SERVER, CALLER, {"reply": "server/reply"})


def awaited_calls(flow: Flow, count: int) -> list[Mark]:
    """The same with twenty tasks in each client."""
    return _run(flow, count, SERVER, TASKS, {"reply": "server/reply"})


def goals(flow: Flow, count: int) -> list[Mark]:
    """Four clients of one action server, with three steps of feedback for each goal."""
    return _run(flow, count, ACTOR, GOALS, {"feedback": "server/feedback", "result": "server/result"})


def restarted_server(flow: Flow, count: int) -> list[Mark]:
    """The server crashes half way and is restarted: whoever waits hears of it at once and asks again.

    A client whose reply the server had just sent does not wait for it, and need not hear of it.
    """
    server = {"restart_policy": "on-failure", "max_restarts": 1, "env": {"CRASH_AFTER": 2 * count}}
    marks = _run(flow, count, CRASHING_SERVER, PERSISTENT_CALLER, {"reply": "server/reply"}, **server)
    crash_s, back_s = (float(line.split()[1]) for line in flow.said("server"))
    clients = [flow.figures(f"client{n}") for n in CLIENTS]
    told = [tuple(client["told"]) for client in clients]
    through = [wait for client in clients for wait in client["long_waits"] if wait[0] < crash_s and wait[1] > back_s]
    once = told.count(("node `server` was restarted",))
    return [
        *marks,
        Mark("waits through the restart, untold", len(through), "==", 0),
        Mark("clients told", once, ">=", 1),
        Mark("clients told once, or that did not wait", once + told.count(()), "==", len(CLIENTS)),
    ]


def stream(flow: Flow, count: int) -> list[Mark]:
    """Segments of ten chunks to a reader that loses none."""
    flow.node("streamer", STREAMER, outputs=["out"], env={"COUNT": count})
    flow.node("listener", LISTENER, inputs={"in": {"source": "streamer/out", **LOSSLESS}})
    ended = flow.run(timeout_s=60 + count / 500)
    assert ended.code == 0, ended
    found = flow.figures("listener")
    return [
        Mark("chunks in their places", found["right"], "==", count // 10 * 10),
        Mark("others", found["wrong"], "==", 0),
    ]


def _run(flow: Flow, count: int, server: str, client: str, replies: dict[str, str], **keys: Any) -> list[Mark]:
    requests = {f"from{n}": {"source": f"client{n}/ask{n}", **LOSSLESS} for n in CLIENTS}
    outputs = sorted({source.partition("/")[2] for source in replies.values()})
    flow.node("server", server, inputs=requests, outputs=outputs, **keys)
    inputs = {name: {"source": source, **LOSSLESS} for name, source in replies.items()}
    for n in CLIENTS:
        source = BEGINNING + client + ENDING
        flow.node(f"client{n}", source, inputs=inputs, outputs=[f"ask{n}"], env={"COUNT": count})
    ended = flow.run(timeout_s=60 + count / 20)
    assert ended.code == 0, ended
    found = [flow.figures(f"client{n}") for n in CLIENTS]
    return [
        Mark("replies to their callers", sum(one["right"] for one in found), "==", count * len(CLIENTS)),
        Mark("wrong replies", sum(one["wrong"] for one in found), "==", 0),
        Mark("most memory of a client, MB", max(one["rss_mb"] for one in found), "<=", 150),
        Mark("calls of a client per second", min(one["calls_hz"] for one in found), ">=", 20 if count >= 1000 else 0),
    ]
