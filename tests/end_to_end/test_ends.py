"""How inputs end: after the last message, in order, told at once; and how they go on when a node is restarted."""

from __future__ import annotations

import json

import pytest

from end_to_end.running import Flow, Run, is_alive, wait_until
from end_to_end.scenarios import ends
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow

EVENTS = """
import os, time
from dora import Node

node = Node()
for event in node:
    value = event["value"]
    number = value[0].as_py() if event["type"] == "INPUT" else ""
    print(time.monotonic(), event["type"], event["id"], number, flush=True)
    if event["type"] == "STOP":
        break
    time.sleep(float(os.environ.get("PAUSE", "0")))
"""
NUMBERS = """
import os, time
import pyarrow as pa
from dora import Node

node = Node()
first = node.restart_count() * 1000
for i in range(first, first + 50):
    node.send_output("out", pa.array([i]))
print("sent", time.monotonic(), flush=True)
"""


def events(run: Run, node: str) -> list[str]:
    """The events of a node, without their times."""
    return [line.split(maxsplit=1)[1].strip() for line in run.said(node)]


def time_of(run: Run, node: str, text: str) -> float:
    """When a node said that."""
    return next(float(line.split()[0]) for line in run.said(node) if text in line)


def lossless(source: str) -> dict[str, object]:
    """An input that loses nothing."""
    return {"source": source, "queue_size": 100, "queue_policy": "backpressure"}


def test_failure_is_told_after_the_last_message_and_stop_comes_last(flow: Flow) -> None:
    flow.node("fails", NUMBERS + "raise SystemExit(3)", outputs=["out"])
    flow.node("ends", NUMBERS, outputs=["out"])
    flow.node("reader", EVENTS, inputs={"a": lossless("fails/out"), "b": lossless("ends/out")}, env={"PAUSE": 0.002})
    assert flow.run().code == 1
    found = events(flow.last, "reader")
    numbers = [f"INPUT a {i}" for i in range(50)]
    assert [line for line in found if line.startswith("INPUT a")] == numbers
    at = found.index("NODE_FAILED fails")
    assert found[at + 1] == "INPUT_CLOSED a"
    assert at > found.index("INPUT a 49")
    assert found.index("INPUT_CLOSED b") > found.index("INPUT b 49")
    assert found[-1] == "STOP ALL_INPUTS_CLOSED"
    assert len(found) == 104


def test_ended_input_does_not_keep_its_reader_busy(flow: Flow) -> None:
    reader = """
    import json, time
    from dora import Node

    node = Node()
    while node.next()["type"] != "INPUT_CLOSED":
        pass
    begun = time.process_time()
    while node.next(timeout=1.0)["type"] == "INPUT":
        pass
    print(json.dumps(time.process_time() - begun))
    """
    flow.node("ends", NUMBERS, outputs=["out"])
    flow.node("lives", "import time\nfrom dora import Node\nnode = Node()\ntime.sleep(2)", outputs=["out"])
    flow.node("reader", reader, inputs={"a": "ends/out", "b": "lives/out"})
    assert flow.run().code == 0
    assert flow.figures("reader") < 0.1


def test_segmentation_fault_is_told_to_readers_within_200_ms_and_kills_nobody_else(flow: Flow) -> None:
    dies = """
    import os, signal, time
    import numpy as np
    from dora import Node

    node = Node()
    for _ in range(3):
        node.send_output("out", np.zeros(1_000_000))
    print(time.monotonic(), "dies", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
    """
    flow.node("dies", dies, outputs=["out"])
    for name in ("left", "right"):
        flow.node(name, EVENTS, inputs={"in": "dies/out", "tick": "dora/timer/secs/10"})
    run = flow.start()
    for name in ("left", "right"):
        run.wait_said(name, "INPUT_CLOSED in")
        assert time_of(run, name, "NODE_FAILED dies") - time_of(run, "dies", "dies") < 0.2
    assert set(run.nodes()) == {"left", "right"}
    assert run.stop().code == 1


def test_restarted_sender_is_read_on_without_loss(flow: Flow) -> None:
    rest = "import sys\ntime.sleep(0.1)\nsys.exit(1 if first < 2000 else 0)"
    flow.node("sender", NUMBERS + rest, outputs=["out"], restart_policy="on-failure")
    flow.node("reader", EVENTS, inputs={"in": lossless("sender/out")}, env={"PAUSE": 0.001})
    ended = flow.run()
    assert ended.code == 0, ended
    found = events(flow.last, "reader")
    sent = [f"INPUT in {turn * 1000 + i}" for turn in range(3) for i in range(50)]
    assert [line for line in found if line.startswith("INPUT in")] == sent
    assert found.count("NODE_RESTARTED sender") == 2
    assert found[-2:] == ["INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
    assert "dropped" not in ended.stderr


DIES_AT_4 = EVENTS.replace(
    "    time.sleep(",
    "    if number == 4 and not node.is_restart():\n        time.sleep(0.1)\n        os._exit(9)\n    time.sleep(",
)


@pytest.mark.parametrize(
    "sender",
    [
        NUMBERS + "for event in node:\n    pass",
        NUMBERS + "while not os.path.exists('again'):\n    time.sleep(0.01)\ntime.sleep(0.2)",
    ],
    ids=["that waits for events", "that sleeps and ends"],
)
def test_restarted_reader_gets_what_was_queued_for_it_by_a_sender(flow: Flow, sender: str) -> None:
    flow.node("sender", sender, outputs=["out"])
    reader = DIES_AT_4.replace("node = Node()", "node = Node()\nnode.is_restart() and open('again', 'w')")
    edge = {"source": "sender/out", "queue_size": 60}
    flow.node("reader", reader, inputs={"in": edge}, restart_policy="on-failure")
    run = flow.start()
    run.wait_said("reader", "INPUT in 49")
    ended = run.stop()
    assert ended.code == 0, ended
    found = [line for line in events(run, "reader") if line.startswith("INPUT in")]
    assert found == [f"INPUT in {i}" for i in range(50)]
    assert "dropped" not in ended.stderr
    assert "undelivered" not in ended.stderr


def test_queue_of_an_exited_sender_is_told_as_undelivered_when_its_reader_restarts(flow: Flow) -> None:
    sender = """
    from dora import Node

    node = Node()
    for number in range(5):
        node.send_output("out", bytes([number]))
    """
    reader = """
    import os, time
    from dora import Node

    node = Node()
    if not node.restart_count():
        while not os.path.exists("exited"):
            time.sleep(0.01)
        while node.next()["id"] != "in":
            pass
        os._exit(3)
    for event in node:
        if event["id"] == "in":
            print(event["type"], flush=True)
    """
    flow.node("sender", sender, outputs=["out"])
    lossless = {"source": "sender/out", "queue_size": 10, "queue_policy": "backpressure"}
    inputs = {"in": lossless, "tick": "dora/timer/millis/100"}
    flow.node("reader", reader, inputs=inputs, restart_policy="on-failure", max_restarts=1)
    run = flow.start()
    sender_pid = run.wait_nodes("sender")["sender"]
    wait_until(lambda: not is_alive(sender_pid), what="the sender's exit")
    (flow.folder / "exited").touch()
    run.wait_said("reader", "INPUT_CLOSED")
    ended = run.stop()
    assert flow.said("reader") == ["INPUT_CLOSED"]
    assert "undelivered 4 of 5 on reader/in (queue_size 10, backpressure)" in ended.stderr, ended


def test_node_that_lets_go_of_its_handle_closes_its_outputs_and_lives_on(flow: Flow) -> None:
    lets_go = NUMBERS + "del node\nprint('let go', flush=True)\ntime.sleep(60)"
    flow.node("sender", lets_go, outputs=["out"])
    flow.node("reader", EVENTS, inputs={"in": lossless("sender/out")})
    run = flow.start("--grace", "0.1s")
    run.wait_said("reader", "STOP ALL_INPUTS_CLOSED")
    wait_until(lambda: set(run.nodes()) == {"sender"}, what="the end of the reader")
    assert [line for line in events(run, "reader") if line.startswith("INPUT in")][-1] == "INPUT in 49"
    run.stop()


def test_kills_in_the_middle_of_large_messages_leave_nothing_and_stop_nobody(flow: Flow) -> None:
    hold(ends.killed_in_the_middle(flow, 12))


def test_reader_that_dies_with_arrays_gives_them_back(flow: Flow) -> None:
    sender = """
    import json, time
    import numpy as np
    from dora import Node

    def shared_bytes():
        return int(open("/proc/self/status").read().split("RssShmem:")[1].split()[0]) * 1024

    node = Node()
    data = np.zeros(1_000_000)
    used = []
    for _ in range(8):
        for _ in range(20):
            node.send_output("out", data)
        used.append(shared_bytes())
        while node.next()["type"] != "INPUT":
            pass
    print(json.dumps(used))
    """
    dies = """
    import os
    import pyarrow as pa
    from dora import Node

    node = Node()
    kept = [node.next() for _ in range(20)]
    node.send_output("done", pa.array([node.restart_count()]))
    if node.restart_count() < 7:
        os._exit(1)
    """
    flow.node("sender", sender, outputs=["out"], inputs={"done": "reader/done"})
    edge = {"source": "sender/out", "queue_size": 20}
    flow.node("reader", dies, inputs={"in": edge}, outputs=["done"], restart_policy="on-failure")
    ended = flow.run()
    assert ended.code == 0, ended
    used = json.loads(flow.said("sender")[-1])
    two_rounds = 2 * 20 * 8_000_000  # what a dead reader holds comes back when the runner has seen its end
    assert used[-1] <= two_rounds * 1.1, used
