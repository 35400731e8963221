"""A run that is asked about itself while it runs, and told what to do."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from dora.errors import ConnectionLost
from dora.messages import runner_daemon as messages
from dora.runs.link import RunnerLink
from dora.transport import rendezvous
from end_to_end.running import Flow, Run, wait_until

TICKER = """
    from dora import Node
    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            node.send_output("out", b"x")
"""
READER = """
    from dora import Node
    for event in Node():
        print(event["type"], event["id"], flush=True)
"""


def open_link(flow: Flow) -> RunnerLink:
    """To the one run under test, as soon as it answers."""

    def try_to_open() -> RunnerLink | None:
        paths = rendezvous.admin_sockets({"DORA_HOME": str(flow.home)})  # also those of other runs of this user
        with contextlib.suppress(OSError):  # it has its name a moment before it listens
            return next((RunnerLink.open(path) for path in paths if path.startswith(str(flow.home))), None)
        return None

    link = wait_until(try_to_open, what="the admin socket")
    assert isinstance(link, RunnerLink)
    return link


def wait_for(link: RunnerLink, node: str, state: str) -> messages.NodeState:
    """Until the node is in that state."""

    def look() -> messages.NodeState | None:
        run = link.ask(messages.Describe(), messages.Described)
        return next((found for found in run.nodes if found.id == node and found.state == state), None)

    found = wait_until(look, what=f"{node} to be {state}")
    assert isinstance(found, messages.NodeState)
    return found


@pytest.fixture
def run(flow: Flow) -> Run:
    """A run that the test ends."""
    return start(flow)


@pytest.fixture(scope="module")
def shared(flows: Callable[[], Flow]) -> Flow:
    """A run that is only looked at, once its nodes run."""
    flow = flows()
    start(flow)
    with open_link(flow) as link:
        wait_for(link, "ticker", messages.RUNNING)
        wait_for(link, "reader", messages.RUNNING)
    return flow


@pytest.fixture
def looking(shared: Flow) -> Iterator[RunnerLink]:
    with open_link(shared) as link:
        yield link


def start(flow: Flow) -> Run:
    """A sender and a reader, running."""
    flow.node("ticker", TICKER, inputs={"tick": "dora/timer/millis/20"}, outputs=["out"])
    flow.node("reader", READER, inputs={"in": "ticker/out"})
    return flow.start()


@pytest.fixture
def link(flow: Flow, run: Run) -> Iterator[RunnerLink]:
    """A link to that run, once its nodes run."""
    with open_link(flow) as link:
        wait_for(link, "ticker", messages.RUNNING)
        yield link


@pytest.mark.slow
def test_a_run_describes_itself(shared: Flow, looking: RunnerLink) -> None:
    run = shared.last
    described = looking.ask(messages.Describe(), messages.Described)
    assert described.file == str(shared.folder / "dataflow.yml")
    assert (described.origin, described.state, described.pid) == ("run", "running", run.process.pid)
    assert {node.id: node.pid for node in described.nodes} == run.nodes()
    assert described.nodes[0].inputs == {"tick": "dora/timer/millis/20"}
    edge = described.edges[0]
    assert (edge.source, edge.output, edge.reader, edge.input) == ("ticker", "out", "reader", "in")
    assert edge.sent >= edge.taken + edge.dropped


@pytest.mark.slow
def test_a_watcher_hears_of_restart_stop_and_end(run: Run, link: RunnerLink) -> None:
    before = wait_for(link, "ticker", messages.RUNNING).pid
    link.ask(messages.Watch(), messages.Described)
    link.ask(messages.RestartNode("ticker", 5.0), messages.Done)
    after = wait_for(link, "ticker", messages.RUNNING)
    assert after.pid != before
    assert after.restarts == 1
    assert run.wait_said("reader", "NODE_RESTARTED")
    link.ask(messages.StopNode("ticker", 5.0), messages.Done)
    heard = []
    while not isinstance(news := link.next_change(20.0), messages.Ended):
        assert news is not None
        heard += [(node.id, node.state) for node in news.nodes]
    assert ("ticker", "stopped") in heard
    assert ("reader", "finished") in heard
    assert (news.exit_code, news.last.state) == (0, "finished")
    assert run.wait().code == 0


@pytest.mark.slow
def test_a_stop_from_outside_ends_the_run_well(run: Run, link: RunnerLink) -> None:
    link.ask(messages.Stop("dora stop"), messages.Done)
    ended = run.wait()
    assert ended.code == 0
    assert "stopping (dora stop)" in ended.stdout


@pytest.mark.slow
def test_counters_can_be_read_but_not_written(looking: RunnerLink) -> None:
    _, fds = looking.ask_for_fds(messages.GetCounters(), messages.Counters)
    assert len(fds) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(fds[0], b"x", 0)
    os.close(fds[0])


@pytest.mark.slow
def test_a_killed_run_ends_without_a_word(run: Run, link: RunnerLink) -> None:
    link.ask(messages.Watch(), messages.Described)
    run.signal(signal.SIGKILL)
    with pytest.raises(ConnectionLost, match="has ended"):
        list(iter(lambda: link.next_change(20.0), None))
