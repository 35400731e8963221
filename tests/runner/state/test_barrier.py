"""The start barrier."""

from __future__ import annotations

from dora.runner.state.barrier import Barrier


def test_a_barrier_without_members_is_open() -> None:
    assert Barrier([]).is_open


def test_the_last_ready_member_opens_it_once() -> None:
    barrier = Barrier(["a", "b"])
    assert [barrier.note_ready(name) for name in ("a", "a", "b", "b")] == [False, False, True, False]
    assert barrier.is_open


def test_those_that_are_not_ready_are_waited_for_in_order() -> None:
    barrier = Barrier(["a", "b", "c"])
    barrier.note_ready("b")
    assert barrier.waited_for == ["a", "c"]


def test_a_member_that_must_come_again_is_waited_for_again() -> None:
    barrier = Barrier(["a", "b"])
    barrier.note_ready("a")
    barrier.note_not_ready("a")
    assert barrier.waited_for == ["b", "a"]


def test_it_fails_by_the_first_member_that_ends_while_others_live() -> None:
    barrier = Barrier(["a", "b", "c"])
    assert [barrier.note_ended("b", True), barrier.note_ended("c", True)] == [True, False]
    assert barrier.failed_by == "b"
    assert barrier.waited_for == []


def test_it_does_not_fail_by_a_member_that_was_alone() -> None:
    barrier = Barrier(["a"])
    assert not barrier.note_ended("a", False)
    assert not barrier.is_decided


def test_a_release_opens_it_unless_it_has_failed() -> None:
    open_one, failed = Barrier(["a", "b"]), Barrier(["a", "b"])
    failed.note_ended("a", True)
    for barrier in (open_one, failed):
        barrier.release()
    assert (open_one.is_open, failed.is_open) == (True, False)


def test_what_opened_stays_open() -> None:
    barrier = Barrier(["a"])
    barrier.note_ready("a")
    barrier.note_not_ready("a")
    assert barrier.is_open
    assert not barrier.note_ended("a", True)
