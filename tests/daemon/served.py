"""A service that listens, in a thread of the test: what clients and commands speak to."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

from dora.daemon.access import AccessLayer
from dora.daemon.app import make_app
from dora.daemon.http_server import HttpServer
from dora.daemon.service import Service
from dora.daemon.store import Store
from dora.transport import control, rendezvous

PATIENCE_S = 20


class ServedService:
    """The service of a base, on its Unix socket and on a port of this machine.

    Attributes:
        port: where it listens besides.
    """

    def __init__(self, base: Path, token: str = "") -> None:
        self._base = base
        self._token = token
        self._unix = control.listen(str(base / rendezvous.SERVICE_SOCKET_NAME), kind=socket.SOCK_STREAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.bind(("127.0.0.1", 0))
        self._tcp.listen(16)
        self.port: int = self._tcp.getsockname()[1]
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._is_ready.wait(PATIENCE_S)

    def end(self) -> None:
        """It is gone, with its socket."""
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        (self._base / rendezvous.SERVICE_SOCKET_NAME).unlink(missing_ok=True)

    async def _serve(self) -> None:
        store = Store(str(self._base / "history.sqlite3"), lambda text: None)
        environ = {"DORA_HOME": str(self._base)}
        service = Service(str(self._base), environ, store, is_child_alive=lambda pid: False, end=self._leave)
        service.addresses.append(f"http://127.0.0.1:{self.port}")
        self._server = HttpServer(AccessLayer(make_app(service), self._token))
        await service.begin()
        self._is_ready.set()
        try:
            await self._server.serve([self._unix, self._tcp])
        finally:
            service.registry.close()
            store.close()

    def _leave(self) -> None:
        self._server.should_exit = True
