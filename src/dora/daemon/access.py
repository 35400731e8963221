"""Who may use the service: its user, over the Unix socket; on TCP this machine, or who has the token.

Strategy: an ASGI layer in front of the application.  The Unix socket lies in a folder of mode 0700, so whoever reaches
it is the user.  A TCP socket that is not loopback always needs the token.  On loopback without a token a browser is the
danger: a page of another site may send requests to 127.0.0.1, so the `Host` must be this machine's and an `Origin`,
which pages cannot leave out or forge, must be our own.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from dora.daemon.app import problem_response
from dora.messages import api

_FREE: Final = ("/health",)


class AccessLayer:
    """Passes on what may be done.

    Args:
        token: of clients that come over TCP; empty: loopback clients need none.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            return
        fault = self._fault(HTTPConnection(scope))
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(1008)
        else:
            await problem_response(fault)(scope, receive, send)

    def _fault(self, request: HTTPConnection) -> api.Problem | None:
        if request.client is None or request.url.path in _FREE:  # a Unix socket
            return None
        if self._token:
            stated = request.headers.get("authorization", "")
            if hmac.compare_digest(stated.encode(), f"Bearer {self._token}".encode()):
                return None
            hint = "send `Authorization: Bearer TOKEN`; commands take it from DORA_AUTH_TOKEN"
            return api.Problem(code=api.WRONG_TOKEN, message="wrong or missing token", hint=hint)
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        if is_loopback(_host_of(f"//{host}")) and (origin is None or urlsplit(origin).netloc == host):
            return None
        message = "requests without a token must come from this machine, not from a page of another site"
        return api.Problem(code=api.WRONG_TOKEN, message=message)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
