"""A reader that takes while the sender drops: nothing is lost uncounted, nothing is out of order."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dora.transport import pipes
from dora.transport.pipes import CORRELATED, FLUSH
from transport.joined import ARENA_BYTES, Joined

Join = Callable[[int], Joined]
READER = Path(__file__).parent / "racing_reader.py"
MESSAGES = 10_000

pytestmark = pytest.mark.slow


def race_in_thread(joined: Joined, flags: Callable[[int], int]) -> list[int]:
    """Send all while another thread takes; returns what it took, in order."""
    found: list[int] = []

    def read() -> None:
        while not joined.reader.is_ended:
            number = joined.pop()
            if number is not None:
                joined.release(number)
                found.append(number)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(MESSAGES):
        joined.push(number, flags(number))
    joined.sender.close_fds()
    thread.join()
    return found


def race_in_process(joined: Joined, flags: Callable[[int], int]) -> list[int]:
    """The same with a reader in a process of its own."""
    fds = (joined.reader.queue_read, joined.reader.release_write, pipes.reopen_read_only(joined.memory))
    command = [sys.executable, str(READER), *map(str, fds), str(ARENA_BYTES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=fds) as process:
        joined.reader.abandon()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for number in range(MESSAGES):
            joined.push(number, flags(number))
        joined.sender.close_fds()
        return [int(word) for word in process.stdout.read().split()]


def plain(number: int) -> int:
    return 0


def sometimes_correlated(number: int) -> int:
    return CORRELATED if number % 7 == 0 else 0


def sometimes_flush(number: int) -> int:
    return FLUSH if number % 11 == 0 else 0


@pytest.mark.parametrize("race", [race_in_thread, race_in_process])
@pytest.mark.parametrize("flags", [plain, sometimes_correlated, sometimes_flush])
@pytest.mark.parametrize("queue_size", [1, 10, 1000])
def test_what_a_racing_reader_took_is_in_order_and_the_rest_is_counted(
    join: Join, queue_size: int, flags: Callable[[int], int], race: Callable[..., list[int]]
) -> None:
    joined = join(queue_size)
    found = race(joined, flags)
    assert all(before < after for before, after in itertools.pairwise(found))
    assert len(found) + joined.counts.dropped == joined.counts.sent == MESSAGES
    if flags is not sometimes_correlated:  # else the newest may have been the one to go
        assert found[-1] == MESSAGES - 1
