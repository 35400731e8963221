"""Arenas and pipe ends: who gets which, and that none is left."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator

import pytest

from dora.errors import ResourceError
from dora.messages import node_runner as messages
from dora.runner.effects import Edge, Route
from dora.runner.wiring import Parcel, Wiring
from dora.transport.pipes import RECORD_BYTES

ROUTE = Route("a", "a", "out", "b", "in", slot=5, queue_size=10, is_lossless=True, is_stated=True)
EDGE = Edge(7, ROUTE)


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def wiring() -> Iterator[Wiring]:
    """A wiring after which no descriptor may be left."""
    before = open_fds()
    wiring = Wiring()
    yield wiring
    wiring.close()
    assert open_fds() == before


def close(*parcels: Parcel) -> None:
    for parcel in parcels:
        for fd in parcel.owned:
            os.close(fd)


def same_file(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))


def test_the_sender_is_told_all_about_its_edge(wiring: Wiring) -> None:
    parcel = wiring.writer(EDGE, replaces=3)
    assert parcel.message == messages.AddOutputEdge(7, "out", "b", "in", 5, 10, True, True, replaces=3)
    close(parcel)


def test_what_the_sender_queues_arrives_and_its_end_is_the_end_of_file(wiring: Wiring) -> None:
    sender = wiring.writer(EDGE, 0)
    reader = wiring.reader(EDGE)
    os.write(sender.owned[1], b"record")
    close(sender)
    assert os.read(reader.owned[0], 100) == b"record"
    assert os.read(reader.owned[0], 100) == b""
    close(reader)


def test_what_the_reader_releases_arrives_and_its_end_is_the_end_of_file(wiring: Wiring) -> None:
    reader = wiring.reader(EDGE)
    sender = wiring.writer(EDGE, 0)
    os.write(reader.owned[1], b"released")
    close(reader)
    assert os.read(sender.owned[2], 100) == b"released"
    assert os.read(sender.owned[2], 100) == b""
    close(sender)


def test_nothing_of_an_edge_is_kept_when_both_ends_are_given_away(wiring: Wiring) -> None:
    wiring.output("a", "out")
    before = open_fds()
    close(wiring.writer(EDGE, 0), wiring.reader(EDGE))
    assert open_fds() == before


def test_sender_and_reader_get_the_same_arena_but_the_reader_may_not_write(wiring: Wiring) -> None:
    reader = wiring.reader(EDGE)
    sender = wiring.output("a", "out")
    assert same_file(sender.lent[0], reader.owned[2])
    assert fcntl.fcntl(reader.owned[2], fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    close(reader)


def test_the_next_run_of_a_sender_gets_another_arena(wiring: Wiring) -> None:
    first = os.fstat(wiring.output("a", "out").lent[0])
    wiring.close_outputs("a")
    assert not os.path.samestat(os.fstat(wiring.output("a", "out").lent[0]), first)


def test_an_arena_that_no_run_of_the_sender_got_waits_for_the_next(wiring: Wiring) -> None:
    reader = wiring.reader(EDGE)
    wiring.close_outputs("a")
    assert same_file(wiring.output("a", "out").lent[0], reader.owned[2])
    close(reader)


def test_a_reader_that_comes_after_its_sender_has_gone_gets_what_was_queued(wiring: Wiring) -> None:
    arena = os.dup(wiring.output("a", "out").lent[0])
    sender = wiring.writer(EDGE, 0)
    os.write(sender.owned[1], b"record")
    close(sender)
    wiring.close_outputs("a")
    reader = wiring.reader(EDGE)
    assert os.read(reader.owned[0], 100) == b"record"
    assert same_file(arena, reader.owned[2])
    os.close(arena)
    close(reader)


def test_forgetting_an_edge_ends_it_for_the_one_who_has_it(wiring: Wiring) -> None:
    reader = wiring.reader(EDGE)
    wiring.forget(EDGE)
    assert os.read(reader.owned[0], 100) == b""
    close(reader)
    wiring.forget(EDGE)


@pytest.mark.parametrize("count", range(5))
def test_a_sender_that_could_not_be_given_its_ends_gets_them_when_there_are_descriptors(
    wiring: Wiring, few: Callable[[int | None], None], count: int
) -> None:
    few(count)
    with pytest.raises((ResourceError, OSError)):
        wiring.writer(EDGE, 0)
    few(None)
    close(wiring.writer(EDGE, 0), wiring.reader(EDGE))


def test_a_reader_that_could_not_be_given_its_ends_gets_them_when_there_are_descriptors(
    wiring: Wiring, few: Callable[[int | None], None]
) -> None:
    wiring.output("a", "out")
    sender = wiring.writer(EDGE, 0)
    os.write(sender.owned[1], b"record")
    few(0)
    with pytest.raises((ResourceError, OSError)):
        wiring.reader(EDGE)
    few(None)
    reader = wiring.reader(EDGE)
    assert os.read(reader.owned[0], 100) == b"record"
    close(sender, reader)


def test_the_end_of_a_sender_takes_no_descriptor(wiring: Wiring, few: Callable[[int | None], None]) -> None:
    arena = os.dup(wiring.output("a", "out").lent[0])
    close(wiring.writer(EDGE, 0))
    few(0)
    wiring.close_outputs("a")
    few(None)
    reader = wiring.reader(EDGE)
    assert same_file(arena, reader.owned[2])
    os.close(arena)
    close(reader)


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("is_writer", [True, False])
def test_an_end_whose_run_is_over_is_closed_and_the_other_side_gets_its_own(
    wiring: Wiring, is_writer: bool, is_made: bool
) -> None:
    wiring.output("a", "out")
    before = open_fds()
    if not is_made:
        wiring.abandon(EDGE, is_writer=is_writer)
    close(wiring.reader(EDGE) if is_writer else wiring.writer(EDGE, 0))
    if is_made:
        wiring.abandon(EDGE, is_writer=is_writer)
    assert open_fds() == before


def test_messages_that_wait_for_a_reader_are_counted(wiring: Wiring) -> None:
    sender = wiring.writer(EDGE, 0)
    os.write(sender.owned[1], bytes(3 * RECORD_BYTES))
    assert wiring.queued(EDGE) == 3
    close(sender, wiring.reader(EDGE))
    assert wiring.queued(EDGE) == 0
