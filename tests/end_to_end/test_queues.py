"""What a full queue does: which messages are left, who waits, and what the report says of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from end_to_end.running import Flow
from end_to_end.timing import allowed_s

pytestmark = pytest.mark.slow

BURST = """
import os, time
import pyarrow as pa
from dora import Node

node = Node()
for i in range(int(os.environ["COUNT"])):
    node.send_output("out", pa.array([i]), eval(os.environ.get("METADATA", "None")))
print("sent", flush=True)
time.sleep(float(os.environ.get("REST", "0")))
"""
SLOW = """
import json, os, time
from dora import Node

received = []
for event in Node():
    if event["type"] == "INPUT":
        received.append(event["value"][0].as_py())
        time.sleep(float(os.environ["PAUSE"]))
print(json.dumps(received))
"""
LATE = SLOW.replace("received = []", "node = Node()\nreceived = []\ntime.sleep(0.3)").replace("in Node()", "in node")
"""the same, but it begins to read when all has been sent"""
TIMED_BURST = BURST.replace("node = Node()", "node = Node()\nbegun = time.monotonic()").replace(
    'print("sent", flush=True)', "print(time.monotonic() - begun)"
)
GAUGE = """
import json, time
import pyarrow as pa
from dora import Node

node = Node()
longest_s = 0.0
for event in node:
    if event["type"] == "STOP" or event["value"][0].as_py() >= 100:
        break
    begun = time.monotonic()
    node.send_output("out", pa.array([event["value"][0].as_py()]))
    longest_s = max(longest_s, time.monotonic() - begun)
print(json.dumps(longest_s))
"""
"""sends at every tick and measures how long that takes"""


def drops(text: str) -> tuple[int, int]:
    """(dropped, sent) as the report says."""
    found = re.search(r"dropped (\d+) of (\d+) on reader/in", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def test_drops_are_counted_exactly_and_the_newest_arrives(flow: Flow) -> None:
    flow.node("sender", BURST, outputs=["out"], env={"COUNT": 3000})
    flow.node("reader", SLOW, inputs={"in": {"source": "sender/out", "queue_size": 5}}, env={"PAUSE": 0.001})
    ended = flow.run()
    received = flow.figures("reader")
    assert drops(ended.stderr) == (3000 - len(received), 3000), ended
    assert received[-5:] == [2995, 2996, 2997, 2998, 2999]
    assert received == sorted(received)


@pytest.fixture(scope="module")
def full(flows: Callable[[], Flow]) -> Flow:
    """The end of a run of pairs: 8 or 10 messages were in the queue before the reader took the first one."""
    flow = flows()
    answer = "{'request_id': 'r'} if i < 2 else None"
    flush = "{'request_id': 'r'} if i == 1 else {'flush': True} if i == 6 else None"
    for name, size, environment in (
        ("plain", 3, {"COUNT": 10}),
        ("correlated", 4, {"COUNT": 8, "METADATA": answer}),
        ("flushed", 20, {"COUNT": 8, "METADATA": flush}),
    ):
        flow.node(f"{name}-sender", BURST, outputs=["out"], env=environment)
        edge = {"source": f"{name}-sender/out", "queue_size": size}
        flow.node(f"{name}-reader", LATE, inputs={"in": edge}, env={"PAUSE": 0})
    flow.node("left-sender", BURST, outputs=["out"], env={"COUNT": 8, "REST": 1})
    takes_two = "from dora import Node\nnode = Node()\nnode.next()\nnode.next()"
    flow.node("left-reader", takes_two, inputs={"in": "left-sender/out"})
    ended = flow.run()
    assert ended.code == 0, ended
    return flow


def test_messages_that_wait_when_the_reader_ends_are_counted_as_undelivered(full: Flow) -> None:
    text = "undelivered 6 of 8 on left-reader/in (queue_size 10, drop_oldest)"
    assert text in full.last.wait().stderr


def test_reader_takes_nothing_before_it_asks_for_it(full: Flow) -> None:
    assert full.figures("plain-reader") == [7, 8, 9]


def test_correlated_messages_outlive_plain_ones_in_a_full_queue(full: Flow) -> None:
    assert full.figures("correlated-reader") == [0, 1, 6, 7]


def test_flush_discards_what_waits_except_correlated_messages(full: Flow) -> None:
    assert full.figures("flushed-reader") == [1, 6, 7]


def test_value_from_a_queue_of_one_is_never_older_than_a_period(flow: Flow) -> None:
    sender = """
    import time
    import pyarrow as pa
    from dora import Node

    node = Node()
    for event in node:
        if event["type"] == "STOP" or event["value"][0].as_py() >= 60:
            break
        node.send_output("out", pa.array([time.monotonic()]))
    """
    reader = """
    import json, time
    from dora import Node

    node = Node()
    ages = []
    while (event := node.next(timeout=1.0))["type"] == "INPUT":
        ages.append(time.monotonic() - event["value"][0].as_py())
        time.sleep(0.07)
    print(json.dumps(ages))
    """
    flow.node("sender", sender, inputs={"tick": "dora/timer/millis/30"}, outputs=["out"])
    flow.node("reader", reader, inputs={"in": {"source": "sender/out", "queue_size": 1}})
    assert flow.run().code == 0
    ages = sorted(flow.figures("reader"))
    assert len(ages) >= 15
    assert ages[int(0.9 * len(ages))] <= 0.032, ages


def test_paced_sender_never_waits_for_a_slow_reader_that_states_nothing(flow: Flow) -> None:
    flow.node("sender", GAUGE, inputs={"tick": "dora/timer/millis/5"}, outputs=["out"])
    flow.node("reader", SLOW, inputs={"in": "sender/out"}, env={"PAUSE": 0.05})
    ended = flow.run()
    assert flow.figures("sender") < 0.04, ended
    assert drops(ended.stderr)[0] > 50, ended


def test_sender_that_sleeps_briefly_between_its_sends_never_waits(flow: Flow) -> None:
    sender = """
    import time
    import pyarrow as pa
    from dora import Node

    node = Node()
    in_sends_s = 0.0
    for i in range(200):
        begun = time.monotonic()
        node.send_output("out", pa.array([i]))
        in_sends_s += time.monotonic() - begun
        time.sleep(0.0001)
    print(in_sends_s)
    """
    flow.node("sender", sender, outputs=["out"])
    flow.node("reader", SLOW, inputs={"in": "sender/out"}, env={"PAUSE": 0.02})
    ended = flow.run()
    assert flow.figures("sender") < 0.3, ended
    assert drops(ended.stderr)[0] > 100, ended


def test_burst_waits_for_a_slow_reader_that_states_nothing_but_not_for_long(flow: Flow) -> None:
    flow.node("sender", TIMED_BURST, outputs=["out"], env={"COUNT": 1000})
    flow.node("reader", SLOW, inputs={"in": "sender/out"}, env={"PAUSE": 0.005})
    ended = flow.run()
    assert 0.4 < flow.figures("sender") < allowed_s(0.9), ended
    assert drops(ended.stderr)[0] > 500, ended


@pytest.mark.parametrize("rule", [{"queue_size": 10}, {"queue_policy": "drop_oldest"}])
def test_burst_never_waits_where_a_queue_rule_is_stated(flow: Flow, rule: dict[str, object]) -> None:
    flow.node("sender", TIMED_BURST, outputs=["out"], env={"COUNT": 1000})
    flow.node("reader", SLOW, inputs={"in": {"source": "sender/out", **rule}}, env={"PAUSE": 0.005})
    ended = flow.run()
    assert flow.figures("sender") < allowed_s(0.25), ended
