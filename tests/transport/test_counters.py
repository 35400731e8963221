"""The page that everybody reads and each word of which has one writer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dora.errors import ResourceError
from dora.transport import counters
from dora.transport.counters import CountersPage, EdgeCounts, NodeCounts


@pytest.fixture
def page() -> Iterator[CountersPage]:
    """A fresh page."""
    made = CountersPage.create()
    yield made
    made.close()


def test_fresh_page_is_all_zero(page: CountersPage) -> None:
    assert page.edge(0) == EdgeCounts(0, 0, 0, 0, 0, 0)
    assert page.node(0) == NodeCounts(0, 0, 0, 0, 0)


def test_what_one_process_writes_the_others_read(page: CountersPage) -> None:
    other = CountersPage.attach(os.dup(page.fd))
    other.words[other.edge_word(3) + counters.EDGE_TAKEN] = 7
    assert page.edge(3).taken == 7
    other.close()


def test_edge_is_read_by_name(page: CountersPage) -> None:
    at = page.edge_word(2)
    for index in (*range(5), counters.EDGE_TAKEN):
        page.words[at + index] = index + 1
    assert page.edge(2) == EdgeCounts(sent=1, dropped=2, bytes=3, last_send_ns=4, waiting=5, taken=9)


def test_node_is_read_by_name(page: CountersPage) -> None:
    at = page.node_word(2)
    for index in range(5):
        page.words[at + index] = index + 1
    assert page.node(2) == NodeCounts(receiving=1, blocked=2, last_call_ns=3, next_tick_ns=4, calls=5)


def test_reader_and_sender_write_to_cache_lines_of_their_own(page: CountersPage) -> None:
    assert page.edge_word(1) * 8 % 64 == 0
    assert counters.EDGE_WAITING < 64 // 8 <= min(counters.EDGE_TAKEN, counters.EDGE_LET_GO)


def test_nodes_and_edges_do_not_overlap(page: CountersPage) -> None:
    page.words[page.node_word(16383) + 7] = 1
    assert page.edge(0) == EdgeCounts(0, 0, 0, 0, 0, 0)
    assert page.edge_word(262143) + 15 < len(page.words)


def test_announcement_moves_the_nodes_word(page: CountersPage) -> None:
    page.announce(5)
    page.announce(5)
    assert page.words[page.node_word(5) + counters.NODE_ANNOUNCED] == 2


def test_counting_in_words_that_a_process_filled_with_nonsense_raises_nothing(page: CountersPage) -> None:
    page.words[page.node_word(5) + counters.NODE_ANNOUNCED] = counters.WORD_MASK
    page.words[page.edge_word(5) + counters.EDGE_DROPPED] = counters.WORD_MASK
    page.announce(5)
    page.count_dropped(5, 3)
    assert page.edge(5).dropped == 2


def test_words_of_a_dead_process_are_forgotten(page: CountersPage) -> None:
    page.words[page.node_word(1) + counters.NODE_BLOCKED] = 3
    page.announce(1)
    page.clear_node(1)
    assert not any(page.words[page.node_word(1) : page.node_word(2)])


@pytest.mark.parametrize(("kind", "slot"), [("node", 16384), ("node", -1), ("edge", 262144), ("edge", -1)])
def test_slot_beyond_the_page_is_refused_with_the_limit(page: CountersPage, kind: str, slot: int) -> None:
    limit = "at most 16384 nodes" if kind == "node" else "at most 262144 edges"
    with pytest.raises(ResourceError, match=f"{kind} number {slot} is out of range: a dataflow has {limit}"):
        getattr(page, f"{kind}_word")(slot)


def test_attached_page_keeps_no_descriptor(page: CountersPage) -> None:
    fd = os.dup(page.fd)
    other = CountersPage.attach(fd)
    assert not os.path.exists(f"/proc/self/fd/{fd}")
    other.close()


def test_page_may_be_closed_twice(page: CountersPage) -> None:
    page.close()
    page.close()
    assert page.fd == -1
