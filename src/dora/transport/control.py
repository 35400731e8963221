"""The control socket: Unix SEQPACKET, one datagram per message, file descriptors beside it.

A path over 100 bytes does not fit into `sockaddr_un`; it is reached through a descriptor of its folder
(`/proc/self/fd/N/name`).  Received descriptors are close-on-exec from the first moment (MSG_CMSG_CLOEXEC).
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from dora.errors import ProtocolError, ResourceError

MAX_MESSAGE_BYTES: Final = 128 * 1024
"""larger payloads go in a memfd"""
MAX_FDS: Final = 200
_LONGEST_PATH: Final = 100
_FD_BYTES: Final = array.array("i").itemsize


class DescriptorsLost(ResourceError):
    """A message came, and there was no room in this process for its descriptors.

    Attributes:
        payload: of the message.
    """

    def __init__(self, payload: bytes) -> None:
        super().__init__("out of file descriptors while connecting a node: raise the limit (`ulimit -n`)")
        self.payload: Final = payload


def listen(path: str, *, kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> socket.socket:
    """A non-blocking listener at `path`."""
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        with _short(path) as short:
            listener.bind(short)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def connect(path: str, *, kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> socket.socket:
    """A blocking connection to the listener at `path`; OSError if there is none."""
    connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        with _short(path) as short:
            connection.connect(short)
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def send(connection: socket.socket, payload: bytes, fds: Iterable[int] = ()) -> None:
    """Send one message; the caller keeps its descriptors.

    Raises:
        BlockingIOError: the socket is non-blocking and full.
        OSError: the other side is gone.
    """
    packed = array.array("i", fds)
    if len(packed) > MAX_FDS or len(payload) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"control message of {len(payload)} bytes and {len(packed)} descriptors is too large")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)] if packed else []
    connection.sendmsg([payload], ancillary, socket.MSG_NOSIGNAL)


def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Receive one message and its descriptors, which the caller then owns; `b""` means EOF.

    Raises:
        BlockingIOError: the socket is non-blocking and empty.
        DescriptorsLost: this process has no room for the descriptors.
    """
    room = socket.CMSG_SPACE(MAX_FDS * _FD_BYTES)
    try:
        payload, ancillary, flags, _ = connection.recvmsg(MAX_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    except (ConnectionResetError, BrokenPipeError):
        return b"", []
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % _FD_BYTES])
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
        close_all(fds)
        if flags & socket.MSG_CTRUNC:
            raise DescriptorsLost(payload)
        raise ProtocolError(f"control message longer than {MAX_MESSAGE_BYTES} bytes")
    return payload, list(fds)


def close_all(fds: Iterable[int]) -> None:
    """Close what came with a message, or was kept for one."""
    for fd in fds:
        os.close(fd)


def memfd_of(name: str, payload: bytes) -> int:
    """A memfd that holds `payload`, to travel beside a message; the caller closes it."""
    memfd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        with open(memfd, "wb", closefd=False) as file:
            file.write(payload)
    except BaseException:
        os.close(memfd)
        raise
    return memfd
