"""HTTP/1.1 to the service, over a Unix socket or TCP, one connection per request.

Strategy: h11 knows the protocol, this moves bytes.  The standard library's client takes 70 ms to import, half of what a
command may take; this takes 15.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import h11

from dora.control.failures import NoServiceError
from dora.errors import ConnectionLost
from dora.messages import api
from dora.transport import control
from dora.transport.addresses import shown_address

_BLOCK_BYTES: Final = 1 << 16
_CONNECT_S: Final = 5.0


class Address(NamedTuple):
    """Where a service listens: a Unix socket, or host and port with a token or "".

    Attributes:
        path: of the socket; "" for TCP.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    token: str = ""

    def __str__(self) -> str:
        return self.path or shown_address(self.host, self.port)


class Answer(NamedTuple):
    """A response whose body has not been read yet."""

    status: int
    body: Iterator[bytes]


class Exchange:
    """One request and its answer; a context that closes the connection.

    Raises:
        NoServiceError: nobody listens there.
    """

    def __init__(self, address: Address, timeout_s: float | None) -> None:
        self._address = address
        self._socket = _connect(address)
        self._socket.settimeout(timeout_s)
        self._http = h11.Connection(h11.CLIENT)

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, method: str, target: str, body: bytes | None) -> Answer:
        """Send the request and wait for the head of the answer.

        Raises:
            ConnectionLost: the service ended meanwhile, or takes longer than the time-out.
        """
        host = "dora" if self._address.path else str(self._address)
        headers = [("Host", host), (api.VERSION_HEADER, str(api.VERSION)), ("Connection", "close")]
        if self._address.token:
            headers.append(("Authorization", f"Bearer {self._address.token}"))
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        self._write(h11.Request(method=method, target=target, headers=headers))
        if body:
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())
        head = self._next()
        while isinstance(head, h11.InformationalResponse):
            head = self._next()
        if not isinstance(head, h11.Response):
            raise ConnectionLost(f"what listens on {self._address} is not the service of dora")
        return Answer(head.status_code, self._body())

    def _body(self) -> Iterator[bytes]:
        while isinstance(event := self._next(), h11.Data):
            yield bytes(event.data)

    def _write(self, event: Any) -> None:
        try:
            self._socket.sendall(self._http.send(event) or b"")
        except TimeoutError:
            raise ConnectionLost(f"the service on {self._address} does not answer") from None
        except OSError:
            pass  # it may have answered before it hung up

    def _next(self) -> Any:
        while True:
            try:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                self._http.receive_data(self._socket.recv(_BLOCK_BYTES))
            except TimeoutError:
                raise ConnectionLost(f"the service on {self._address} does not answer") from None
            except h11.RemoteProtocolError as error:
                raise ConnectionLost(f"the service on {self._address} ended in the middle of its answer") from error
            except OSError as error:
                raise ConnectionLost(f"the link to the service broke: {error.strerror}") from error


def lines_of(body: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a body, without their ends."""
    rest = b""
    for block in body:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _connect(address: Address) -> socket.socket:
    try:
        if address.path:
            return control.connect(address.path, kind=socket.SOCK_STREAM)
        return socket.create_connection((address.host, address.port), _CONNECT_S)
    except OSError as error:
        raise NoServiceError(
            f"no service answers on {address}: {error.strerror or error}", "`dora up` starts it on this machine"
        ) from None
