"""Edges and arenas as the runner makes them: sizes, seals, refusals."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from dora.errors import ResourceError
from dora.transport import pipes

F_GETPIPE_SZ = 1032
F_GET_SEALS = 1034


@contextlib.contextmanager
def limited(limit: int, value: int) -> Iterator[None]:
    """This process may use no more of that resource."""
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(limit, (soft, hard))


def test_record_is_64_bytes_long() -> None:
    assert pipes.RECORD.size == pipes.RECORD_BYTES == 64


@pytest.mark.parametrize(("queue_size", "pages"), [(1, 2), (10, 2), (64, 2), (65, 3), (1000, 17), (16320, 256)])
def test_pipe_has_one_page_more_than_its_queue_needs(queue_size: int, pages: int) -> None:
    assert pipes.queue_pipe_bytes(queue_size) == pages * pipes.PAGE


@pytest.mark.parametrize("queue_size", [1, 10, 63, 64, 65, 1000, pipes.MAX_QUEUE_SIZE])
def test_pipe_takes_a_whole_queue_at_any_fill(queue_size: int) -> None:
    edge = pipes.make_edge(queue_size)
    for _ in range(queue_size):
        os.write(edge.queue_write, bytes(64))
    for _ in range(pipes.PAGE // 64 + 1):  # the oldest may stand anywhere in its page
        os.read(edge.queue_read, 64)
        os.write(edge.queue_write, bytes(64))
    edge.close()


def test_ends_do_not_block_and_are_not_inherited() -> None:
    edge = pipes.make_edge(10)
    assert not any(os.get_blocking(fd) or os.get_inheritable(fd) for fd in edge)
    edge.close()


def test_queue_deeper_than_a_pipe_can_be_is_refused() -> None:
    with pytest.raises(ResourceError, match="queue_size 16321 is too deep: a queue holds at most 16320 messages"):
        pipes.make_edge(16321)


def test_edge_without_descriptors_names_the_limits() -> None:
    expected = r"cannot make a pipe for a queue of 10 messages: Too many open files .*ulimit -n"
    with pytest.raises(ResourceError, match=expected), limited(resource.RLIMIT_NOFILE, 0):
        pipes.make_edge(10)


def test_refused_pipe_size_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(pipes.fcntl, "fcntl", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ResourceError, match="pipe-user-pages-soft"):
        pipes.make_edge(10)
    assert os.listdir("/proc/self/fd") == before


def told_without_privileges(queues: int) -> str:
    """What a user whom pipe-user-pages-soft binds is told who makes so many of the deepest queues."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            for _ in range(queues):
                pipes.make_edge(pipes.MAX_QUEUE_SIZE)
        except Exception as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def test_pipe_size_that_the_kernel_refuses_is_one_clear_error() -> None:
    assert told_without_privileges(queues=100) == (
        "ResourceError: cannot make a pipe for a queue of 16320 messages: Operation not permitted "
        "(limits: `ulimit -n`, /proc/sys/fs/pipe-max-size, /proc/sys/fs/pipe-user-pages-soft)"
    )


def test_arena_is_sealed_against_resizing_and_nothing_else() -> None:
    fd, _ = pipes.make_arena()
    assert fcntl.fcntl(fd, F_GET_SEALS) == pipes.F_SEAL_SHRINK | pipes.F_SEAL_GROW
    os.close(fd)


def test_arena_costs_no_memory_before_it_is_used() -> None:
    fd, size = pipes.make_arena()
    assert (os.fstat(fd).st_size, os.fstat(fd).st_blocks) == (size, 0)
    os.close(fd)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, 1 << 36),
        ("not a number", 1 << 36),
        (str(1 << 30), 1 << 30),
        ("1", 1 << 24),
        ("-5", 1 << 24),
        (str(1 << 60), 1 << 38),
        (str((1 << 30) + 5), 1 << 30),
    ],
)
def test_arena_size_can_be_stated(text: str | None, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DORA_ARENA_BYTES", raising=False)
    if text is not None:
        monkeypatch.setenv("DORA_ARENA_BYTES", text)
    assert pipes.arena_bytes() == size


def test_arena_without_descriptors_names_the_limit() -> None:
    expected = r"cannot make shared memory for an output: Too many open files .*ulimit -n"
    with pytest.raises(ResourceError, match=expected), limited(resource.RLIMIT_NOFILE, 0):
        pipes.make_arena()


def test_arena_beyond_the_file_size_limit_names_it() -> None:
    expected = r"cannot size shared memory to \d+ bytes: File too large .*ulimit -f"
    with pytest.raises(ResourceError, match=expected), limited(resource.RLIMIT_FSIZE, 1 << 20):
        pipes.make_arena()
