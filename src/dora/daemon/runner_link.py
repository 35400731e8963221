"""The service's link to one runner, in its asyncio loop: requests with their answers, and news between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from dora.errors import ConnectionLost, DoraError, ProtocolError
from dora.messages import runner_daemon as messages
from dora.runs.framing import HELLO, RunnerRefused, unpack
from dora.transport import control

PATIENCE_S: Final = 5.0

T = TypeVar("T")
News = messages.Changed | messages.Ended


class RunnerLink:
    """One connection to a runner.

    Args:
        on_news: takes what a watched runner tells.
        on_lost: called once, when the runner has hung up.
    """

    def __init__(self, path: str, on_news: Callable[[News], None], on_lost: Callable[[], None]) -> None:
        self.path: Final = path
        self._on_news = on_news
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[messages.Reply]] = deque()
        self._socket = control.connect(path)  # a Unix socket: at once, or refused
        self._socket.setblocking(False)
        self._fd = self._socket.fileno()
        self._loop.add_reader(self._fd, self._read)

    @classmethod
    async def open(cls, path: str, on_news: Callable[[News], None], on_lost: Callable[[], None]) -> RunnerLink:
        """Connect and say hello.

        Raises:
            OSError: nobody listens there any more.
            RunnerRefused, ConnectionLost: it is of another version, or does not answer.
        """
        link = cls(path, on_news, on_lost)
        try:
            await link._exchange(HELLO, messages.Welcome)
        except BaseException:
            link.close()
            raise
        return link

    async def ask(self, request: messages.Request, kind: type[T]) -> T:
        """The answer to a request.

        Raises:
            RunnerRefused: the answer is no.
            ConnectionLost: the runner has ended, or does not answer in time.
        """
        return await self._exchange(messages.encode(request), kind)

    def close(self) -> None:
        """Hang up; nobody is told."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._fd = -1
        self._socket.close()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionLost("the runner of the dataflow has ended"))

    async def _exchange(self, payload: bytes, kind: type[T]) -> T:
        if self._fd < 0:
            raise ConnectionLost("the runner of the dataflow has ended")
        future: asyncio.Future[messages.Reply] = self._loop.create_future()
        try:
            control.send(self._socket, payload)
        except OSError as error:
            raise ConnectionLost("the runner of the dataflow takes no requests (is it stopped?)") from error
        self._waiting.append(future)
        try:
            reply = await asyncio.wait_for(asyncio.shield(future), PATIENCE_S)
        except asyncio.TimeoutError:
            raise ConnectionLost(f"the runner has not answered for {PATIENCE_S:g} s (is it stopped?)") from None
        if isinstance(reply, messages.Refused):
            raise RunnerRefused(reply.code, reply.message)
        if not isinstance(reply, kind):
            raise ProtocolError(f"expected {kind.__name__}, got {type(reply).__name__}")
        return reply

    def _read(self) -> None:
        while self._fd >= 0:
            try:
                payload, fds = control.receive(self._socket)
            except BlockingIOError:
                return
            except (DoraError, OSError):
                payload, fds = b"", []
            if not payload:
                self._lose()
                return
            try:
                arrived = unpack(payload, fds)
            except ProtocolError:
                self._lose()
                return
            control.close_all(arrived.fds)
            self._take(arrived.message)

    def _take(self, message: messages.Reply) -> None:
        if isinstance(message, messages.Changed | messages.Ended):
            self._on_news(message)
        elif self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(message)

    def _lose(self) -> None:
        self.close()
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._on_lost()
