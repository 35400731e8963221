"""A service that listens, in a thread of the test: what clients and commands speak to.

Strategy: a server says goodbye to everybody for 0.2 s; a test that has seen enough cuts it off.
"""

from __future__ import annotations

import asyncio
import contextlib
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
        with contextlib.suppress(RuntimeError):  # it was told to end, and has
            self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        (self._base / rendezvous.SERVICE_SOCKET_NAME).unlink(missing_ok=True)

    async def _serve(self) -> None:
        store = Store(str(self._base / "history.sqlite3"), lambda text: None)
        environ = {"DORA_HOME": str(self._base)}
        service = Service(str(self._base), environ, store, is_child_alive=lambda pid: False, end=self._leave)
        service.addresses.append(f"http://127.0.0.1:{self.port}")
        self._server = HttpServer(AccessLayer(make_app(service), self._token))
        await service.begin()
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.create_task(self._server.serve([self._unix, self._tcp]))
        while not self._server.started:
            await asyncio.sleep(0)
        self._is_ready.set()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        finally:
            self._cut_off()
            service.registry.close()
            store.close()

    def _cut_off(self) -> None:
        """Close what a cancelled server leaves open."""
        for server in self._server.servers:
            server.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    def _leave(self) -> None:
        self._server.should_exit = True
