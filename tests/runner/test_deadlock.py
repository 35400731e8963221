"""Cycles of blocked senders, found from what the counters page shows."""

from __future__ import annotations

import pytest

from dora.runner.deadlock import Cycle, DeadlockWatch, EdgeView, NodeView, describe, find_cycle

STUCK = NodeView(receiving=0, blocked=1, calls=7)
FREE = NodeView(receiving=1, blocked=1, calls=7)
SECOND_NS = 1_000_000_000


def edge(text: str, *, is_waiting: bool = True, taken: int = 3) -> EdgeView:
    sender, reader = text.split(">")
    return EdgeView(sender, "out", reader, "in", is_waiting, 13, taken)


def edges(text: str) -> list[EdgeView]:
    return [edge(part) for part in text.split()]


@pytest.mark.parametrize(
    ("graph", "free", "expected"),
    [
        ("a>b b>a", "", "a/out -> b/in, b/out -> a/in"),
        ("a>a", "", "a/out -> a/in"),
        ("s>a a>b b>c c>a", "", "a/out -> b/in, b/out -> c/in, c/out -> a/in"),
        ("a>b a>c c>a", "", "a/out -> c/in, c/out -> a/in"),
        ("a>b b>c", "", ""),
        ("a>b b>a", "b", ""),
        ("a>a", "a", ""),
        ("a>b b>a c>d d>c", "a", "c/out -> d/in, d/out -> c/in"),
        ("", "", ""),
    ],
)
def test_a_cycle_of_stuck_edges_is_found_and_named(graph: str, free: str, expected: str) -> None:
    nodes = {name: FREE if name in free else STUCK for name in "abcds"}
    assert describe(find_cycle(edges(graph), nodes)).text == expected


def test_an_edge_with_room_breaks_the_cycle() -> None:
    nodes = {"a": STUCK, "b": STUCK}
    assert find_cycle([edge("a>b"), edge("b>a", is_waiting=False)], nodes) == []


def test_a_node_that_computes_is_in_no_deadlock() -> None:
    nodes = {"a": STUCK, "b": NodeView(receiving=0, blocked=0, calls=7)}
    assert find_cycle(edges("a>b b>a"), nodes) == []


def look(watch: DeadlockWatch, now_s: float, graph: str = "a>b b>a", taken: int = 3) -> Cycle | None:
    found = [edge(part, taken=taken) for part in graph.split()]
    return watch.look(found, {"a": STUCK, "b": STUCK}, int(now_s * SECOND_NS))


def test_a_cycle_is_told_once_after_a_second_without_movement() -> None:
    watch = DeadlockWatch()
    told = [look(watch, now_s) for now_s in (5.0, 5.5, 6.0, 7.0)]
    assert told == [None, None, Cycle(("a", "b"), "a/out -> b/in, b/out -> a/in"), None]


def test_movement_starts_the_second_again() -> None:
    watch = DeadlockWatch()
    look(watch, 5.0)
    assert [look(watch, now_s, taken=4) for now_s in (5.9, 6.5)] == [None, None]
    assert look(watch, 6.9, taken=4) is not None


def test_a_node_that_waits_for_itself_is_told_at_the_second_look() -> None:
    watch = DeadlockWatch()
    assert look(watch, 5.0, "a>a") is None
    assert look(watch, 5.25, "a>a") == Cycle(("a",), "a/out -> a/in")
