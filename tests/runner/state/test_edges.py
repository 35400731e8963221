"""Which edges exist, written as histories of connects and leaves."""

from __future__ import annotations

import pytest

from dora.messages import node_runner as m
from dora.runner import effects as e
from dora.runner.state.edges import MOST_QUEUES, EdgeBook

ROUTE = e.Route("a", "a", "out", "b", "in", slot=0, queue_size=10)
LOOP = e.Route("a", "a", "out", "a", "in", slot=0, queue_size=10)


def edge(number: int) -> e.Edge:
    return e.Edge(number, ROUTE)


def one(_: e.Edge) -> int:
    """In every queue that no reader has yet there is a message."""
    return 1


def play(history: list[tuple[str, ...]], route: e.Route = ROUTE) -> list[list[e.Effect]]:
    book = EdgeBook([route], one)
    return [book.connect(step[1]) if step[0] == "connect" else book.leave(*step[1:]) for step in history]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", [[e.GiveWriter(edge(1))], [e.GiveReader(edge(1))]]),
        ("b", [[e.GiveReader(edge(1))], [e.GiveWriter(edge(1))]]),
    ],
)
def test_both_ends_of_one_edge_are_handed_over_in_any_order(first: str, second: list[list[e.Effect]]) -> None:
    other = "b" if first == "a" else "a"
    assert play([("connect", first), ("connect", other)]) == second


@pytest.mark.parametrize("verdict", [m.CLOSED, m.FAILED])
def test_the_reader_is_told_once_how_the_sender_ended(verdict: str) -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", verdict, "why"), ("leave", "a", verdict, "why")]
    assert play(history)[2:] == [[e.SendVerdict(edge(1), verdict, "why", 1)], []]


def test_the_sender_is_told_once_that_the_reader_is_gone_for_good() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "b", m.CLOSED), ("leave", "b", m.FAILED)]
    assert play(history)[2:] == [[e.RemoveEdge(edge(1))], []]


def test_nobody_is_told_of_a_reader_whose_sender_is_gone_too() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.CLOSED), ("leave", "b", m.CLOSED)]
    assert play(history)[3] == []


def test_a_restarted_sender_gets_a_new_edge_that_the_reader_reads_next() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.RESTARTING), ("connect", "a")]
    assert play(history)[2:] == [
        [e.SendVerdict(edge(1), m.RESTARTING, "", 1)],
        [e.GiveWriter(edge(2)), e.GiveReader(edge(2))],
    ]


def test_a_restarted_reader_gets_a_new_edge_that_took_over_the_old_queue_when_it_left() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "b", m.RESTARTING), ("connect", "b")]
    assert play(history)[2:] == [[e.GiveWriter(edge(2), replaces=1)], [e.GiveReader(edge(2))]]


def test_a_reader_that_ends_again_before_it_is_back_finds_the_same_edge() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "b", m.RESTARTING), ("leave", "b", m.RESTARTING)]
    assert play([*history, ("connect", "b")])[3:] == [[], [e.GiveReader(edge(2))]]


def test_the_queue_of_a_restarted_reader_outlives_a_sender_that_is_restarted_meanwhile() -> None:
    history = [
        ("connect", "a"),
        ("connect", "b"),
        ("leave", "b", m.RESTARTING),
        ("leave", "a", m.RESTARTING),
        ("connect", "a"),
        ("connect", "b"),
    ]
    assert play(history)[3:] == [
        [],
        [e.GiveWriter(edge(3))],
        [e.GiveReader(edge(2)), e.SendVerdict(edge(2), m.RESTARTING, "", 1), e.GiveReader(edge(3))],
    ]


def test_a_reader_that_is_not_restarted_after_all_is_removed() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "b", m.RESTARTING), ("leave", "b", m.FAILED)]
    assert play(history)[3] == [e.ForgetEdge(edge(2)), e.RemoveEdge(edge(2))]


def test_a_restart_that_does_not_come_ends_in_a_final_verdict_on_an_edge_of_its_own() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.RESTARTING), ("leave", "a", m.FAILED, "why")]
    assert play(history)[3] == [
        e.GiveReader(edge(2)),
        e.ForgetEdge(edge(2)),
        e.SendVerdict(edge(2), m.FAILED, "why", 2),
    ]


def test_a_sender_that_never_came_closes_what_its_reader_waits_on() -> None:
    history = [("connect", "b"), ("leave", "a", m.CLOSED)]
    assert play(history)[1] == [e.ForgetEdge(edge(1)), e.SendVerdict(edge(1), m.CLOSED, "", 1)]


def test_what_was_sent_to_an_absent_reader_waits_for_it_with_the_verdict() -> None:
    history = [("connect", "a"), ("leave", "a", m.FAILED, "why"), ("connect", "b")]
    assert play(history)[1:] == [[], [e.GiveReader(edge(1)), e.SendVerdict(edge(1), m.FAILED, "why", 1)]]


def test_a_reader_that_comes_back_after_its_sender_has_ended_gets_its_queue_and_is_told_so() -> None:
    history = [
        ("connect", "a"),
        ("connect", "b"),
        ("leave", "b", m.RESTARTING),
        ("leave", "a", m.CLOSED),
        ("connect", "b"),
    ]
    assert play(history)[3:] == [
        [],
        [e.GiveReader(edge(2)), e.SendVerdict(edge(2), m.CLOSED, "", 1)],
    ]


def test_two_runs_of_a_sender_wait_for_an_absent_reader_in_order() -> None:
    history = [("connect", "a"), ("leave", "a", m.RESTARTING), ("connect", "a"), ("connect", "b")]
    assert play(history)[1:] == [
        [],
        [e.GiveWriter(edge(2))],
        [e.GiveReader(edge(1)), e.SendVerdict(edge(1), m.RESTARTING, "", 1), e.GiveReader(edge(2))],
    ]


def test_a_sender_that_starts_again_finds_no_edge_to_a_reader_that_has_ended() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.RESTARTING), ("leave", "b", m.CLOSED)]
    assert play([*history, ("connect", "a")])[3:] == [[], []]


def test_a_node_that_closed_its_outputs_can_open_them_again() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.CLOSED), ("connect", "a"), ("leave", "a", m.CLOSED)]
    assert play(history)[3:] == [
        [e.GiveWriter(edge(2)), e.GiveReader(edge(2))],
        [e.SendVerdict(edge(2), m.CLOSED, "", 2)],
    ]


def test_a_node_that_reads_itself_gets_both_ends() -> None:
    loop = e.Edge(1, LOOP)
    assert play([("connect", "a"), ("leave", "a", m.CLOSED)], LOOP) == [[e.GiveWriter(loop), e.GiveReader(loop)], []]


def test_a_restarted_reader_that_was_never_written_to_waits_on_a_new_edge() -> None:
    history = [("connect", "b"), ("leave", "b", m.RESTARTING), ("connect", "b"), ("connect", "a")]
    assert play(history)[1:] == [[e.ForgetEdge(edge(1))], [e.GiveReader(edge(2))], [e.GiveWriter(edge(2))]]


def test_inputs_are_closed_when_every_sender_has_ended_for_good() -> None:
    book = EdgeBook([ROUTE, e.Route("c", "c", "out", "b", "other", slot=1, queue_size=1)], one)
    book.leave("a", m.CLOSED)
    book.leave("c", m.RESTARTING)
    assert not book.are_inputs_closed("b")
    book.leave("c", m.FAILED)
    assert book.are_inputs_closed("b")
    assert not book.are_inputs_closed("a")


def test_inputs_are_open_again_when_their_sender_comes_back() -> None:
    book = EdgeBook([ROUTE], one)
    book.connect("a")
    book.leave("a", m.CLOSED)
    book.connect("a")
    assert not book.are_inputs_closed("b")


def test_a_final_verdict_replaces_the_promise_that_an_absent_reader_was_not_told_yet() -> None:
    history = [("connect", "a"), ("leave", "a", m.RESTARTING), ("leave", "a", m.FAILED, "why"), ("connect", "b")]
    assert play(history)[2:] == [[], [e.GiveReader(edge(1)), e.SendVerdict(edge(1), m.FAILED, "why", 2)]]


def test_a_broken_promise_is_of_no_interest_to_a_reader_that_has_ended() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.RESTARTING), ("leave", "b", m.CLOSED)]
    assert play([*history, ("leave", "a", m.FAILED)])[4] == []


def test_a_reader_that_never_comes_is_taken_off_its_sender() -> None:
    history = [("connect", "a"), ("leave", "b", m.CLOSED)]
    assert play(history)[1] == [e.ForgetEdge(edge(1)), e.RemoveEdge(edge(1))]


def test_a_reader_that_dies_before_it_was_wired_is_still_expected() -> None:
    history = [("connect", "a"), ("leave", "b", m.RESTARTING), ("connect", "b")]
    assert play(history)[1:] == [[], [e.GiveReader(edge(1))]]


TAP = e.Route("a", "a", "out", "tap/1", "1", slot=1, queue_size=10, is_stated=True)


def tapped() -> e.Edge:
    return e.Edge(1, TAP)


def test_a_tap_reads_a_running_sender_and_leaves() -> None:
    book = EdgeBook([], one)
    book.connect("a")
    assert book.attach(TAP) == [e.GiveWriter(tapped()), e.GiveReader(tapped())]
    assert book.detach(TAP) == [e.RemoveEdge(tapped())]
    assert book.detach(TAP) == []
    assert book.leave("a", m.CLOSED) == []


def test_a_tap_waits_for_a_sender_that_is_not_there_yet() -> None:
    book = EdgeBook([], one)
    assert book.attach(TAP) == [e.GiveReader(tapped())]
    assert book.connect("a") == [e.GiveWriter(tapped())]


def test_a_tap_goes_on_with_the_next_run_of_its_sender() -> None:
    book = EdgeBook([], one)
    book.connect("a")
    book.attach(TAP)
    assert book.leave("a", m.RESTARTING) == [e.SendVerdict(tapped(), m.RESTARTING, "", 1)]
    assert book.connect("a") == [e.GiveWriter(e.Edge(2, TAP)), e.GiveReader(e.Edge(2, TAP))]


def test_a_tap_on_a_sender_that_has_ended_is_told_so() -> None:
    book = EdgeBook([], one)
    book.connect("a")
    book.leave("a", m.CLOSED)
    assert book.attach(TAP) == [
        e.GiveReader(tapped()),
        e.ForgetEdge(tapped()),
        e.SendVerdict(tapped(), m.CLOSED, "", 1),
    ]


def test_a_tap_that_leaves_before_its_sender_came_leaves_nothing() -> None:
    book = EdgeBook([], one)
    book.attach(TAP)
    assert book.detach(TAP) == [e.ForgetEdge(tapped())]
    assert book.connect("a") == []


def crash(book: EdgeBook, times: int) -> list[e.Effect]:
    """The sender runs and crashes; returns what was done at its last end."""
    for _ in range(times):
        book.connect("a")
        effects = book.leave("a", m.RESTARTING)
    return effects


def lossless(queue_size: int) -> e.Route:
    return e.Route("a", "a", "out", "b", "in", slot=0, queue_size=queue_size, is_lossless=True)


def test_of_the_queues_for_an_absent_reader_the_oldest_go_when_newer_ones_fill_its_queue() -> None:
    book = EdgeBook([ROUTE], lambda edge: 4)
    assert crash(book, 3) == []
    assert crash(book, 1) == [e.DropQueue(edge(1))]
    given = [effect.edge.number for effect in book.connect("b") if isinstance(effect, e.GiveReader)]
    assert given == [2, 3, 4]


def test_an_empty_queue_is_not_kept_for_an_absent_reader_who_is_told_of_a_final_end_all_the_same() -> None:
    book = EdgeBook([ROUTE], lambda edge: 0)
    assert crash(book, 2) == [e.DropQueue(edge(2))]
    book.leave("a", m.FAILED, "why")
    assert book.connect("b") == [
        e.GiveReader(edge(3)),
        e.ForgetEdge(edge(3)),
        e.SendVerdict(edge(3), m.FAILED, "why", 3),
    ]


def test_queues_of_so_many_runs_are_kept_however_deep_the_queue_of_the_absent_reader_is() -> None:
    book = EdgeBook([e.Route("a", "a", "out", "b", "in", slot=0, queue_size=1000)], one)
    assert crash(book, MOST_QUEUES) == []
    dropped = crash(book, 1)
    assert [effect.edge.number for effect in dropped if isinstance(effect, e.DropQueue)] == [1]


def test_nothing_lossless_is_let_go_and_the_sender_has_to_wait_until_it_is_read() -> None:
    book = EdgeBook([lossless(2)], one)
    assert crash(book, MOST_QUEUES - 1) == []
    assert book.unread_by("a") is None
    assert crash(book, 1) == []
    assert book.unread_by("a") == lossless(2)
    book.connect("b")
    assert book.unread_by("a") is None


def test_readers_are_told_of_a_run_that_ended_before_it_was_wired() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "a", m.RESTARTING), ("leave", "a", m.RESTARTING)]
    assert play([*history, ("connect", "a")])[3:] == [
        [e.GiveReader(edge(2)), e.ForgetEdge(edge(2)), e.SendVerdict(edge(2), m.RESTARTING, "", 2)],
        [e.GiveWriter(edge(3)), e.GiveReader(edge(3))],
    ]


def test_a_reader_that_waits_for_a_sender_is_told_of_its_restart_and_gets_the_next_edge() -> None:
    history = [("connect", "b"), ("leave", "a", m.RESTARTING), ("connect", "a")]
    assert play(history)[1:] == [
        [e.ForgetEdge(edge(1)), e.SendVerdict(edge(1), m.RESTARTING, "", 1)],
        [e.GiveWriter(edge(2)), e.GiveReader(edge(2))],
    ]


def test_an_absent_reader_is_not_told_of_a_run_that_ended_before_it_was_wired() -> None:
    history = [("connect", "a"), ("connect", "b"), ("leave", "b", m.RESTARTING), ("leave", "a", m.RESTARTING)]
    assert play([*history, ("leave", "a", m.RESTARTING)])[4] == []
