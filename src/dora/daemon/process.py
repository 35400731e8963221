"""The service as a process: one per user, from its lock to its last signal.

Strategy: the lock file says who the service is; the kernel lets go of it when the process is gone, however it went, so
the next one takes over without anything to repair: it removes the dead socket and finds the runs by theirs.  The
process reaps every child, so it may be PID 1 of a container.  SIGTERM ends the service, not the dataflows; as PID 1 it
stops them first, for the container ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import gc
import logging
import os
import resource
import secrets
import signal
import socket
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dora.daemon.access import AccessLayer
from dora.daemon.app import make_app
from dora.daemon.http_server import HttpServer
from dora.daemon.notify import Notifier
from dora.daemon.service import Service
from dora.daemon.store import Store
from dora.errors import DoraError, ResourceError
from dora.messages import api
from dora.runs.usage import is_alive
from dora.transport import control, rendezvous
from dora.transport.addresses import is_loopback, shown_address

_CHECK_S: Final = 10.0
_CONTAINER_GRACE_S: Final = 5.0
_FATES: Final = {False: "go on", True: "are stopped first: this is PID 1, with which everything ends"}

log: Final = logging.getLogger("dora.daemon")


class AlreadyRunningError(DoraError):
    """Another process is the service of this user.

    Attributes:
        pid: of that process, or 0.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(f"the service is already running (pid {pid})" if pid else "the service is already running")
        self.pid: Final = pid


@dataclass(frozen=True)
class ServiceOptions:
    """How the service is run.

    Attributes:
        listen: `(host, port)` besides the Unix socket; port 0: any.
        token: what clients over TCP must know; empty: made if one is needed.
        forgets: the history is put aside, and an empty one begun.
        is_quiet: no lines on stderr but warnings.
    """

    listen: tuple[str, int] | None = None
    token: str = ""
    needs_token: bool = False
    forgets: bool = False
    is_quiet: bool = False


def run_service(options: ServiceOptions, environ: Mapping[str, str]) -> None:
    """Be the service of this user, until a signal or a request ends it.

    Raises:
        AlreadyRunningError: another process is.
        ResourceError: there is no place for it, or the address is taken.
    """
    base = rendezvous.usable_base(environ)
    _raise_descriptor_limit()
    lock = _lock(os.path.join(base, rendezvous.SERVICE_LOCK_NAME))
    try:
        logging.basicConfig(
            stream=sys.stderr,
            level=logging.WARNING if options.is_quiet else logging.INFO,
            format="%(asctime)s %(levelname)s %(message)s",
        )
        asyncio.run(_Process(base, options, environ).run())
    finally:
        os.close(lock)


def _lock(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise AlreadyRunningError(int(text) if text.isdecimal() else 0) from None
    os.truncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


class _Process:
    """One life of the service."""

    def __init__(self, base: str, options: ServiceOptions, environ: Mapping[str, str]) -> None:
        self._base = base
        self._options = options
        self._environ = environ
        self._notifier = Notifier(environ)
        self._children: set[int] = set()
        self._path = os.path.join(base, rendezvous.SERVICE_SOCKET_NAME)

    async def run(self) -> None:
        """From the first socket to the last."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        store = self._open_store()
        service = Service(self._base, self._environ, store, is_child_alive=is_alive, end=self._end)
        token = self._token()
        sockets = []  # an address that is taken ends this before anybody finds the local socket
        if self._options.listen is not None:
            sockets.append(_listen(*self._options.listen))
            host, port = sockets[-1].getsockname()[:2]
            service.addresses.append(f"http://{shown_address(host, port)}")
        sockets.append(self._listen_local())
        self._server = HttpServer(AccessLayer(make_app(service), token))
        self._service = service
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._take_signal, signum)
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        await service.begin()
        gc.collect()
        gc.freeze()  # what is there now stays: so the garbage of connections is found often, and cheaply
        keeper = asyncio.ensure_future(self._keep_watch())
        where = ", ".join([self._path, *service.addresses])
        log.info("listening on %s; %d dataflows are running", where, len(service.registry.runs))
        self._notifier.tell("READY=1", f"STATUS=listening on {where}", f"MAINPID={os.getpid()}")
        try:
            await self._server.serve(sockets)
        finally:
            self._notifier.tell("STOPPING=1")
            keeper.cancel()
            service.registry.close()
            store.close()
            if self._owns_socket():
                os.unlink(self._path)

    def _open_store(self) -> Store:
        path = os.path.join(self._base, rendezvous.STORE_NAME)
        if self._options.forgets:
            with contextlib.suppress(OSError):
                os.replace(path, path + ".old")
        return Store(path, log.warning)

    def _listen_local(self) -> socket.socket:
        """The lock is ours, so a socket that is there is a dead one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        listener = control.listen(self._path, kind=socket.SOCK_STREAM)
        os.chmod(self._path, 0o600)
        self._inode = os.stat(self._path).st_ino
        return listener

    def _token(self) -> str:
        """The token of TCP clients: stated, or made once and kept beside the socket."""
        listen = self._options.listen
        if self._options.token or listen is None:
            return self._options.token
        if is_loopback(listen[0]) and not self._options.needs_token:
            return ""
        path = os.path.join(self._base, rendezvous.TOKEN_NAME)
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            known = file.read().strip()
            if known and not stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                return known
        token = secrets.token_urlsafe(32)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token + "\n")
        log.info("the token for clients on other machines is in %s", path)
        return token

    def _end(self) -> None:
        self._server.should_exit = True

    def _take_signal(self, signum: int) -> None:
        running = len(self._service.registry.runs)
        is_last = os.getpid() == 1
        log.info("ending by %s; %d dataflows %s", signal.Signals(signum).name, running, _FATES[is_last])
        if is_last and running:
            self._stopping = asyncio.ensure_future(self._stop_all())
        else:
            self._end()

    async def _stop_all(self) -> None:
        """PID 1 of a container: with us everything ends, so let it end well."""
        stop = api.StopRequest(grace_s=_CONTAINER_GRACE_S)
        runs = [self._service.stop(run, stop, "the container stops") for run in list(self._service.registry.runs)]
        await asyncio.gather(*runs, return_exceptions=True)
        self._end()

    def _reap(self) -> None:
        """Every child that has ended: our runners, and as PID 1 whatever was orphaned."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    async def _keep_watch(self) -> None:
        """Now and then: is the socket still ours (`/run/user` goes when the user logs out), and systemd's watchdog."""
        watchdog_s = self._notifier.watchdog_s
        seen_requests = 0
        while True:
            await asyncio.sleep(_CHECK_S if watchdog_s is None else min(_CHECK_S, watchdog_s / 2))
            if self._server.server_state.total_requests != seen_requests:
                seen_requests = self._server.server_state.total_requests
                _give_back_memory()
            if not self._owns_socket():
                log.warning("%s is gone or another service's: ending; dataflows go on", self._path)
                self._end()
            if watchdog_s is not None:
                self._notifier.tell("WATCHDOG=1")

    def _owns_socket(self) -> bool:
        try:
            return os.stat(self._path).st_ino == self._inode
        except OSError:
            return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        is_taken = error.errno == errno.EADDRINUSE
        hint = "another program has it; choose another port" if is_taken else "is it an address of this machine?"
        raise ResourceError(f"cannot listen on {shown_address(host, port)}: {error.strerror} ({hint})") from error
    listener.setblocking(False)
    return listener


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _give_back_memory() -> None:
    """What a crowd of clients has used, glibc keeps for the next one; there may be none for days."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
