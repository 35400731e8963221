"""The extension table and merged external events, in real runs (dora node-api, sections 4 and 18)."""

from __future__ import annotations

import json

import pytest

from end_to_end.running import Flow

pytestmark = pytest.mark.slow

STORE = """
from dora import Node

node = Node()
node.extension_store("ns", "small", b"abc")
node.extension_store("ns", "large", bytes(range(256)) * 40_000)
node.send_output("stored", b"")
node.next()
print(sorted(node.drain_dropped_extension_keys("ns")), node.drain_dropped_extension_keys("ns"))
"""
LOAD = """
import json
from dora import Node

node = Node()
node.next()
found = {"small": str(node.extension_load("ns", "small")), "absent": node.extension_load("ns", "nothing")}
large = node.extension_load("ns", "large", remove=True)
found["large"] = [len(large), large[1000]]
found["again"] = node.extension_load("ns", "large")
try:
    node.extension_store("ns", "small", b"mine")
except RuntimeError as error:
    found["refused"] = str(error)
try:
    node.extension_store("ns", "small", "text")
except TypeError as error:
    found["type"] = str(error)
node.extension_drop("ns", "small")
node.extension_drop("ns", "nothing")
node.send_output("done", b"")
print("found", json.dumps(found))
"""


def test_nodes_share_bytes_of_any_size_through_the_extension_table(flow: Flow) -> None:
    flow.node("a", STORE, outputs=["stored"], inputs={"done": "b/done"})
    flow.node("b", LOAD, outputs=["done"], inputs={"stored": "a/stored"})
    ended = flow.run()
    assert ended.code == 0, ended
    assert json.loads(flow.said("b")[0].removeprefix("found ")) == {
        "small": "b'abc'",
        "absent": None,
        "large": [10_240_000, 1000 % 256],
        "again": None,
        "refused": "'small' in 'ns' was stored by node `a`: only that node may overwrite it",
        "type": "an extension value must be bytes, not str",
    }
    assert flow.said("a") == ["['large', 'small'] []"]


MERGE = """
from dora import Node

class Subscription:
    left = [1, 2, 3]
    def next(self):
        return self.left.pop(0) if self.left else None

async def numbers():
    for number in (10, 20):
        yield number

def broken():
    yield 5
    raise OSError("cable")

node = Node()
for subscription in (Subscription(), numbers(), broken()):
    node.merge_external_events(subscription)
try:
    node.merge_external_events(3)
except TypeError as error:
    print(error)
found, errors, ticks = [], [], 0
while len(found) < 6 or not errors or ticks < 3:
    event = node.next()
    if event.get("kind") == "external":
        assert "type" not in event
        found.append(event["value"])
    elif event["type"] == "ERROR":
        errors.append(event["error"])
    else:
        ticks += 1
print(sorted(found), errors)
"""


def test_external_events_of_every_kind_of_subscription_arrive_among_the_others(flow: Flow) -> None:
    flow.node("a", MERGE, inputs={"tick": "dora/timer/millis/10"})
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("a") == [
        "cannot merge int: expected an object with next() (None at its end), an iterator or an async iterator",
        "[1, 2, 3, 5, 10, 20] ['external event stream error: OSError: cable']",
    ]
