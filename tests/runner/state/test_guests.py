"""Who publishes on an output from outside, written as histories."""

from __future__ import annotations

import pytest
from histories import AGAIN, A, B, Play, kinds, node, only

from dora.dataflow.changes import connected
from dora.dataflow.descriptor import Input, OutputSource
from dora.messages import node_runner as m
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.state.routes import (
    guest_sender,
    is_guest,
    is_runner_sender,
    is_tap,
    logs_sender,
    tap_reader,
    tap_route,
)

GUEST = guest_sender(1)
ROUTE = e.Route("a", "a", "out", "b", "a", slot=0, queue_size=10)
OWN = e.Route(GUEST, "a", "out", "b", "a", slot=1, queue_size=10)
CAME = s.GuestCame(GUEST, "a", "out")


@pytest.fixture
def play() -> Play:
    """`a` feeds `b`."""
    play = Play(A, B)
    play.run("a", "b")
    return play


def edge(number: int, route: e.Route = OWN) -> e.Edge:
    return e.Edge(number, route)


def test_a_guest_gets_an_edge_of_its_own_to_each_reader(play: Play) -> None:
    assert play.tell(CAME) == [e.GiveWriter(edge(2)), e.GiveReader(edge(2))]


def test_a_guest_that_leaves_ends_its_edges_and_its_memory(play: Play) -> None:
    play.tell(CAME)
    assert play.tell(s.GuestLeft(GUEST)) == [e.SendVerdict(edge(2), m.CLOSED, "", 1), e.CloseOutputs(GUEST)]
    assert play.tell(s.GuestLeft(GUEST)) == []


def test_a_node_ends_although_a_guest_still_publishes(play: Play) -> None:
    play.tell(CAME)
    play.exit("a")
    assert play.exit("b")[-1] == e.Finish()


def test_a_guest_is_dismissed_with_the_node_of_its_output(play: Play) -> None:
    play.tell(CAME)
    effects = play.exit("a")
    assert effects[-3:] == [e.SendVerdict(edge(2), m.CLOSED, "", 1), e.CloseOutputs(GUEST), e.DismissGuest(GUEST)]
    assert effects.index(e.SendVerdict(edge(1, ROUTE), m.CLOSED, "", 1)) == 0
    assert play.tell(s.GuestLeft(GUEST)) == []


def test_a_guest_stays_when_the_node_of_its_output_is_restarted() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.tell(CAME)
    assert not only(e.DismissGuest, play.exit("a", code=1))


def test_a_guest_is_told_of_a_reader_that_ended(play: Play) -> None:
    play.tell(CAME)
    assert e.RemoveEdge(edge(2)) in play.exit("b")


def test_a_restarted_reader_gets_what_the_guest_had_queued() -> None:
    again = B._replace(restart=AGAIN.restart)
    play = Play(A, again)
    play.run("a", "b")
    play.tell(CAME)
    assert e.GiveWriter(edge(4), replaces=2) in play.exit("b", code=1)
    play.pass_time(1)
    assert e.GiveReader(edge(4)) in play.connect("b")


def test_what_was_sent_to_a_reader_that_never_came_goes_with_the_guest() -> None:
    play = Play(A, B)
    play.spawn()
    assert play.tell(CAME) == [e.GiveWriter(edge(1))]
    assert play.tell(s.GuestLeft(GUEST)) == [e.ForgetEdge(edge(1)), e.CloseOutputs(GUEST)]


def test_who_looks_at_an_output_sees_what_guests_send(play: Play) -> None:
    tap = tap_route(A, "out", number=1, slot=9, queue_size=5)
    other = tap_route(node("c"), "out", number=2, slot=10, queue_size=5)
    play.tell(CAME)
    effects = play.tell(s.TapOpened(tap))
    assert [effect.edge.route.sender for effect in only(e.GiveReader, effects)] == ["a", GUEST]
    assert kinds(play.tell(s.TapClosed(tap))) == [("RemoveEdge", ""), ("RemoveEdge", "")]
    assert [effect.edge.route.sender for effect in only(e.GiveReader, play.tell(s.TapOpened(other)))] == ["c"]


def test_no_name_of_a_node_is_taken_for_a_guest_or_a_tap() -> None:
    assert is_guest(GUEST)
    assert not is_runner_sender(GUEST)
    assert is_tap(tap_reader(3))
    for name in ("tap", "guest"):
        assert is_runner_sender(logs_sender(name))
        assert not is_tap(logs_sender(name))
        assert not is_guest(logs_sender(name))


def test_an_input_that_is_connected_later_hears_the_guest_too(play: Play) -> None:
    play.tell(CAME)
    both = [("a", "more"), (GUEST, "more")]
    graph = play.supervisor.topology.dataflow
    more = connected(graph, "b", Input("more", OutputSource("a", "out")))
    effects = only(e.GiveReader, play.tell(s.Rewired(more)))
    assert [(effect.edge.route.sender, effect.edge.route.input) for effect in effects] == both
    gone = only(e.RetireEdge, play.tell(s.Rewired(graph)))
    assert [(effect.edge.route.sender, effect.edge.route.input) for effect in gone] == both


def test_who_publishes_again_and_again_does_not_use_up_the_counters_page(play: Play) -> None:
    slots = set()
    for number in range(3000):
        guest = guest_sender(number)
        effects = play.tell(s.GuestCame(guest, "a", "out"))
        slots |= {effect.edge.route.slot for effect in only(e.GiveWriter, effects)}
        play.tell(s.GuestLeft(guest))
    assert 0 not in slots
    assert len(slots) < 2000
