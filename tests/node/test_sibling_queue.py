"""Queues between operators of one process: the rules of every queue (dora node-api, section 5)."""

from __future__ import annotations

import pytest

from dora.node import events
from dora.node.sibling_queue import SiblingQueue


def queue_after(words: str, size: int = 3) -> tuple[str, int]:
    """What a queue holds after these messages, and how many it lost.

    `a` is plain, `A` correlated, `a!` flushes.
    """
    queue = SiblingQueue(size)
    for word in words.split():
        event = events.input_event("in", word[0], {})
        queue.put(event, is_correlated=word[0].isupper(), is_flush=word.endswith("!"))
    left = ""
    while (taken := queue.take()) is not None:
        left += taken["value"]
    assert queue.sent == len(words.split())
    assert queue.sent == queue.dropped + len(left)
    return left, queue.dropped


HISTORIES = [
    ("a b c", "abc"),
    ("a b c d e", "cde"),
    ("A B c d e", "ABe"),
    ("A b C d", "ACd"),
    ("A B C d", "ABC"),
    ("A B C D", "BCD"),
    ("a b c!", "c"),
    ("A b c!", "Ac"),
    ("A B C d!", "ABC"),
]


@pytest.mark.parametrize(("words", "left"), HISTORIES)
def test_full_queue_keeps_what_it_must(words: str, left: str) -> None:
    assert queue_after(words)[0] == left


def test_queue_of_one_keeps_the_newest() -> None:
    assert queue_after("a b c", size=1) == ("c", 2)


def test_messages_of_an_operator_that_has_ended_are_gone() -> None:
    queue = SiblingQueue(2)
    queue.put(events.input_event("in", 1, {}))
    queue.clear()
    assert queue.take() is None
