"""`dora topic pub` on a dataflow that runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pyarrow as pa
import pytest

from dora.cli.main import run_command
from dora.errors import ConnectionLost
from dora.inspection import Inspection
from dora.messages import runner_daemon as messages
from dora.publication import OutputClosed, Publication
from dora.runs.framing import RunnerRefused
from dora.runs.link import RunnerLink
from end_to_end.running import Flow, Run, wait_until
from end_to_end.test_admin import open_link
from end_to_end.test_taps import take

pytestmark = pytest.mark.slow

COUNTER = """
    import pyarrow as pa
    from dora import Node

    node = Node()
    for event in node:
        if event["type"] == "STOP":
            break
        node.send_output("out", pa.array([event["value"][0].as_py()], pa.uint64()))
"""
READER = """
    from dora import Node
    own = 0
    for event in Node():
        if event["type"] != "INPUT":
            print(event["type"], event["id"], flush=True)
        elif event["value"].type == "uint64":
            own += 1
        else:
            event["metadata"].pop("timestamp")
            print(event["value"].type, event["value"].to_pylist(), event["metadata"], flush=True)
    print(own, "own")
"""


Command = Callable[..., str]


@pytest.fixture
def run(flow: Flow) -> Run:
    types = {"level": "std/core/v1/Float32"}
    inputs = {"tick": "dora/timer/millis/10"}
    flow.node("counter", COUNTER, inputs=inputs, outputs=["out", "level"], output_types=types)
    deep = {"source": "counter/out", "queue_size": 1000}
    flow.node("reader", READER, inputs={"in": deep, "level": "counter/level"})
    run = flow.start()
    wait_until(lambda: edge(flow).taken, what="messages of the node")
    return run


@pytest.fixture
def pub(
    flow: Flow, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs `dora topic pub ...` on that run; what it says."""
    monkeypatch.setenv("DORA_HOME", str(flow.home))
    monkeypatch.setattr("dora.transport.rendezvous.bases", lambda environ: [str(flow.home)])

    def call(*words: str) -> str:
        code = run_command(["topic", "pub", *words])
        said = capsys.readouterr()
        assert said.out == ""
        return f"{code} {said.err}"

    return call


def edge(flow: Flow) -> messages.EdgeState:
    """The counters of what the node itself sends."""
    with open_link(flow) as link:
        return link.ask(messages.Describe(), messages.Described).edges[0]


def test_messages_from_the_command_line_reach_every_reader(flow: Flow, run: Run, pub: Command) -> None:
    assert pub("counter/out", '"hi"', "--metadata", '{"by": "hand"}') == (
        "0 Published to counter/out\n  reader/in: 1 taken\n"
    )
    assert pub("counter/level", "[1, 2]", "--count", "2") == (
        "0 Published message 1/2\nPublished message 2/2\nPublished 2 messages to counter/level\n"
        "  reader/level: 2 taken\n"
    )
    assert pub("counter/level", '"x"').startswith("1 error: the output is std/core/v1/Float32: expected data of")
    assert pub("counter/ut", "1").startswith("1 error: there is no output `counter/ut`; did you mean `counter/out`?")
    with Inspection(open_link(flow)) as inspection:
        inspection.open("counter", "level", queue_size=10)
        with Publication(open_link(flow), "counter", "level") as publication:
            publication.send(pa.array([0.5], pa.float32()))
            assert [message.value.to_pylist() for message in take(inspection, 1)] == [[0.5]]
    assert run.stop().code == 0
    said = run.said("reader")
    assert said[:3] == ["string ['hi'] {'by': 'hand'}", *["float [1.0, 2.0] {}"] * 2]
    assert "float [0.5] {}" in said
    assert "INPUT_CLOSED level" not in said


def test_who_publishes_may_be_killed_at_any_time(flow: Flow, run: Run, pub: Command) -> None:
    words = ["topic", "pub", "counter/out", "-1", "--rate", "500"]
    command = [sys.executable, "-m", "dora", *words]
    with subprocess.Popen(command, env=flow.environment, stderr=subprocess.DEVNULL) as publisher:
        try:
            wait_until(lambda: "int64 [-1] {}" in run.said("reader"), what="a message")
        finally:
            publisher.kill()
    taken = edge(flow).taken
    wait_until(lambda: edge(flow).taken > taken + 5, what="messages of the node")
    assert pub("counter/out", "0.5").startswith("0 Published to counter/out\n  reader/in: 1 taken")
    counts = edge(flow)
    assert counts.dropped == 0
    assert run.stop().code == 0
    assert "INPUT_CLOSED in" not in run.said("reader")


def test_an_output_whose_node_has_ended_takes_no_messages(flow: Flow, run: Run) -> None:
    with RunnerLink.open(open_path(flow)) as link, Publication(open_link(flow), "counter", "out") as publication:
        publication.send(pa.array([1.5]))
        link.ask(messages.StopNode("counter", 5.0), messages.Done)
        wait_until(lambda: is_closed(publication), what="the end of the node")
        assert publication.wait_taken(5)
        assert all(one.sent == one.taken + one.dropped for one in publication.deliveries())
    assert run.wait().code == 0
    assert run.said("reader")[0] == "double [1.5] {}"


def open_path(flow: Flow) -> str:
    with open_link(flow) as link:
        return link.path


def is_closed(publication: Publication) -> bool:
    try:
        publication.send(pa.array([2.5]))
    except (OutputClosed, RunnerRefused, ConnectionLost):  # the last: the run has ended, too
        return True
    return False
