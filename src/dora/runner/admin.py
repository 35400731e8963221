"""The runner's admin socket: who asks about the run, and how answers reach them.

Strategy: part of the runner's own loop, and harmless to it.  Nothing here waits: an answer that does not fit into an
asker's socket is kept, and an asker who lets more than `MAX_WAITING` messages pile up is hung up on.  A connection
is nobody until its first message is a `Hello` of our version; at most `MAX_STRANGERS` of those are kept, the oldest
goes first, so that no clock is needed against connections that say nothing.  When descriptors run out, one is held
in reserve to accept and hang up with, so the loop never spins on a listener that cannot be served.

What a request means is the business of a desk: `desk.requests` is a table from the request's type to a function of
the request and the visitor, who is told the answer with `say`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from dora.errors import DoraError
from dora.hints import near_and_all
from dora.messages import runner_daemon as messages
from dora.runner.reactor import Reactor
from dora.transport import control

MAX_STRANGERS: Final = 32
MAX_VISITORS: Final = 64
MAX_WAITING: Final = 256
_ACCEPTS_AT_ONCE: Final = 16
_MESSAGES_AT_ONCE: Final = 16


class Refusal(DoraError):
    """A request that cannot be done; the asker is told."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def unknown_node(node: str, names: Iterable[str]) -> Refusal:
    """That there is no such node, with what was probably meant."""
    return Refusal(messages.UNKNOWN_NODE, f"there is no node `{node}` ({near_and_all(node, names, 'nodes')})")


class Visitor:
    """One connection; says what it is told to, as soon as the other side takes it."""

    def __init__(self, connection: socket.socket, server: AdminServer) -> None:
        self.socket: Final = connection
        self.fd: Final = connection.fileno()
        self.is_greeted = False
        self.outbox: Final[deque[tuple[bytes, tuple[int, ...]]]] = deque()
        self._server = server

    def say(self, message: messages.Reply, fds: tuple[int, ...] = ()) -> None:
        """Send a message, or keep it until it can be sent; the caller keeps its descriptors."""
        self._server.send(self, message, fds)


class Desk(Protocol):
    """Answers requests."""

    @property
    def requests(self) -> Mapping[type, Callable[[Any, Visitor], None]]:
        """What to do about each type of request; the function says the answer, or raises `Refusal`."""

    def forget(self, visitor: Visitor) -> None:
        """That visitor has left."""


class AdminServer:
    """All visitors of a run.

    Args:
        version: of dora, for `Welcome`.
    """

    def __init__(self, listener: socket.socket, reactor: Reactor, desk: Desk, *, version: str) -> None:
        self._listener = listener
        self._reactor = reactor
        self._desk = desk
        self._version = version
        self._visitors: dict[Visitor, None] = {}
        self._strangers: dict[Visitor, None] = {}
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        reactor.add_reader(listener.fileno(), self._accept)

    def send(self, visitor: Visitor, message: messages.Reply, fds: tuple[int, ...] = ()) -> None:
        """Send to one visitor; nothing happens when they have left."""
        if visitor.socket.fileno() < 0:
            return
        try:
            payload, fds, is_owned = _packed(message, fds)
        except OSError:  # there is no descriptor for a long answer
            self._hang_up(visitor)
            return
        try:
            if not visitor.outbox and self._try_send(visitor, payload, fds):
                return
            if len(visitor.outbox) >= MAX_WAITING:
                self._hang_up(visitor)
                return
            visitor.outbox.append((payload, tuple(os.dup(fd) for fd in fds)))
            self._reactor.add_writer(visitor.fd, partial(self._flush, visitor))
        except OSError:
            self._hang_up(visitor)
        finally:
            if is_owned:
                os.close(fds[0])

    def close(self) -> None:
        """Hang up on everybody; what was sent can still be read.  The listener stays its owner's."""
        self._reactor.remove_reader(self._listener.fileno())
        for visitor in [*self._visitors, *self._strangers]:
            self._hang_up(visitor)
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                self._turn_away()
                return
            connection.setblocking(False)
            visitor = Visitor(connection, self)
            self._strangers[visitor] = None
            self._reactor.add_reader(visitor.fd, partial(self._read, visitor))
            if len(self._strangers) > MAX_STRANGERS:
                self._hang_up(next(iter(self._strangers)))

    def _turn_away(self) -> None:
        """No descriptor is left: take one caller with the one in reserve, and hang up."""
        if self._reserve >= 0:
            os.close(self._reserve)
        with contextlib.suppress(OSError):
            self._listener.accept()[0].close()
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._reserve = -1

    def _read(self, visitor: Visitor) -> None:
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                payload, fds = control.receive(visitor.socket)
            except BlockingIOError:
                return
            except (DoraError, OSError):
                payload, fds = b"", []
            control.close_all(fds)  # no request brings any
            if not payload:
                self._hang_up(visitor)
                return
            self._take(visitor, payload)
            if visitor.socket.fileno() < 0:
                return

    def _take(self, visitor: Visitor, payload: bytes) -> None:
        try:
            request = messages.decode_request(payload)
        except (msgspec.MsgspecError, ValueError):
            self._refuse(visitor, Refusal(messages.NOT_UNDERSTOOD, "the runner does not know this request"))
            return
        if not visitor.is_greeted:
            self._greet(visitor, request)
            return
        try:
            act = self._desk.requests.get(type(request))
            if act is None:
                raise Refusal(messages.NOT_POSSIBLE, f"{type(request).__name__} is not possible now")
            act(request, visitor)
        except Refusal as refusal:
            visitor.say(messages.Refused(refusal.code, str(refusal)))

    def _greet(self, visitor: Visitor, hello: messages.Request) -> None:
        if not isinstance(hello, messages.Hello):
            self._refuse(visitor, Refusal(messages.NOT_UNDERSTOOD, "the first message must be Hello"))
            return
        fault = messages.version_fault(hello.version, hello.dora, self._version)
        if fault:
            self._refuse(visitor, Refusal(messages.WRONG_VERSION, fault))
        elif len(self._visitors) >= MAX_VISITORS:
            self._refuse(visitor, Refusal(messages.BUSY, f"{MAX_VISITORS} others are asking this run already"))
        else:
            self._strangers.pop(visitor, None)
            self._visitors[visitor] = None
            visitor.is_greeted = True
            visitor.say(messages.Welcome(messages.VERSION, self._version))

    def _refuse(self, visitor: Visitor, refusal: Refusal) -> None:
        visitor.say(messages.Refused(refusal.code, str(refusal)))
        self._hang_up(visitor)

    def _hang_up(self, visitor: Visitor) -> None:
        if visitor.socket.fileno() < 0:
            return
        self._visitors.pop(visitor, None)
        self._strangers.pop(visitor, None)
        self._reactor.remove_reader(visitor.fd)
        self._reactor.remove_writer(visitor.fd)
        for _, fds in visitor.outbox:
            control.close_all(fds)
        visitor.outbox.clear()
        visitor.socket.close()
        self._desk.forget(visitor)

    def _try_send(self, visitor: Visitor, payload: bytes, fds: tuple[int, ...]) -> bool:
        try:
            control.send(visitor.socket, payload, fds)
        except BlockingIOError:
            return False
        return True

    def _flush(self, visitor: Visitor) -> None:
        while visitor.outbox:
            payload, fds = visitor.outbox[0]
            try:
                if not self._try_send(visitor, payload, fds):
                    return
            except OSError:
                self._hang_up(visitor)
                return
            control.close_all(fds)
            visitor.outbox.popleft()
        self._reactor.remove_writer(visitor.fd)


def _packed(message: messages.Reply, fds: tuple[int, ...]) -> tuple[bytes, tuple[int, ...], bool]:
    """The datagram of a message, its descriptors, and whether the first of them is a memfd to close."""
    payload = messages.encode(message)
    if len(payload) <= messages.INLINE_BYTES:
        return payload, fds, False
    attached = messages.encode(messages.Attached(len(payload)))
    return attached, (control.memfd_of("dora-admin", payload), *fds), True
