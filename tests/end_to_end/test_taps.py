"""Outputs that are looked at from outside while they run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from dora.inspection import Inspection, Message
from dora.messages import runner_daemon as messages
from dora.runs.framing import RunnerRefused
from dora.runs.link import RunnerLink
from end_to_end.running import Flow, Run, wait_until
from end_to_end.test_admin import open_link

COUNTER = """
    import pyarrow as pa
    from dora import Node

    node = Node()
    start = 1_000_000 * node.restart_count()
    for number, event in enumerate(node):
        if event["type"] == "STOP":
            break
        node.send_output("out", pa.array([start + number]), {"number": number})
        node.send_output("large", bytes(100_000))
"""
READER = """
    from dora import Node
    numbers = [event["value"][0].as_py() for event in Node() if event["type"] == "INPUT"]
    print(len(numbers), "in order" if numbers == sorted(numbers) else "out of order")
"""


def start(flow: Flow) -> Run:
    flow.node("counter", COUNTER, inputs={"tick": "dora/timer/millis/5"}, outputs=["out", "large"])
    flow.node("reader", READER, inputs={"in": "counter/out"})
    return flow.start()


@pytest.fixture
def run(flow: Flow) -> Run:
    """A run that the test ends."""
    return start(flow)


@pytest.fixture(scope="module")
def shared(flows: Callable[[], Flow]) -> Iterator[Flow]:
    """A run that several tests look at, and that ends well after all of them."""
    flow = flows()
    start(flow)
    yield flow
    assert flow.last.stop().code == 0


@pytest.fixture
def looking(shared: Flow) -> Iterator[Inspection]:
    with Inspection(open_link(shared)) as opened:
        yield opened


@pytest.fixture
def inspection(flow: Flow, run: Run) -> Iterator[Inspection]:
    with Inspection(open_link(flow)) as opened:
        yield opened


def take(inspection: Inspection, count: int) -> list[Message]:
    """That many messages."""
    found: list[Message] = []

    def has_enough() -> bool:
        found.extend(inspection.take(0.1))
        return len(found) >= count

    wait_until(has_enough, what=f"{count} messages")
    return found


def numbers(found: list[Message]) -> list[int]:
    return [message.value[0].as_py() for message in found]


@pytest.mark.slow
def test_a_tap_reads_an_output_that_runs_and_nobody_else_notices(run: Run, inspection: Inspection) -> None:
    tap = inspection.open("counter", "out", queue_size=1000)
    found = take(inspection, 30)
    first = numbers(found)[0]
    assert numbers(found) == list(range(first, first + len(found)))
    assert [message.metadata["number"] for message in found] == numbers(found)
    assert inspection.counts(tap).dropped == 0
    inspection.close()
    ended = run.stop()
    assert ended.code == 0, ended
    assert "in order" in run.said("reader")[-1]
    assert "dropped" not in ended.stderr


@pytest.mark.slow
def test_several_outputs_are_read_on_one_link_also_those_that_no_node_reads(looking: Inspection) -> None:
    looking.open("counter", "out", queue_size=10)
    looking.open("counter", "large", queue_size=10)
    found = take(looking, 20)
    assert {message.output for message in found} == {"out", "large"}
    assert {len(message.value) for message in found if message.output == "large"} == {100_000}


@pytest.mark.slow
def test_a_tap_that_is_not_read_loses_its_oldest_and_counts_them(looking: Inspection) -> None:
    tap = looking.open("counter", "out", queue_size=3)
    take(looking, 1)
    before = looking.counts(tap)
    wait_until(lambda: looking.counts(tap).sent >= before.sent + 20)
    found = numbers(take(looking, 3))
    counts = looking.counts(tap)
    assert counts.dropped >= 10
    assert found == sorted(found)


@pytest.mark.slow
def test_a_tap_goes_on_when_its_sender_is_restarted_and_closes_with_it(run: Run, inspection: Inspection) -> None:
    tap = inspection.open("counter", "out", queue_size=1000)
    take(inspection, 5)
    with RunnerLink.open(inspection.path) as link:
        link.ask(messages.RestartNode("counter", 5.0), messages.Done)
        wait_until(lambda: any(number >= 1_000_000 for number in numbers(take(inspection, 1))))
        link.ask(messages.StopNode("counter", 5.0), messages.Done)
    wait_until(lambda: list(inspection.take(0.1)) == [] and tap.is_closed)
    assert inspection.is_over
    assert run.wait().code == 0


@pytest.mark.slow
def test_what_is_not_there_is_refused_by_name(looking: Inspection) -> None:
    with pytest.raises(RunnerRefused, match=r"has no output `ot` \(did you mean `out`\? outputs: out, large\)"):
        looking.open("counter", "ot", queue_size=1)
    with pytest.raises(RunnerRefused, match="there is no node `count`"):
        looking.open("count", "out", queue_size=1)


@pytest.mark.slow
def test_a_hundred_taps_come_and_go_without_a_trace(shared: Flow, looking: Inspection) -> None:
    def descriptors() -> list[int]:
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (shared.last.process.pid, shared.last.nodes()["counter"])]

    take_one(looking.path)
    before = descriptors()
    for _ in range(25):
        take_one(looking.path)
    wait_until(
        lambda: all(now <= then for now, then in zip(descriptors(), before, strict=True)),
        what="the descriptors to be given back",
    )


def take_one(path: str) -> None:
    """Look at both outputs, twice each, until a message has come."""
    with Inspection(RunnerLink.open(path)) as one:
        for output in ("out", "large", "out", "large"):
            one.open("counter", output, queue_size=2)
        take(one, 1)
