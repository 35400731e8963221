"""What the block at the end says of each input, from the counters that processes have left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dora.runner.effects import Route
from dora.runner.outcomes import InputCounts
from dora.runner.state.routes import ALL_LOGS
from dora.runner.summary import input_counts
from dora.transport import counters
from dora.transport.counters import CountersPage

ROUTE = Route("a", "a", "out", "b", "in", slot=3, queue_size=10)


@pytest.fixture
def page() -> Iterator[CountersPage]:
    """A fresh page."""
    made = CountersPage.create()
    yield made
    made.close()


def counted(page: CountersPage, sent: int, dropped: int, taken: int, route: Route = ROUTE) -> InputCounts:
    """One input of which the processes at both ends have said this."""
    at = page.edge_word(route.slot)
    for word, count in ((counters.EDGE_SENT, sent), (counters.EDGE_DROPPED, dropped), (counters.EDGE_TAKEN, taken)):
        page.words[at + word] = count
    (found,) = input_counts([route], page)
    return found


def test_what_was_neither_taken_nor_dropped_is_undelivered(page: CountersPage) -> None:
    assert counted(page, sent=10, dropped=3, taken=5) == InputCounts("b", "in", 10, 3, 2, 10, "drop_oldest")


def test_what_a_reader_of_log_lines_has_not_taken_is_not_undelivered(page: CountersPage) -> None:
    route = Route(ALL_LOGS, "dora", "logs", "b", "in", slot=0, queue_size=10)
    assert counted(page, sent=10, dropped=3, taken=5, route=route).undelivered == 0


def test_counters_that_cannot_be_right_make_no_negative_number(page: CountersPage) -> None:
    assert counted(page, sent=1, dropped=0, taken=5).undelivered == 0
