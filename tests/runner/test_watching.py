"""What is read from the counters page while a dataflow runs, and how far it is believed (design.md 11.11, 11.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dora.dataflow.descriptor import Dataflow, Input, Node, OutputSource
from dora.runner import stimuli as s
from dora.runner.state.supervisor import Supervisor
from dora.runner.watching import Watching
from dora.transport import counters
from dora.transport.counters import CountersPage

SECOND_NS = 1_000_000_000
LIMIT_S = 3.0
_NOWHERE = Path("/x")


def _starts(name: str) -> tuple[s.Stimulus, ...]:
    return s.NodeSpawned(name, 1), s.NodeSaidHello(name), s.NodeReady(name)


def node(name: str, *sources: str) -> Node:
    """A node that reads the output of each source; the last one of a dataflow is watched."""
    ports = {source: Input(source, OutputSource(source, "out")) for source in sources}
    return Node(name, f"{name}.py", inputs=ports, outputs=("out",))


class Watched:
    """Nodes that run, what they write into the page, and who is found to hang."""

    def __init__(self, *nodes: Node) -> None:
        self.page = CountersPage.create()
        nodes = (*nodes[:-1], nodes[-1]._replace(health_check_timeout_s=LIMIT_S))
        self.supervisor = Supervisor(Dataflow(nodes=nodes, path=_NOWHERE, working_dir=_NOWHERE))
        names = [str(one.id) for one in nodes]
        stimuli = [s.Began(), *(told for name in names for told in _starts(name))]
        for stimulus in stimuli:
            self.supervisor.on(stimulus, SECOND_NS)
        self.watching = Watching(self.supervisor, self.page, patience_s=None)

    def node_says(self, name: str, word: int, value: int) -> None:
        """A word of a node."""
        self.page.words[self.page.node_word(self.supervisor.topology.node_slots[name]) + word] = value

    def edge_says(self, index: int, word: int, value: int) -> None:
        """A word of an edge."""
        self.page.words[self.page.edge_word(self.supervisor.topology.routes[index].slot) + word] = value

    def hung_at(self, seconds: range, each: Callable[[int], object] = lambda now_s: None) -> int | None:
        """The second at which somebody is found to hang; `each` happens before every look."""
        for now_s in seconds:
            each(now_s)
            if any(isinstance(found, s.NodeHung) for found in self.watching.look(now_s * SECOND_NS)):
                return now_s
        return None


@pytest.fixture
def watched() -> Iterator[Callable[..., Watched]]:
    """Makes dataflows whose last node has a `health_check_timeout` and called dora a second after the start."""
    made: list[Watched] = []

    def make(*nodes: Node) -> Watched:
        made.append(Watched(*nodes))
        made[-1].node_says(str(nodes[-1].id), counters.NODE_LAST_CALL_NS, SECOND_NS)
        return made[-1]

    yield make
    for one in made:
        one.page.close()


Watch = Callable[..., Watched]


def test_node_without_inputs_hangs_when_it_makes_no_call(watched: Watch) -> None:
    assert watched(node("a")).hung_at(range(1, 9)) == 4


def test_send_counts_as_a_call(watched: Watch) -> None:
    flow = watched(node("b", "a"), node("a"))

    def send(now_s: int) -> None:
        flow.edge_says(0, counters.EDGE_SENT, now_s)
        flow.edge_says(0, counters.EDGE_LAST_SEND_NS, now_s * SECOND_NS)

    assert flow.hung_at(range(1, 20), send) is None
    assert flow.hung_at(range(20, 30)) == 22


def test_node_that_waits_for_room_in_a_send_does_not_hang(watched: Watch) -> None:
    flow = watched(node("a"))
    flow.node_says("a", counters.NODE_BLOCKED, 1)
    assert flow.hung_at(range(1, 20)) is None


def test_node_hangs_when_a_message_waits(watched: Watch) -> None:
    flow = watched(node("a"), node("b", "a"))
    assert flow.hung_at(range(1, 9)) is None
    flow.edge_says(0, counters.EDGE_SENT, 1)
    assert flow.hung_at(range(9, 20)) == 12


def test_counters_that_cannot_be_right_hide_no_message_of_another_input(watched: Watch) -> None:
    flow = watched(node("a"), node("c"), node("b", "a", "c"))
    flow.edge_says(0, counters.EDGE_TAKEN, 5)
    flow.edge_says(1, counters.EDGE_SENT, 1)
    assert flow.hung_at(range(1, 9)) == 5


def test_time_in_which_nobody_ran_does_not_count(watched: Watch) -> None:
    flow = watched(node("a"))
    assert flow.hung_at(range(1, 3)) is None
    flow.watching.forget()
    assert flow.hung_at(range(60, 70)) == 63
