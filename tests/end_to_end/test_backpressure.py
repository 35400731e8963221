"""Lossless edges: the sender really waits, for all or none, interruptibly, and never for ever."""

from __future__ import annotations

import signal

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios import cycles
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow

SENDER = """
import json, os, time
import pyarrow as pa
from dora import Node

node = Node()
longest_s = 0.0
for i in range(int(os.environ["COUNT"])):
    begun = time.monotonic()
    node.send_output("out", pa.array([i, time.monotonic_ns()]))
    longest_s = max(longest_s, time.monotonic() - begun)
    print("sent", i, flush=True)
print(json.dumps(longest_s))
"""
READER = """
import json, os, time
from dora import Node

received = []
for event in Node():
    if event["type"] == "INPUT":
        received.append([event["value"][0].as_py(), time.monotonic_ns()])
        time.sleep(float(os.environ.get("PAUSE", "0")))
print(json.dumps(received))
"""


def lossless(source: str, size: int) -> dict[str, object]:
    """An input that loses nothing."""
    return {"source": source, "queue_size": size, "queue_policy": "backpressure"}


def test_cycle_of_two_full_queues_is_named_within_two_seconds(flow: Flow) -> None:
    hold(cycles.two_nodes(flow, 1))


def test_full_queue_of_a_node_to_itself_is_named_at_once(flow: Flow) -> None:
    flow.node("echo", cycles.LOOP, outputs=["out"], inputs={"in": lossless("echo/out", 3)})
    assert flow.run().code == 0
    found = flow.figures("echo")
    assert found["s"] < 0.1, "the sender sees that by itself"
    assert "echo/out -> echo/in" in found["error"]


def test_cycle_is_no_deadlock_while_another_thread_receives(flow: Flow) -> None:
    echo = """
    import threading
    import pyarrow as pa
    from dora import Node

    node = Node()
    received = []
    def receive():
        while len(received) < 500:
            received.append(node.next()["value"][0].as_py())
    thread = threading.Thread(target=receive)
    thread.start()
    for i in range(500):
        node.send_output("out", pa.array([i]))
    thread.join()
    print(received == list(range(500)))
    """
    flow.node("echo", echo, outputs=["out"], inputs={"in": lossless("echo/out", 2)})
    ended = flow.run()
    assert flow.said("echo") == ["True"], ended


def test_two_nodes_that_answer_each_other_are_no_deadlock(flow: Flow) -> None:
    ping = """
    import pyarrow as pa
    from dora import Node

    node = Node()
    node.send_output("out", pa.array([0]))
    for event in node:
        if event["type"] == "INPUT":
            if (count := event["value"][0].as_py()) == 3000:
                break
            node.send_output("out", pa.array([count + 1]))
    print("done")
    """
    flow.node("ping", ping, outputs=["out"], inputs={"in": lossless("pong/out", 1)})
    flow.node(
        "pong",
        ping.replace('node.send_output("out", pa.array([0]))\n', "\n", 1),
        outputs=["out"],
        inputs={"in": lossless("ping/out", 1)},
    )
    ended = flow.run()
    assert "done" in flow.said("ping") + flow.said("pong"), ended
    assert ended.code == 0


def test_slowest_lossless_reader_sets_the_pace_and_none_gets_more_than_the_others(flow: Flow) -> None:
    flow.node("sender", SENDER, outputs=["out"], env={"COUNT": 60})
    flow.node("slow", READER, inputs={"in": lossless("sender/out", 2)}, env={"PAUSE": 0.01})
    flow.node("fast", READER, inputs={"in": lossless("sender/out", 2)})
    ended = flow.run()
    assert ended.code == 0, ended
    slow, fast = dict(flow.figures("slow")), dict(flow.figures("fast"))
    assert list(slow) == list(fast) == list(range(60))
    early = [i for i in range(10, 57) if fast[i + 3] < slow[i - 2]]
    assert not early, "the fast reader had messages that the slow one had no room for"


def test_receiving_and_other_outputs_go_on_while_a_thread_is_blocked_in_a_send(flow: Flow) -> None:
    sender = """
    import threading
    import pyarrow as pa
    from dora import Node

    node = Node()
    def fill():
        for i in range(20):
            node.send_output("slow", pa.array([i]))
    thread = threading.Thread(target=fill)
    thread.start()
    answers = []
    for i in range(100):
        node.send_output("out", pa.array([i]))
        answers.append(node.next()["value"][0].as_py())
    print(answers == list(range(100)), thread.is_alive(), flush=True)
    thread.join()
    """
    echo = """
    from dora import Node

    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            node.send_output("out", event["value"])
    """
    flow.node("sender", sender, outputs=["slow", "out"], inputs={"back": lossless("echo/out", 2)})
    flow.node("echo", echo, outputs=["out"], inputs={"in": lossless("sender/out", 2)})
    flow.node("slow", READER, inputs={"in": lossless("sender/slow", 2)}, env={"PAUSE": 0.15})
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("sender") == ["True True"]


def test_signal_handlers_run_inside_every_call_that_waits(flow: Flow) -> None:
    sender = """
    import asyncio, signal, time
    import pyarrow as pa
    from dora import Node

    class Alarm(Exception):
        pass

    def ring(signum, frame):
        raise Alarm

    node = Node()
    signal.signal(signal.SIGALRM, ring)
    for _ in range(2):
        node.send_output("out", pa.array([0]))
    for wait in (
        lambda: node.send_output("out", pa.array([1])),
        lambda: node.next(),
        lambda: asyncio.run(node.recv_async()),
        lambda: list(node),
    ):
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        begun = time.monotonic()
        try:
            wait()
        except Alarm:
            print(time.monotonic() - begun, flush=True)
    """
    late = READER.replace("received = []", "node = Node()\nreceived = []\ntime.sleep(1.5)").replace(
        "in Node()", "in node"
    )
    flow.node("sender", sender, outputs=["out"], inputs={"never": "reader/never"})
    flow.node("reader", late, inputs={"in": lossless("sender/out", 2)}, outputs=["never"])
    ended = flow.run()
    assert ended.code == 0, ended
    waited_s = [float(line) for line in flow.said("sender")]
    assert len(waited_s) == 4, ended
    assert all(0.09 < wait_s < 1 for wait_s in waited_s), waited_s
    assert [number for number, _ in flow.figures("reader")] == [0, 0]


def test_ctrl_c_gets_through_to_a_blocked_sender_and_reader_gets_what_was_queued(flow: Flow) -> None:
    flow.node("sender", SENDER, outputs=["out"], env={"COUNT": 100})
    flow.node(
        "reader",
        READER.replace("received = []", "received = []\nnode = Node()\ntime.sleep(1.2)"),
        inputs={"in": lossless("sender/out", 5)},
    )
    run = flow.start()
    run.wait_said("sender", "sent 4")
    run.signal(signal.SIGINT)
    ended = run.wait(10)
    assert ended.code == 0, ended
    assert 0.3 < run.figures("sender") < 1.0
    assert run.said("sender")[-2] == "sent 99"


def test_blocked_sender_waits_through_the_restart_of_its_reader(flow: Flow) -> None:
    flow.node("sender", SENDER, outputs=["out"], env={"COUNT": 30})
    dies = """
    import os, time
    from dora import Node

    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            print(event["value"][0].as_py(), flush=True)
            if not node.is_restart() and event["value"][0].as_py() == 5:
                time.sleep(0.2)
                os.kill(os.getpid(), 9)
    """
    flow.node("reader", dies, inputs={"in": lossless("sender/out", 3)}, restart_policy="on-failure", max_restarts=1)
    ended = flow.run()
    assert ended.code == 0, ended
    assert [int(line) for line in flow.said("reader")] == list(range(30))


def test_reader_that_dies_for_good_ends_the_wait_of_its_sender(flow: Flow) -> None:
    flow.node("sender", SENDER, outputs=["out"], env={"COUNT": 30})
    flow.node(
        "reader",
        "import time\nfrom dora import Node\nnode = Node()\nnode.next()\ntime.sleep(0.3)",
        inputs={"in": lossless("sender/out", 3)},
    )
    ended = flow.run(timeout_s=10)
    assert ended.code == 0, ended
    assert flow.said("sender")[-2] == "sent 29"
