"""What else goes on in a node's process: code that holds the GIL, threads, forks, second handles."""

from __future__ import annotations

import pytest

from end_to_end.running import Flow, wait_until
from end_to_end.scenarios import neighbours
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow

PACED = """
import numpy as np
from dora import Node

node = Node()
for number, event in zip(range(150), node):
    if event["type"] == "STOP":
        break
    node.send_output("out", np.full(2000, number))
"""
LOSSLESS = {"source": "sender/out", "queue_size": 10, "queue_policy": "backpressure"}


def test_node_in_a_long_c_call_that_holds_the_gil_disturbs_nobody(flow: Flow) -> None:
    hold(neighbours.holds_the_gil(flow, 2.0, least_rate=0.6))


def test_forked_child_of_a_reader_cannot_give_back_what_the_parent_keeps(flow: Flow) -> None:
    reader = """
    import gc, os, sys
    import numpy as np
    from dora import Node

    node = Node()
    kept = [node.next()["value"] for _ in range(5)]
    before = [value.to_numpy().copy() for value in kept]
    child = os.fork()
    if child == 0:
        try:
            node.next()
        except RuntimeError as error:
            print("child:", str(error).replace(str(os.getppid()), "PID"), flush=True)
        try:
            node.send_output("out", b"x")
        except RuntimeError as error:
            print("child:", str(error).replace(str(os.getppid()), "PID"), flush=True)
        try:
            Node()
        except RuntimeError as error:
            print("child:", str(error).replace(str(os.getppid()), "PID"), flush=True)
        paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
        names = [os.readlink(path) for path in paths if os.path.islink(path)]
        print("child:", sum("pipe" in name or "socket" in name for name in names), flush=True)
        kept.clear()
        gc.collect()
        sys.exit(0)
    os.waitpid(child, 0)
    numbers = [int(event["value"][0].as_py()) for event in node if event["type"] == "INPUT"]
    print(numbers == list(range(numbers[0], 150)) and numbers[0] == int(before[-1][0]) + 1)
    print(all((value.to_numpy() == old).all() for value, old in zip(kept, before)))
    """
    flow.node("sender", PACED, outputs=["out"], inputs={"tick": "dora/timer/millis/5"})
    flow.node("reader", reader, inputs={"in": LOSSLESS}, outputs=["out"])
    flow.node("sink", "from dora import Node\nprint([e['type'] for e in Node()])", inputs={"in": "reader/out"})
    ended = flow.run()
    assert ended.code == 0, ended
    said = flow.said("reader")
    for line in said[:2]:
        assert line.startswith("child: this Node belongs to process PID and cannot be used in its forked child")
    assert said[2] == "child: node `reader` is already open in the process with PID PID"
    assert said[3:] == ["child: 0", "True", "True"]
    assert flow.said("sink") == ["['INPUT_CLOSED', 'STOP']"]


def test_forked_workers_of_a_sender_do_not_keep_its_outputs_open(flow: Flow) -> None:
    sender = """
    import multiprocessing
    import numpy as np
    from dora import Node

    node = Node()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for i, square in enumerate(pool.imap(abs, range(100))):
            node.send_output("out", np.full(2000, square))
        del node
        pool.apply(print, ("the workers live",), {"flush": True})
        import time
        time.sleep(0.5)
        print("after", flush=True)
    """
    reader = """
    import time
    from dora import Node

    print([int(e["value"][0].as_py()) for e in Node() if e["type"] == "INPUT"] == list(range(100)))
    """
    flow.node("sender", sender, outputs=["out"])
    flow.node("reader", reader, inputs={"in": LOSSLESS})
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("reader") == ["True"]
    reader_ts = flow.last.entries("reader")[-1]["ts"]
    after_ts = next(entry["ts"] for entry in flow.last.entries("sender") if entry["msg"] == "after")
    assert reader_ts < after_ts


def test_second_node_is_a_second_handle_and_the_last_one_closes(flow: Flow) -> None:
    sender = """
    import pyarrow as pa
    from dora import Node

    first = Node()
    second = Node("ignored", daemon_port=53291)
    first.send_output("out", pa.array([1]))
    del first
    second.send_output("out", pa.array([2]))
    """
    flow.node("sender", sender, outputs=["out"])
    reader = "from dora import Node\nprint([e['value'] and e['value'][0].as_py() for e in Node()])"
    flow.node("reader", reader, inputs={"in": LOSSLESS})
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("reader") == ["[1, 2, None, None]"]


def test_node_opened_again_after_the_last_handle_closed_sends_to_the_same_readers(flow: Flow) -> None:
    sender = """
    import pyarrow as pa
    from dora import Node

    for number in (1, 2):
        node = Node()
        node.send_output("out", pa.array([number]))
        del node
    """
    flow.node("sender", sender, outputs=["out"])
    reader = "from dora import Node\nfor event in Node():\n    print(event['type'], event['value'], flush=True)"
    flow.node("reader", reader, inputs={"in": LOSSLESS, "tick": "dora/timer/secs/100"})
    run = flow.start()
    wait_until(lambda: "  2" in run.said("reader"), what="the second message")
    run.wait_said("reader", "INPUT_CLOSED")
    run.stop()


def test_node_from_another_process_of_the_same_node_is_refused_with_its_pid(flow: Flow) -> None:
    parent = """
    import os, subprocess, sys
    from dora import Node

    node = Node()
    code = "from dora import Node\\ntry:\\n    Node()\\nexcept RuntimeError as error:\\n    print(error)"
    print(os.getpid(), subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
    """
    flow.node("parent", parent)
    ended = flow.run()
    assert ended.code == 0, ended
    pid, _, text = flow.said("parent")[0].partition(" ")
    assert text.strip() == f"node `parent` is already open in the process with PID {pid}"


def test_several_threads_receive_distinct_events_and_all_end(flow: Flow) -> None:
    reader = """
    import threading
    from dora import Node

    node = Node()
    found = []
    def receive():
        while (event := node.next()) is not None:
            if event["type"] == "INPUT":
                found.append(int(event["value"][0].as_py()))
    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(found) == list(range(150)))
    """
    flow.node("sender", PACED, outputs=["out"], inputs={"tick": "dora/timer/millis/5"})
    flow.node("reader", reader, inputs={"in": LOSSLESS})
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("reader") == ["True"]
