"""What a full queue keeps, what a restarted reader finds, and what comes back to the sender."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dora.transport import libc
from dora.transport.pipes import CORRELATED, FLUSH
from dora.transport.sending import SendEdge, queued_records
from transport.joined import Joined, in_threads

Join = Callable[[int], Joined]
C, F, P = CORRELATED, FLUSH, 0


def push_all(joined: Joined, *flags: int) -> None:
    """Send messages 0, 1, 2, ... with these flags."""
    for number, flag in enumerate(flags):
        joined.push(number, flag)


# -- drop-oldest ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue_size", [1, 10, 1000])
def test_stalled_reader_finds_exactly_the_newest_messages(join: Join, queue_size: int) -> None:
    joined = join(queue_size)
    push_all(joined, *[P] * (3 * queue_size + 1))
    assert joined.pop_all() == list(range(2 * queue_size + 1, 3 * queue_size + 1))


@pytest.mark.parametrize("queue_size", [1, 10, 1000])
def test_every_message_that_was_pushed_out_counts_as_dropped(join: Join, queue_size: int) -> None:
    joined = join(queue_size)
    push_all(joined, *[P] * (3 * queue_size + 1))
    assert (joined.counts.sent, joined.counts.dropped) == (3 * queue_size + 1, 2 * queue_size + 1)


def test_queue_that_is_not_full_drops_nothing(join: Join) -> None:
    joined = join(10)
    push_all(joined, *[P] * 10)
    assert (joined.pop_all(), joined.counts.dropped) == (list(range(10)), 0)


def test_room_that_the_reader_made_is_used(join: Join) -> None:
    joined = join(2)
    push_all(joined, P, P)
    joined.pop()
    joined.push(2)
    assert (joined.pop_all(), joined.counts.dropped) == ([1, 2], 0)


def test_chunk_of_a_dropped_message_is_free_at_once(join: Join) -> None:
    joined = join(1)
    offsets = [joined.push(number, size=1 << 20) for number in range(3)]
    assert joined.arena.used_chunks == 1
    assert offsets[2] == offsets[0]


def test_memory_is_bounded_by_the_queue_however_much_is_sent(join: Join) -> None:
    joined = join(2)
    push_all(joined, *[P] * 500)
    assert joined.arena.used_chunks == 2


# -- correlated messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ((C, C, P, P, P), [0, 1, 4]),
        ((P, C, P, P), [1, 2, 3]),
        ((C, P, P, P), [0, 2, 3]),
        ((P, P, P, C), [1, 2, 3]),
        ((C, C, C, P), [0, 1, 2]),
        ((C, C, C, P, C), [1, 2, 4]),
        ((P, C, P, C, P, P, C), [1, 3, 6]),
    ],
    ids=str,
)
def test_correlated_messages_outlive_plain_ones(join: Join, flags: tuple[int, ...], left: list[int]) -> None:
    joined = join(3)
    push_all(joined, *flags)
    assert joined.pop_all() == left


def test_plain_newcomer_to_a_queue_of_correlated_ones_counts_as_dropped(join: Join) -> None:
    joined = join(2)
    push_all(joined, C, C, P)
    assert (joined.counts.sent, joined.counts.dropped, joined.arena.used_chunks) == (3, 1, 2)


def test_correlated_message_that_was_read_protects_nothing_any_more(join: Join) -> None:
    joined = join(3)
    push_all(joined, C, P, P)
    joined.pop()
    for number in range(3, 7):
        joined.push(number)
    assert joined.pop_all() == [4, 5, 6]


def test_full_queue_is_emptied_with_one_read_and_filled_again_with_one_write(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = join(3)
    push_all(joined, C, P, P)
    calls: list[str] = []
    for name in ("read", "write"):
        monkeypatch.setattr(libc, name, _noted(name, getattr(libc, name), calls))
    joined.push(3)
    assert calls == ["read", "write"], "a reader that comes between sees nothing out of order"
    assert joined.pop_all() == [0, 2, 3]


def _noted(name: str, call: Callable[..., int], calls: list[str]) -> Callable[..., int]:
    def note(*arguments: Any) -> int:
        calls.append(name)
        return call(*arguments)

    return note


# -- flush ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ((P, P, F), [2]),
        ((P, C, P, F), [1, 3]),
        ((F,), [0]),
        ((P, F, P, P), [1, 2, 3]),
        ((P, P, C | F, P, P), [2, 3, 4]),
        ((F, P, P, P), [1, 2, 3]),
        ((C, F, P, P), [0, 2, 3]),
        ((C, C, C, F), [0, 1, 2]),
        ((C, C, C, C | F), [1, 2, 3]),
    ],
    ids=str,
)
def test_flush_discards_what_is_older_and_plain(join: Join, flags: tuple[int, ...], left: list[int]) -> None:
    joined = join(3)
    push_all(joined, *flags)
    assert joined.pop_all() == left


def test_messages_that_a_flush_discards_count_as_dropped(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P, P, F)
    assert (joined.counts.sent, joined.counts.dropped, joined.arena.used_chunks) == (4, 3, 1)


# -- room ----------------------------------------------------------------------------------------------------


def test_queue_has_room_until_it_is_full(join: Join) -> None:
    joined = join(2)
    found = []
    for number in range(3):
        found.append(joined.sender.has_room())
        joined.push(number)
    assert found == [True, True, False]


def test_room_means_taken_not_released(join: Join) -> None:
    joined = join(1)
    joined.push(0, size=100_000)
    joined.pop()
    assert joined.sender.has_room()


def test_length_of_a_queue_is_exact(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P, P)
    joined.pop()
    assert queued_records(joined.sender.queue_read) == 2


# -- what comes back -----------------------------------------------------------------------------------------


def test_released_chunk_is_used_again(join: Join) -> None:
    joined = join(10)
    offset = joined.push(0, size=1 << 20)
    joined.pop()
    joined.release(0)
    joined.sender.reclaim()
    assert joined.push(1, size=1 << 20) == offset


def test_chunk_that_the_reader_still_holds_is_not_used_again(join: Join) -> None:
    joined = join(10)
    offset = joined.push(0, size=1 << 20)
    joined.pop()
    joined.sender.reclaim()
    assert joined.push(1, size=1 << 20) != offset


def test_release_of_what_was_never_held_is_ignored(join: Join) -> None:
    joined = join(10)
    joined.push(0)
    joined.reader.release(12_345)
    joined.sender.reclaim()
    assert joined.arena.used_chunks == 1


def test_chunk_released_twice_is_freed_once(join: Join) -> None:
    joined = join(10)
    offset = joined.push(0)
    joined.pop()
    joined.reader.release(offset)
    joined.reader.release(offset)
    joined.sender.reclaim()
    assert joined.arena.used_chunks == 0


def test_many_releases_come_back_in_one_go(join: Join) -> None:
    joined = join(1000)
    push_all(joined, *[P] * 1000)
    for number in joined.pop_all():
        joined.release(number)
    joined.sender.reclaim()
    assert joined.arena.used_chunks == 0


def test_words_that_only_say_taken_free_nothing(join: Join) -> None:
    joined = join(1)
    joined.push(0)
    joined.sender.set_waiting(True)
    joined.pop()
    joined.sender.reclaim()
    assert joined.arena.used_chunks == 1


# -- counters ------------------------------------------------------------------------------------------------


def test_sent_messages_bytes_and_time_are_counted(join: Join) -> None:
    joined = join(10)
    joined.push(0, size=100)
    joined.push(6, size=50)
    assert joined.counts[:4] == (2, 0, 150, 7)


def test_message_given_up_before_it_was_queued_counts_as_sent_and_dropped(join: Join) -> None:
    joined = join(10)
    joined.sender.count_lost(30)
    assert joined.counts[:3] == (1, 1, 30)


def test_waiting_is_published_and_taken_back(join: Join) -> None:
    joined = join(100)
    joined.sender.set_waiting(True)
    assert joined.counts.waiting
    joined.sender.set_waiting(False)
    assert not joined.counts.waiting


# -- restarts and ends ---------------------------------------------------------------------------------------


def test_new_reader_finds_what_the_dead_one_did_not_read(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P, P)
    joined.pop()
    joined.replace()
    assert joined.pop_all() == [1, 2]


def test_queue_of_a_dead_reader_moves_with_one_read_and_one_write(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = join(10)
    push_all(joined, P, P, P)
    calls: list[str] = []
    monkeypatch.setattr(libc, "thread_count", lambda: 0)
    for name in ("read", "write"):
        monkeypatch.setattr(libc, name, _noted(name, getattr(libc, name), calls))
    joined.replace()
    assert calls == ["read", "write"]


def test_memory_that_a_dead_reader_held_is_free(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P, P)
    joined.pop()
    joined.replace()
    assert joined.arena.used_chunks == 2


def test_messages_after_a_restart_follow_the_inherited_ones(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P)
    joined.replace()
    joined.push(2)
    assert joined.pop_all() == [0, 1, 2]


def test_shorter_queue_inherits_the_newest_and_counts_the_others(join: Join) -> None:
    joined = join(10)
    push_all(joined, *[P] * 10)
    joined.replace(queue_size=4)
    assert (joined.pop_all(), joined.counts.dropped, joined.arena.used_chunks) == ([6, 7, 8, 9], 6, 4)


def test_inherited_correlated_messages_outlive_plain_ones(join: Join) -> None:
    joined = join(3)
    push_all(joined, C, P, P)
    joined.replace(queue_size=3)
    for number in range(3, 8):
        joined.push(number)
    assert joined.pop_all() == [0, 6, 7]


def test_counters_go_on_across_a_restart(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P)
    joined.pop()
    joined.replace()
    joined.push(2)
    joined.pop_all()
    assert (joined.counts.sent, joined.counts.taken) == (3, 3)


def test_closing_an_edge_frees_everything_its_reader_held(join: Join) -> None:
    joined = join(10)
    push_all(joined, *[P] * 5)
    joined.pop()
    joined.sender.close()
    assert joined.arena.used_chunks == 0


def test_closing_an_edge_closes_its_descriptors(join: Join) -> None:
    joined = join(10)
    fds = [joined.sender.queue_read, joined.sender.queue_write, joined.sender.release_read]
    joined.sender.close()
    assert not any(os.path.exists(f"/proc/self/fd/{fd}") for fd in fds)


def test_edge_may_be_closed_twice(join: Join) -> None:
    joined = join(10)
    joined.sender.close()
    joined.sender.close()
    assert joined.sender.queue_read == -1


def test_chunk_with_two_readers_is_free_when_both_let_go(join: Join) -> None:
    first, second = join(10), join(10)
    other = SendEdge(2, _ends(second.sender), first.arena, (first.page.words, first.page.edge_word(1)), 10)
    offset = first.arena.allocate(100)
    holders = sum(edge.push(bytes(64), offset, 8, 0, 0) for edge in (first.sender, other))
    first.arena.hand_over(offset, holders)
    first.sender.close()
    assert first.arena.used_chunks == 1
    other.close()
    assert first.arena.used_chunks == 0


def _ends(edge: SendEdge) -> tuple[int, int, int]:
    """Second descriptors of an edge's ends."""
    return os.dup(edge.queue_read), os.dup(edge.queue_write), os.dup(edge.release_read)


# -- threads -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("quick_switches")
def test_outputs_of_two_threads_do_not_mix_up_their_queues(join: Join) -> None:
    wrong: list[list[int]] = []

    def run(joined: Joined, stride: int) -> None:
        for start in range(0, 15_000, stride):
            for number in range(start, start + stride):
                joined.push(number)
            found = joined.pop_all()
            for number in found:
                joined.release(number)
            joined.sender.reclaim()
            if found != list(range(start, start + stride))[-5:]:
                wrong.append(found)

    in_threads(*[partial(run, join(5), stride) for stride in (7, 8, 30)])
    assert not wrong


# -- edges that were disconnected ----------------------------------------------------------------------------


def test_reader_of_a_retired_edge_takes_what_is_queued_then_sees_the_end(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P)
    joined.sender.retire()
    assert not joined.sender.is_over()
    assert joined.pop_all() == [0, 1]
    assert joined.reader.is_ended


def test_retired_edge_is_over_when_its_reader_has_let_go_of_it(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P)
    joined.sender.retire()
    joined.pop_all()
    assert not joined.sender.is_over()
    joined.reader.abandon()
    assert joined.sender.is_over()
    assert joined.arena.used_chunks == 0


def test_what_the_reader_of_a_retired_edge_never_took_counts_as_dropped(join: Join) -> None:
    joined = join(10)
    push_all(joined, P, P, P)
    joined.sender.retire()
    joined.pop()
    joined.reader.abandon()
    assert joined.sender.is_over()
    assert (joined.counts.sent, joined.counts.dropped, joined.counts.taken) == (3, 2, 1)
    assert joined.arena.used_chunks == 0
