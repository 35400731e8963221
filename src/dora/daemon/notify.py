"""Tells systemd how the service is (sd_notify(3)), where systemd has started it; nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """The socket that systemd listens on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog_us = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(watchdog_us) / 1e6 if watchdog_us.isdecimal() and is_ours and self._address else None
        """how often `WATCHDOG=1` is expected, or None"""

    def tell(self, *lines: str) -> None:
        """Send assignments such as `READY=1`; that nobody listens is no error."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as connection:
            connection.sendto("\n".join(lines).encode(), address)
