"""Every Arrow type arrives as it was sent, of any size, and cannot be written to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from end_to_end.arrays import MESSAGES
from end_to_end.running import Flow
from end_to_end.scenarios import sizes
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow

ALL_TYPES = """
from arrays import MESSAGES
from dora import Node

node = Node()
for name, array, _ in MESSAGES:
    node.send_output("out", array, {"name": name})
"""
CHECK_TYPES = """
import json
from arrays import MESSAGES
from dora import Node

expected = {name: array for name, _, array in MESSAGES}
found = {}
for event in Node():
    if event["type"] == "INPUT":
        value, name = event["value"], event["metadata"]["name"]
        value.validate(full=True)
        found[name] = [str(value.type), value.equals(expected[name]), value.offset]
print(json.dumps(found))
"""
LOSSLESS = {"source": "sender/out", "queue_size": 4, "queue_policy": "backpressure"}


def test_every_type_arrives_exactly_as_it_was_sent(flow: Flow) -> None:
    shutil.copy(Path(__file__).parent / "arrays.py", flow.folder)
    flow.node("sender", ALL_TYPES, outputs=["out"])
    flow.node("reader", CHECK_TYPES, inputs={"in": LOSSLESS})
    ended = flow.run()
    assert ended.code == 0, ended
    found = json.loads(flow.said("reader")[-1])
    assert found == {name: [str(array.type), True, 0] for name, _, array in MESSAGES}


def test_data_without_a_meaning_is_refused_at_the_sender(flow: Flow) -> None:
    sender = """
    from dora import Node

    node = Node()
    for data in (None, "text", 5, {"a": 1}, [1, 2]):
        try:
            node.send_output("out", data)
        except (RuntimeError, TypeError) as error:
            print(type(error).__name__, str(error)[:22])
    """
    flow.node("sender", sender, outputs=["out"])
    flow.node("reader", "from dora import Node\nprint([e['type'] for e in Node()])", inputs={"in": LOSSLESS})
    flow.run()
    assert flow.said("sender") == ["InvalidDataError invalid `data` type, m"] * 5
    assert flow.said("reader") == ["['INPUT_CLOSED', 'STOP']"]


def test_message_of_100_megabytes_arrives_whole(flow: Flow) -> None:
    hold(sizes.one_message(flow, 100_000_000))


def test_sizes_that_grow_from_a_kilobyte_to_100_megabytes_all_arrive(flow: Flow) -> None:
    hold(sizes.growing(flow, 100_000_000))


def test_received_data_is_read_only_and_others_see_it_unchanged(flow: Flow) -> None:
    flow.node("sender", sizes.ONE, outputs=["out"], env={"SIZE": 100_000})
    writer = """
    import ctypes
    from dora import Node

    node = Node()
    value = node.next()["value"]
    array = value.to_numpy()
    for attempt in (lambda: array.__setitem__(0, 1), lambda: array.setflags(write=True)):
        try:
            attempt()
        except ValueError as error:
            print(error)
    print("now by force", flush=True)
    ctypes.memset(value.buffers()[1].address, 1, 8)
    print("written")
    """
    watcher = """
    from dora import Node

    node = Node()
    while (value := node.next()["value"]) is None:
        pass
    before = value.to_numpy().copy()
    while node.next() is not None:
        pass
    print((before == value.to_numpy()).all())
    """
    flow.node("writer", writer, inputs={"in": "sender/out"}, outputs=["never"])
    flow.node("watcher", watcher, inputs={"in": "sender/out", "end": "writer/never"})
    ended = flow.run()
    assert flow.said("writer") == [
        "assignment destination is read-only",
        "cannot set WRITEABLE flag to True of this array",
        "now by force",
    ]
    assert "Node `writer` failed: exited because of signal SIGSEGV" in ended.stderr
    assert flow.said("watcher") == ["True"]
