"""A link to the runner of a dataflow, for those who can wait: ask, get the answer, or watch until the end.

Usage:

    with RunnerLink.open(path) as link:
        run = link.ask(messages.Describe(), messages.Described)
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from types import TracebackType
from typing import Final, TypeVar

from dora.errors import ConnectionLost, ProtocolError
from dora.messages import node_runner
from dora.messages import runner_daemon as messages
from dora.runs.framing import HELLO, Arrived, RunnerRefused, unpack
from dora.transport import control, rendezvous

PATIENCE_S: Final = 5.0
"""a runner answers in a millisecond, unless it is stopped (SIGSTOP) or the machine is overloaded"""

_UNASKED: Final = (
    messages.Changed,
    messages.Ended,
    messages.TapEdge,
    messages.TapVerdict,
    node_runner.AddOutputEdge,
    node_runner.RemoveOutputEdge,
    messages.PublishOver,
)

T = TypeVar("T")


class RunnerLink:
    """One connection; not for several threads."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self.path: Final = path
        self._socket = connection
        self._news: deque[Arrived] = deque()

    @classmethod
    def open(cls, path: str) -> RunnerLink:
        """Connect to the runner whose admin socket is `path`.

        Raises:
            OSError: nobody listens there any more.
            RunnerRefused: it is of another version, or busy.
            ConnectionLost: it does not answer.
        """
        link = cls(control.connect(path), path)
        try:
            control.send(link._socket, HELLO)
            link._expect(messages.Welcome, PATIENCE_S)
        except BaseException:
            link.close()
            raise
        return link

    def fileno(self) -> int:
        """Readable when something has arrived."""
        return self._socket.fileno()

    def ask(self, request: messages.Request, kind: type[T], timeout_s: float = PATIENCE_S) -> T:
        """The answer to a request; descriptors that come with it are closed.

        Raises:
            RunnerRefused: the answer is no.
            ConnectionLost: the runner ended, or does not answer in time.
        """
        return self._ask(request, kind, timeout_s)[0]

    def ask_for_fds(
        self, request: messages.Request, kind: type[T], timeout_s: float = PATIENCE_S
    ) -> tuple[T, list[int]]:
        """As `ask`; the descriptors that come with the answer are the caller's."""
        return self._ask(request, kind, timeout_s, keeps_fds=True)

    def next_change(self, timeout_s: float | None) -> messages.Changed | messages.Ended | None:
        """After `Watch`: the next thing that happened, or None after `timeout_s`.

        Raises:
            ConnectionLost: the runner was killed: it ended without a word.
        """
        arrived = self.next_arrived(timeout_s)
        if arrived is None:
            return None
        control.close_all(arrived.fds)
        if not isinstance(arrived.message, messages.Changed | messages.Ended):
            raise ProtocolError(f"expected news from a runner, got {type(arrived.message).__name__}")
        return arrived.message

    def next_arrived(self, timeout_s: float | None) -> Arrived | None:
        """As `next_change`, for whatever comes unasked; its descriptors are the caller's."""
        return self._news.popleft() if self._news else self._receive(timeout_s)

    def close(self) -> None:
        """Hang up."""
        for arrived in self._news:
            control.close_all(arrived.fds)
        self._news.clear()
        self._socket.close()

    def __enter__(self) -> RunnerLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self, request: messages.Request, kind: type[T], timeout_s: float, *, keeps_fds: bool = False
    ) -> tuple[T, list[int]]:
        try:
            control.send(self._socket, messages.encode(request))
        except OSError as error:
            raise ConnectionLost("the runner of the dataflow has ended") from error
        arrived = self._expect(kind, timeout_s)
        if not keeps_fds:
            control.close_all(arrived.fds)
        message = arrived.message
        assert isinstance(message, kind)  # `_expect` has looked
        return message, arrived.fds

    def _expect(self, kind: type[object], timeout_s: float) -> Arrived:
        due_s = time.monotonic() + timeout_s
        while True:
            arrived = self._receive(max(0.0, due_s - time.monotonic()))
            if arrived is None:
                raise ConnectionLost(
                    f"the runner of the dataflow has not answered for {timeout_s:g} s (is it stopped?)"
                )
            if isinstance(arrived.message, kind):
                return arrived
            if isinstance(arrived.message, _UNASKED):
                self._news.append(arrived)
                continue
            control.close_all(arrived.fds)
            if isinstance(arrived.message, messages.Refused):
                raise RunnerRefused(arrived.message.code, arrived.message.message)
            raise ProtocolError(f"expected {kind.__name__}, got {type(arrived.message).__name__}")

    def _receive(self, timeout_s: float | None) -> Arrived | None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(None if timeout_s is None else timeout_s * 1000):
            return None
        try:
            payload, fds = control.receive(self._socket)
        except OSError as error:
            raise ConnectionLost(f"the link to the runner broke: {error.strerror}") from error
        if not payload:
            raise ConnectionLost("the runner of the dataflow has ended")
        return unpack(payload, fds)


def describe_all() -> tuple[list[tuple[str, messages.Described]], list[str]]:
    """All runs of this user that answer, each with its admin socket, and why others do not."""
    found: list[tuple[str, messages.Described]] = []
    faults: list[str] = []
    for path in rendezvous.admin_sockets(os.environ):
        try:
            with RunnerLink.open(path) as link:
                found.append((path, link.ask(messages.Describe(), messages.Described)))
        except OSError:
            continue  # dead: the next run sweeps its directory
        except (ConnectionLost, RunnerRefused, ProtocolError) as error:
            faults.append(f"{path}: {error}")
    return found, faults
