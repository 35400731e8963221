"""The control socket: messages whole, descriptors with them, long paths, hostile sizes."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.errors import ProtocolError, ResourceError
from dora.transport import control

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected ends."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ends
    for end in ends:
        end.close()


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("payload", [b"x", bytes(1000), bytes(control.MAX_MESSAGE_BYTES)])
def test_message_arrives_whole(pair: Pair, payload: bytes) -> None:
    control.send(pair[0], payload)
    assert control.receive(pair[1]) == (payload, [])


def test_messages_stay_apart(pair: Pair) -> None:
    control.send(pair[0], b"one")
    control.send(pair[0], b"two")
    assert [control.receive(pair[1])[0], control.receive(pair[1])[0]] == [b"one", b"two"]


def test_descriptors_come_with_their_message(pair: Pair) -> None:
    read, write = os.pipe()
    control.send(pair[0], b"x", [write])
    os.close(write)
    _, (received,) = control.receive(pair[1])
    os.write(received, b"through")
    assert os.read(read, 100) == b"through"
    os.close(received)
    os.close(read)


def test_sender_keeps_its_descriptors(pair: Pair) -> None:
    read, write = os.pipe()
    control.send(pair[0], b"x", [read, write])
    for fd in control.receive(pair[1])[1]:
        os.close(fd)
    os.write(write, b"still open")
    os.close(read)
    os.close(write)


def test_received_descriptors_are_not_inherited(pair: Pair) -> None:
    control.send(pair[0], b"x", [0, 1])
    _, fds = control.receive(pair[1])
    assert not any(os.get_inheritable(fd) for fd in fds)
    for fd in fds:
        os.close(fd)


def test_as_many_descriptors_as_allowed_arrive(pair: Pair) -> None:
    control.send(pair[0], b"x", [0] * control.MAX_FDS)
    _, fds = control.receive(pair[1])
    assert len(fds) == control.MAX_FDS
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize(("size", "fds"), [(control.MAX_MESSAGE_BYTES + 1, 0), (1, control.MAX_FDS + 1)])
def test_message_that_is_too_large_is_refused_with_its_size(pair: Pair, size: int, fds: int) -> None:
    with pytest.raises(ProtocolError, match=f"control message of {size} bytes and {fds} descriptors is too large"):
        control.send(pair[0], bytes(size), [0] * fds)


def test_message_longer_than_allowed_is_refused_and_leaks_nothing(pair: Pair) -> None:
    before = open_descriptors()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes(4))]
    pair[0].sendmsg([bytes(control.MAX_MESSAGE_BYTES + 1)], rights)
    with pytest.raises(ProtocolError, match=f"longer than {control.MAX_MESSAGE_BYTES} bytes"):
        control.receive(pair[1])
    assert open_descriptors() == before


def test_end_of_the_link_is_an_empty_message(pair: Pair) -> None:
    pair[0].close()
    assert control.receive(pair[1]) == (b"", [])


def test_link_that_was_reset_is_at_its_end(pair: Pair) -> None:
    pair[1].send(b"never read")
    pair[0].close()
    assert control.receive(pair[1]) == (b"", [])


def test_empty_non_blocking_socket_says_so(pair: Pair) -> None:
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        control.receive(pair[1])


def test_full_non_blocking_socket_says_so(pair: Pair) -> None:
    pair[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        any(control.send(pair[0], bytes(10_000)) for _ in range(10_000))


def test_no_room_for_descriptors_names_the_limit_and_leaks_nothing(pair: Pair) -> None:
    control.send(pair[0], b"x", [0] * 50)
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 10, hard))
    try:
        with pytest.raises(ResourceError, match=r"out of file descriptors .*raise the limit \(`ulimit -n`\)"):
            control.receive(pair[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_descriptors() == before


@pytest.mark.parametrize("length", [0, 50, 150])
def test_socket_is_reached_by_name_however_long_the_path(tmp_path: Path, length: int) -> None:
    folder = tmp_path / ("f" * length)
    folder.mkdir(exist_ok=True)
    listener = control.listen(str(folder / "nodes.sock"))
    connection = control.connect(str(folder / "nodes.sock"))
    accepted, _ = listener.accept()
    control.send(connection, b"hello")
    assert control.receive(accepted) == (b"hello", [])
    for end in (listener, connection, accepted):
        end.close()


def test_nobody_at_that_path_is_an_error_of_the_system(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match="No such file") as caught:
        control.connect(str(tmp_path / "nodes.sock"))
    assert caught.value.errno == errno.ENOENT
    assert open_descriptors() == before


def test_listener_that_cannot_be_made_leaves_nothing_open(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match="No such file"):
        control.listen(str(tmp_path / "missing" / "nodes.sock"))
    assert open_descriptors() == before
