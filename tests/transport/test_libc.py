"""The C functions of the data path: the same with one thread and with several."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from dora.transport import libc
from transport.joined import in_threads


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A non-blocking pipe."""
    fds = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield fds
    for fd in fds:
        os.close(fd)


@pytest.fixture(params=["alone", "beside a thread"])
def thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test runs without and with a second Python thread: that chooses other functions."""
    ending = threading.Event()
    threads = [threading.Thread(target=ending.wait)] if request.param != "alone" else []
    for other in threads:
        other.start()
    yield
    ending.set()
    for other in threads:
        other.join()


_scratch = ctypes.create_string_buffer(libc.PIECE_BYTES)


@pytest.fixture
def scratch() -> int:
    """The address of 4096 bytes."""
    return ctypes.addressof(_scratch)


@pytest.mark.usefixtures("thread")
def test_read_some_gives_what_is_there(pipe: tuple[int, int], scratch: int) -> None:
    os.write(pipe[1], b"eight by")
    assert libc.read_some(pipe[0], scratch) == b"eight by"


@pytest.mark.usefixtures("thread")
def test_read_some_of_an_empty_pipe_is_none(pipe: tuple[int, int], scratch: int) -> None:
    assert libc.read_some(pipe[0], scratch) is None


@pytest.mark.usefixtures("thread")
def test_read_some_at_the_end_is_empty(scratch: int) -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    os.close(write)
    assert libc.read_some(read, scratch) == b""
    os.close(read)


@pytest.mark.usefixtures("thread")
def test_words_are_written_all_or_none(pipe: tuple[int, int]) -> None:
    room = libc.PIECE_BYTES // 8 * 16 - 1
    assert all(libc.write_words(pipe[1], bytes(8)) for _ in range(room))
    assert not libc.write_words(pipe[1], bytes(16))
    assert libc.write_words(pipe[1], bytes(8))


@pytest.mark.usefixtures("thread")
def test_words_to_a_pipe_that_nobody_reads_are_refused() -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    os.close(read)
    assert not libc.write_words(write, bytes(8))
    os.close(write)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_switches")
def test_threads_that_read_at_once_get_each_their_own(scratch: int) -> None:
    wrong: list[bytes | None] = []

    def run(word: bytes) -> None:
        read, write = os.pipe2(os.O_NONBLOCK)
        own = ctypes.create_string_buffer(libc.PIECE_BYTES)
        for _ in range(10_000):
            os.write(write, word)
            found = libc.read_some(read, ctypes.addressof(own))
            if found != word:
                wrong.append(found)
        os.close(read)
        os.close(write)

    in_threads(*[partial(run, bytes([number]) * 8) for number in range(3)])
    assert not wrong


@pytest.mark.parametrize("size", [0, 1, libc.RELEASE_GIL_FROM - 1, libc.RELEASE_GIL_FROM, 1 << 20])
def test_copy_moves_all_bytes(size: int) -> None:
    source, target = os.urandom(size), ctypes.create_string_buffer(size + 1)
    libc.copy(ctypes.addressof(target), source, size)  # type: ignore[arg-type]  # bytes pass as their address
    assert target.raw[:size] == source


def test_mapping_that_the_kernel_refuses_says_how_much_was_asked() -> None:
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    with pytest.raises(OSError, match=f"cannot map {1 << 62} bytes of shared memory: .*`ulimit -v`; DORA_ARENA_BYTES"):
        libc.map_shared(fd, 1 << 62, writable=True)
    os.close(fd)
