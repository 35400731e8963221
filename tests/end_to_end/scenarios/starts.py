"""What is sent at the very begin or the very end of a process arrives: whole runs, again and again."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from end_to_end.running import Ended, Flow
from end_to_end.scenarios.marks import Mark

HELLO_WORLD = Path(__file__).parents[3] / "examples" / "hello-world"

FIRST = """
import os, time
import pyarrow as pa
from dora import Node

node = Node()
node.send_output("out", pa.array([42]))
time.sleep(float(os.environ.get("REST", "0")))
"""
LAST = """
import os
import pyarrow as pa
from dora import Node

node = Node()
for i in range(20):
    node.send_output("out", pa.array([i]))
if os.environ["END"] == "abrupt":
    os._exit(0)
"""
EVENTS = """
import json
from dora import Node

found = []
for event in Node():
    value = event["value"]
    found.append([event["type"], event["id"], value and value.to_pylist()])
    if event["type"] == "STOP":
        break
print(json.dumps(found))
"""
SHORT_LIVED = """
import pyarrow as pa
from dora import Node

Node().send_output("out", pa.array([7]))
"""


@contextlib.contextmanager
def busy_processors() -> Iterator[None]:
    """One process per processor that does nothing but compute."""
    hogs = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in os.sched_getaffinity(0)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(10_000))


def _repeat(flow: Flow, count: int, is_good: Callable[[Ended], bool], options: Callable[[int], list[str]]) -> Mark:
    good = 0
    for number in range(count):
        ended = flow.run(*options(number))
        is_right = ended.code == 0 and is_good(ended)
        good += is_right
        if not is_right:
            print(f"run {number}: {ended}")
    return Mark("good runs", good, "==", count)


def hello_world(flow: Flow, count: int) -> list[Mark]:
    """The guide's first example, as it stands: 100 of 100 messages in order, exit code 0."""
    for name, keys in (("sender", {"outputs": ["message"]}), ("receiver", {"inputs": {"message": "sender/message"}})):
        flow.node(name, (HELLO_WORLD / f"{name}.py").read_text(), **keys)
    expected = [f"Received message: [{i}]" for i in range(100)]
    return [_repeat(flow, count, lambda ended: flow.said("receiver") == expected, lambda number: [])]


def hello_world_under_load(flow: Flow, count: int) -> list[Mark]:
    """The same while every processor computes for somebody else."""
    with busy_processors():
        return hello_world(flow, count)


def first_message(flow: Flow, count: int) -> list[Mark]:
    """A message that is sent in the first line after `Node()` is received."""
    flow.node("sender", FIRST, outputs=["out"], env={"REST": 0.05})
    flow.node("reader", EVENTS, inputs={"in": "sender/out"})
    expected = [["INPUT", "in", [42]], ["INPUT_CLOSED", "in", None], ["STOP", "ALL_INPUTS_CLOSED", None]]
    return [_repeat(flow, count, lambda ended: flow.figures("reader") == expected, lambda number: [])]


def last_message(flow: Flow, count: int) -> list[Mark]:
    """What is sent just before the exit is received, and INPUT_CLOSED comes after it; every other end is `_exit`."""
    flow.node("sender", LAST, outputs=["out"])
    flow.node("reader", EVENTS, inputs={"in": {"source": "sender/out", "queue_size": 20}})
    expected = [["INPUT", "in", [i]] for i in range(20)]
    expected += [["INPUT_CLOSED", "in", None], ["STOP", "ALL_INPUTS_CLOSED", None]]
    ends = ("orderly", "abrupt")
    return [
        _repeat(
            flow,
            count,
            lambda ended: flow.figures("reader") == expected,
            lambda number: ["--env", f"END={ends[number % 2]}"],
        )
    ]


def closed_outputs(flow: Flow, count: int) -> list[Mark]:
    """Short-lived senders, ten per run: every one's message arrives, then its INPUT_CLOSED."""
    names = [f"sender-{number}" for number in range(10)]
    for name in names:
        flow.node(name, SHORT_LIVED, outputs=["out"])
    flow.node("reader", EVENTS, inputs={name: f"{name}/out" for name in names})
    runs = max(1, count // len(names))
    received = closed = 0
    for _ in range(runs):
        ended = flow.run(timeout_s=120)
        assert ended.code == 0, ended
        found = flow.figures("reader")
        for name in names:
            own = [event for event in found if event[1] == name]
            received += own[0] == ["INPUT", name, [7]]
            closed += own[1:] == [["INPUT_CLOSED", name, None]]
        assert found[-1][:2] == ["STOP", "ALL_INPUTS_CLOSED"]
    senders = runs * len(names)
    return [Mark("messages", received, "==", senders), Mark("INPUT_CLOSED after them", closed, "==", senders)]
