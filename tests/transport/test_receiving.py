"""What a reader takes, holds and gives back, whatever the sender does meanwhile."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import pytest

from dora.transport import libc, pipes
from dora.transport.receiving import Hold, Mapping
from transport.joined import Joined, make_memory

Join = Callable[[int], Joined]
PIPE_WORDS = 65536 // 8


def words_in(joined: Joined) -> list[int]:
    """What the reader wrote to the release pipe."""
    try:
        raw = os.read(joined.sender.release_read, 1 << 20)
    except BlockingIOError:
        return []
    return [word for (word,) in pipes.WORD.iter_unpack(raw)]


def fill_release_pipe(joined: Joined) -> None:
    """As a sender that never looks at it leaves it."""
    for _ in range(PIPE_WORDS):
        joined.reader.release(1)


# -- taking --------------------------------------------------------------------------------------------------


def test_messages_come_in_the_order_they_were_sent(join: Join) -> None:
    joined = join(10)
    for number in range(5):
        joined.push(number)
    assert joined.pop_all() == [0, 1, 2, 3, 4]


def test_empty_queue_gives_nothing_and_is_not_ended(join: Join) -> None:
    joined = join(10)
    assert joined.reader.pop() is None
    assert not joined.reader.is_ended


def test_queue_ends_only_after_everything_sent_was_read(join: Join) -> None:
    joined = join(10)
    joined.push(0)
    joined.sender.close_fds()
    assert (joined.pop(), joined.reader.is_ended) == (0, False)
    assert (joined.pop(), joined.reader.is_ended) == (None, True)


def test_each_message_taken_is_counted(join: Join) -> None:
    joined = join(10)
    for number in range(5):
        joined.push(number)
    joined.pop()
    joined.pop()
    assert joined.counts.taken == 2


def test_reader_cannot_write_to_what_it_receives(join: Join) -> None:
    mapping = join(10).reader.mapping
    with open("/proc/self/maps") as file:
        line = next(line for line in file if line.startswith(f"{mapping.address:x}-"))
    assert line.split()[1] == "r--s"


def test_memory_is_left_out_of_core_dumps_of_its_reader(join: Join) -> None:
    mapping = join(10).reader.mapping
    with open("/proc/self/smaps") as file:
        text = file.read()
    block = text[text.index(f"{mapping.address:x}-") :]
    assert " dd" in block[block.index("VmFlags") :].splitlines()[0]


def test_reader_gets_a_read_only_description_of_the_memory() -> None:
    memory = make_memory()
    fd = pipes.reopen_read_only(memory)
    with pytest.raises(OSError, match=r"Invalid argument"):
        os.ftruncate(fd, 0)
    os.close(fd)
    os.close(memory)


# -- telling a sender that waits -----------------------------------------------------------------------------


def test_reader_says_nothing_about_room_that_nobody_waits_for(join: Join) -> None:
    joined = join(1)
    joined.push(0)
    joined.pop()
    assert words_in(joined) == []


def test_slow_reader_tells_a_waiting_sender_of_each_message_it_takes(join: Join) -> None:
    joined = join(100)
    joined.push(0)
    joined.sender.set_waiting(True)
    joined.pop()
    assert words_in(joined) == [pipes.TAKEN]


def test_reader_looks_whether_a_sender_waits_after_it_has_taken(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = join(1)
    joined.push(0)
    read = libc.read

    def read_when_the_sender_has_begun_to_wait(*arguments: int) -> int:
        joined.sender.set_waiting(True)
        return read(*arguments)

    monkeypatch.setattr(libc, "thread_count", lambda: 1)  # so that it is this function that reads
    monkeypatch.setattr(libc, "read", read_when_the_sender_has_begun_to_wait)
    joined.pop()
    assert words_in(joined) == [pipes.TAKEN]


def test_reader_of_a_queue_of_one_tells_a_waiting_sender_at_once(join: Join) -> None:
    joined = join(1)
    joined.sender.set_waiting(True)
    for number in range(3):
        joined.push(number)
        joined.pop()
    assert words_in(joined) == [pipes.TAKEN] * 3


def test_quick_reader_tells_a_waiting_sender_once_per_quarter_of_the_queue(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = join(100)
    monkeypatch.setattr("dora.transport.receiving.time.monotonic_ns", lambda: 1)
    joined.sender.set_waiting(True)
    for number in range(100):
        joined.push(number)
    joined.pop_all()
    assert words_in(joined) == [pipes.TAKEN] * 4


# -- giving back ---------------------------------------------------------------------------------------------


def test_released_chunk_is_told_at_once(join: Join) -> None:
    joined = join(10)
    offset = joined.push(0)
    joined.pop()
    joined.release(0)
    assert words_in(joined) == [offset]


def test_copied_chunks_are_told_together(join: Join) -> None:
    joined = join(10)
    for offset in (8, 16, 24):
        joined.reader.release_soon(offset)
    assert words_in(joined) == []
    joined.reader.tell_released()
    assert words_in(joined) == [8, 16, 24]


def test_copied_chunks_are_told_after_32_at_the_latest(join: Join) -> None:
    joined = join(10)
    for offset in range(33):
        joined.reader.release_soon(offset)
    assert words_in(joined) == list(range(32))


def test_edge_with_copied_chunks_enters_itself_once_where_it_was_told_to(join: Join) -> None:
    reader = join(10).reader
    untold: list[object] = []
    reader.tell_through(untold)
    for offset in range(100):
        reader.release_soon(offset)
    assert untold == [reader]


def test_release_that_the_full_pipe_refuses_comes_later(join: Join) -> None:
    joined = join(10)
    offset = joined.push(0)
    joined.pop()
    fill_release_pipe(joined)
    joined.release(0)
    words_in(joined)
    joined.push(1)
    joined.pop()
    assert words_in(joined) == [offset]


def test_release_that_is_refused_again_waits_on(join: Join) -> None:
    joined = join(10)
    fill_release_pipe(joined)
    joined.reader.release(8)
    joined.reader.flush_pending()
    words_in(joined)
    joined.reader.flush_pending()
    assert words_in(joined) == [8]


def test_releases_are_never_lost_however_full_the_pipe_is(join: Join) -> None:
    joined = join(1000)
    fill_release_pipe(joined)
    for number in range(1000):
        joined.push(number)
    for number in joined.pop_all():
        joined.release(number)
    found = []
    while words := words_in(joined):
        found += words
        joined.reader.flush_pending()
    assert len(set(found) - {1}) == 1000


def test_release_to_a_sender_that_is_gone_is_no_error(join: Join) -> None:
    joined = join(10)
    joined.push(0)
    joined.pop()
    joined.sender.close_fds()
    joined.release(0)
    assert joined.pop() is None


def test_hold_gives_its_chunk_back_when_it_is_let_go(join: Join) -> None:
    joined = join(10)
    hold = Hold(joined.reader, 4096, 100)
    assert words_in(joined) == []
    del hold
    assert words_in(joined) == [4096]


def test_edge_knows_how_much_is_held(join: Join) -> None:
    reader = join(10).reader
    holds = [Hold(reader, 0, 100), Hold(reader, 4096, 50)]
    assert reader.held_bytes == 150
    holds.clear()
    assert reader.held_bytes == 0


def test_what_is_held_is_given_back_even_after_the_edge_was_closed(join: Join) -> None:
    joined = join(10)
    hold = Hold(joined.reader, 4096, 100)
    joined.reader.close()
    del hold
    assert words_in(joined) == [4096]


def test_abandoned_edge_gives_nothing_back(join: Join) -> None:
    joined = join(10)
    hold = Hold(joined.reader, 4096, 100)
    joined.reader.abandon()
    del hold
    assert words_in(joined) == []


def test_dead_reader_shows_as_the_end_of_its_release_pipe(join: Join) -> None:
    joined = join(10)
    joined.reader.abandon()
    assert os.read(joined.sender.release_read, 8) == b""


def test_memory_stays_mapped_as_long_as_something_of_it_is_held() -> None:
    memory = make_memory()
    mapping = Mapping(pipes.reopen_read_only(memory), 1 << 20)
    address, owner = mapping.address, [mapping]
    del mapping
    gc.collect()
    assert is_mapped(address)
    owner.clear()
    assert not is_mapped(address)
    os.close(memory)


def is_mapped(address: int) -> bool:
    """Whether this process has a mapping that begins there."""
    with open("/proc/self/maps") as file:
        return any(line.startswith(f"{address:x}-") for line in file)
