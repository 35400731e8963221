"""Finds the service: the one that is named, else that of this user on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

from dora.control.direct import DirectControl
from dora.control.failures import NoServiceError
from dora.control.http import Address
from dora.control.service import Control
from dora.transport import control, rendezvous
from dora.transport.addresses import is_loopback, split_address

TOKEN: Final = "DORA_AUTH_TOKEN"


def connect(address: str | None = None, *, token: str | None = None) -> Control | DirectControl:
    """A client of the service; where none runs and no address is given, one that asks the runs themselves.

    Args:
        address: `HOST`, `HOST:PORT` or the path of a Unix socket; None: the service of this user on this machine.
        token: for an address on another machine; None: DORA_AUTH_TOKEN.

    Raises:
        NoServiceError: nobody listens at the address.
    """
    try:
        return connect_to_service(address, token=token)
    except NoServiceError:
        if address is not None:
            raise
        return DirectControl()


def connect_to_service(address: str | None = None, *, token: str | None = None) -> Control:
    """As `connect`, but never without a service.

    Raises:
        NoServiceError: there is none.
    """
    if address is None:
        path = find_socket(os.environ)
        if path is None:
            raise NoServiceError("the service is not running", "start it with `dora up`")
        return Control(Address(path=path))
    stated = os.environ.get(TOKEN, "") if token is None else token
    parsed = _parse(address, stated)
    own = None if stated or parsed.path else _own_service_at(parsed)
    if own is not None:
        return own
    found = Control(parsed)
    found.service()
    return found


def _own_service_at(address: Address) -> Control | None:
    """The service of this user if it is that which listens there: over its own socket it asks for no token.

    A token that lies in the runtime directory is sent nowhere by itself: another user may have the port.
    """
    path = find_socket(os.environ) if is_loopback(address.host) else None
    if path is None:
        return None
    control = Control(Address(path=path))
    ports = [listening.rpartition(":")[2] for listening in control.service().addresses]
    return control if str(address.port) in ports else None


def find_socket(environ: Mapping[str, str]) -> str | None:
    """The socket of this user's service, or None when nobody listens."""
    for base in rendezvous.places_to_look(environ):
        path = os.path.join(base, rendezvous.SERVICE_SOCKET_NAME)
        try:
            if os.stat(path).st_uid != os.geteuid():
                continue
            control.connect(path, kind=socket.SOCK_STREAM).close()
        except OSError:
            continue
        return path
    return None


def _parse(text: str, token: str) -> Address:
    if "/" in text and "://" not in text:
        return Address(path=text)
    wrong = NoServiceError(f"{text!r} is no address", "expected HOST, HOST:PORT or the path of a socket")
    try:
        host, port = split_address(text.rpartition("://")[2].rstrip("/"))
    except ValueError:
        raise wrong from None
    if not port:
        raise wrong
    return Address(host=host, port=port, token=token)
