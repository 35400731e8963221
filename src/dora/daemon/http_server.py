"""The HTTP server under the service: uvicorn, on sockets that are made elsewhere, with limits against bad clients.

Strategy: uvicorn answers nonsense and enforces sizes by itself; added here are the two things it has not: an idle
connection, or one that sends half a request, is closed after `PATIENCE_S`, and of too many the oldest idle one goes, so
that no crowd of silent clients uses up the descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE_S: Final = 5.0
MAX_CONNECTIONS: Final = 64
"""idle ones; those that wait for an answer are not counted"""
MAX_BUSY: Final = 1024
BACKLOG: Final = 256
"""callers that wait to be taken; also how many are taken at once"""
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_WEBSOCKET_BYTES: Final = 1 << 20
_LAST_PATIENCE_S: Final = 2


class _Protocol(H11Protocol):
    """One connection, which is closed when nothing whole arrives in time."""

    _idle: dict[_Protocol, None] = {}  # noqa: RUF012 - of all connections, on purpose

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(PATIENCE_S, self._close_if_idle)
        self._idle[self] = None
        if len(self._idle) > MAX_CONNECTIONS:
            next(iter(self._idle))._close_if_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._idle.pop(self, None)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._deadline.cancel()
        self._idle.pop(self, None)
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle[self] = None
        self._deadline.cancel()
        self._deadline = self.loop.call_later(PATIENCE_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """A request that is being answered goes on; its connection is looked at again afterwards."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._idle.pop(self, None)
            return
        self._idle.pop(self, None)
        self.transport.abort()


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling: the process around it decides when to end."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="websockets-sansio",
            ws_max_size=MAX_WEBSOCKET_BYTES,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=MAX_BUSY,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            timeout_keep_alive=int(PATIENCE_S),
            timeout_graceful_shutdown=_LAST_PATIENCE_S,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the business of `process.py`."""
        yield
