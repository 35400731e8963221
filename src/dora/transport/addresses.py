"""Addresses of the service over TCP: how they are written, and which hosts are this machine."""

from __future__ import annotations

import socket
from typing import Final

DEFAULT_PORT: Final = 6013
_LOOPBACK_6: Final = bytes(15) + b"\1"


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, without asking a name server."""
    if host == "localhost":
        return True
    try:
        if ":" in host:
            return socket.inet_pton(socket.AF_INET6, host) == _LOOPBACK_6
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    except (OSError, ValueError):
        return False


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST` or `HOST:PORT`; an IPv6 address that has a port stands in brackets.

    Raises:
        ValueError: it has no host, or no port between 0 and 65535.
    """
    host, separator, port = text.rpartition(":")
    if not separator or (":" in host and not (host.startswith("[") and host.endswith("]"))) or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ValueError(f"{text!r}: expected HOST or HOST:PORT, for example 127.0.0.1:{DEFAULT_PORT}")
    return host, int(port)


def shown_address(host: str, port: int) -> str:
    """As `split_address` reads it."""
    return f"{f'[{host}]' if ':' in host else host}:{port}"
