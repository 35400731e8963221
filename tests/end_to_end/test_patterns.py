"""Services and actions between real nodes: replies find their callers, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios import services
from end_to_end.scenarios.marks import Mark, hold

pytestmark = pytest.mark.slow

SERVER = """
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_service_response("reply", event["value"], event["metadata"])
"""


@pytest.mark.parametrize("scenario", [services.calls, services.goals, services.restarted_server])
def test_every_reply_reaches_its_caller_among_four_clients(
    flow: Flow, scenario: Callable[[Flow, int], list[Mark]]
) -> None:
    hold(scenario(flow, 50))


SLOW_SERVER = """
from dora import Node

node = Node()
request = node.next()
for number in range(5):
    node.send_output("news", bytes([number]))
node.send_service_response("reply", b"", request["metadata"])
"""
KEEPING_CLIENT = """
from dora import Node

node = Node()
request_id = node.send_service_request("ask", b"")
node.recv_service_response(request_id, "server", timeout=20)
assert not node.is_empty()
print([event["value"][0].as_py() if event["type"] == "INPUT" else event["type"] for event in node])
"""


def test_other_events_are_kept_for_the_main_loop_in_order(flow: Flow) -> None:
    flow.node("server", SLOW_SERVER, inputs={"ask": "client/ask"}, outputs=["news", "reply"])
    inputs = {"news": "server/news", "reply": "server/reply"}
    flow.node("client", KEEPING_CLIENT, inputs=inputs, outputs=["ask"])
    assert flow.run().code == 0
    (line,) = flow.said("client")
    assert line.startswith("[0, 1, 2, 3, 4, 'INPUT_CLOSED'")
    assert line.endswith("'STOP']")


DYING_SERVER = """
import os
from dora import Node

node = Node()
node.next()
os._exit({code})
"""
FORSAKEN_CLIENT = """
import time
from dora import Node

node = Node()
request_id = node.send_service_request("ask", b"")
began_s = time.monotonic()
try:
    node.recv_service_response(request_id, "server", timeout=20)
except RuntimeError as error:
    print(str(error).replace(request_id, "ID"), time.monotonic() - began_s < 5)
"""


ENDS = {
    "has failed": (3, {}),
    "has closed its output": (0, {}),
    "was restarted": (3, {"restart_policy": "on-failure", "max_restarts": 1}),
}


@pytest.fixture(scope="module")
def forsaken(flows: Callable[[], Flow]) -> Flow:
    """The end of a run in which each server ended before it had answered its client."""
    flow = flows()
    for number, (code, keys) in enumerate(ENDS.values()):
        source = DYING_SERVER.format(code=code)
        flow.node(f"server{number}", source, inputs={"ask": f"client{number}/ask"}, outputs=["reply"], **keys)
        client = FORSAKEN_CLIENT.replace('"server"', f'"server{number}"')
        flow.node(f"client{number}", client, inputs={"reply": f"server{number}/reply"}, outputs=["ask"])
    flow.run()
    return flow


@pytest.mark.parametrize(("number", "reason"), list(enumerate(ENDS)))
def test_end_of_the_server_ends_the_wait_at_once(forsaken: Flow, number: int, reason: str) -> None:
    expected = [f"no reply to request ID: node `server{number}` {reason} True"]
    assert forsaken.said(f"client{number}") == expected


LATE = """
import warnings
from dora import Node

node = Node()
try:
    node.recv_service_response("nobody", timeout=0.05)
except TimeoutError as error:
    print(error)
try:
    node.recv_action_result("nobody", "stranger")
except RuntimeError as error:
    print(error)
assert node.next(timeout=0.0)["type"] == "ERROR"
assert "take" not in vars(node._receiver)
segment = node.stream_segment("out", "s", 2, flush=True)
segment.send(b"a")
segment.send(b"b", fin=True)
try:
    segment.send(b"c")
except RuntimeError as error:
    print(error)
"""


def test_waits_and_segments_that_cannot_go_on_say_so(flow: Flow) -> None:
    flow.node("a", LATE, inputs={"in": "b/out"}, outputs=["out"])
    flow.node("b", "from dora import Node\nfor _ in Node(): pass", inputs={"in": "a/out"}, outputs=["out"])
    assert flow.run().code == 0
    assert flow.said("a") == [
        "no reply to request nobody within 0.05 s",
        "no reply to goal nobody: no input of this node is fed by `stranger`",
        "this segment is finished: a chunk was sent with fin=True; begin another segment",
    ]


TASKS = """
import asyncio
import pyarrow as pa
from dora import Node

async def main():
    node = Node()

    async def call(number):
        request_id = node.send_service_request("ask", pa.array([number]))
        reply = await node.recv_service_response_async(request_id, "server", timeout=20)
        return reply["value"][0].as_py() == number

    print(sum(await asyncio.gather(*map(call, range(50)))))

asyncio.run(main())
"""


def test_tasks_that_wait_side_by_side_each_get_their_reply(flow: Flow) -> None:
    flow.node("server", SERVER, inputs={"ask": {"source": "client/ask", "queue_size": 100}}, outputs=["reply"])
    flow.node("client", TASKS, inputs={"reply": {"source": "server/reply", "queue_size": 100}}, outputs=["ask"])
    assert flow.run().code == 0
    assert flow.said("client") == ["50"]
