"""Who may use the service: its user, over the Unix socket; on TCP this machine, or who has the token.

Strategy: an ASGI layer in front of the application.  The Unix socket lies in a folder of mode 0700, so whoever reaches
it is the user.  A TCP socket that is not loopback always needs the token.  On loopback without a token a browser is the
danger: a page of another site may send requests to 127.0.0.1, so the `Host` must be this machine's and an `Origin`,
which pages cannot leave out or forge, must be our own.  Other users of the machine are refused, too, whoever they say
they are: the kernel knows whose a socket is.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from dora.daemon.app import problem_response
from dora.messages import api
from dora.transport.addresses import is_loopback

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
        if _is_of_another_user(request.client.host, request.client.port):
            message = "this service belongs to another user of this machine"
            return api.Problem(code=api.WRONG_TOKEN, message=message, hint="use your own: unset DORA_COORDINATOR_ADDR")
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        if is_loopback(_host_of(f"//{host}")) and (origin is None or urlsplit(origin).netloc == host):
            return None
        message = "requests without a token must come from this machine, not from a page of another site"
        return api.Problem(code=api.WRONG_TOKEN, message=message)


def _is_of_another_user(host: str, port: int) -> bool:
    """Whether the kernel says that a client on loopback is neither ours nor root's; what it does not say is allowed."""
    uid = client_uid(host, port)
    return uid is not None and uid not in (0, os.geteuid())


def client_uid(host: str, port: int) -> int | None:
    """Whose socket has that address on this machine (proc(5), /proc/net/tcp), or None."""
    try:
        address = ipaddress.ip_address(host)
        with open("/proc/net/tcp6" if address.version == 6 else "/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except (OSError, ValueError):
        return None
    words = [address.packed[at : at + 4][::-1] for at in range(0, len(address.packed), 4)]
    wanted = f"{b''.join(words).hex().upper()}:{port:04X}"
    return next((int(row[7]) for row in rows if row[1] == wanted and row[7].isdecimal()), None)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
