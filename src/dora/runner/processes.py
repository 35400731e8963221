"""The runner's side of the minder: ask for processes, hear how they fare, leave nothing behind.

Strategy: the minder (`minder.py`) is the parent of every node; here is only the link to it.  Requests are sent at once,
reports are read without blocking when `fileno()` is readable.  The runner is a child subreaper too: when the minder is
killed, what the nodes had started becomes the runner's child, and `kill_descendants` ends it.
"""

from __future__ import annotations

import array
import contextlib
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, NamedTuple, Union

from dora.errors import ResourceError
from dora.runner import minder, runtime_dir

SEND_PATIENCE_S: Final = 5
KILL_PATIENCE_S: Final = 2.0

_minder_pids: set[int] = set()
"""Minders of this process that nobody has waited for yet."""


class SpawnRequest(NamedTuple):
    """A process to start.

    Attributes:
        name: by which it is signalled and reported, a node id.
        env: its whole environment.
        cwd: absolute; made if missing.
        stdout_fd, stderr_fd: duplicated; the caller closes its own.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    stdout_fd: int
    stderr_fd: int
    cpu_affinity: tuple[int, ...] | None = None


class Spawned(NamedTuple):
    """The program runs (execve succeeded)."""

    name: str
    pid: int


class SpawnFailed(NamedTuple):
    """There is no such process; `message` is a sentence such as "cannot execute /x/y: Permission denied"."""

    name: str
    errno: int
    message: str


class Exited(NamedTuple):
    """The main process ended, by `code` or by `signum`, and all that it had started is gone."""

    name: str
    pid: int
    code: int | None
    signum: int | None


class MinderGone(NamedTuple):
    """The minder died; the nodes die with it, `kill_descendants` ends the rest.  Comes once, nothing after it."""


Report = Union[Spawned, SpawnFailed, Exited, MinderGone]

_REPORTS: Final[dict[str, Callable[..., Report]]] = {
    "spawned": Spawned,
    "spawn-failed": SpawnFailed,
    "exited": Exited,
}


class Processes:
    """All processes of one run, through its minder."""

    def __init__(self, link: socket.socket, minder_pid: int, directory: str, spared: frozenset[int]) -> None:
        self.minder_pid: Final = minder_pid
        self._link = link
        self._directory = directory
        self._spared = spared
        self._is_gone = False
        self._is_closed = False

    @classmethod
    def start(cls, directory: str) -> Processes:
        """Start the minder of the run whose runtime directory is `directory`; returns at once."""
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # as some supervisors leave it: nobody could be reaped
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        minder.raise_descriptor_limit()  # a runner has three per node, and one per output
        spared = frozenset(minder.children(os.getpid()))
        minder.prctl(minder.PR_SET_CHILD_SUBREAPER, 1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = _start_minder(theirs.fileno(), directory)
            except OSError as error:
                ours.close()
                raise ResourceError(f"cannot start {sys.executable}: {error.strerror}") from error
        _minder_pids.add(pid)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_PATIENCE_S, 0))
        return cls(ours, pid, directory, spared)

    def fileno(self) -> int:
        """Readable when `reports` has something."""
        return self._link.fileno()

    def spawn(self, request: SpawnRequest) -> None:
        """Start a process; `Spawned` or `SpawnFailed` follows."""
        env = {str(key): str(value) for key, value in request.env.items()}
        argv = [str(word) for word in request.argv]
        message = ("spawn", str(request.name), argv, env, request.cwd, request.cpu_affinity)
        self._send(message, [request.stdout_fd, request.stderr_fd])

    def signal(self, name: str, signum: int) -> None:
        """Send a signal to the process group of `name`, if it runs."""
        self._send(("signal", str(name), int(signum)))

    def kill(self, name: str) -> None:
        """SIGKILL to all of `name`: its group, its descendants, its orphans."""
        self._send(("kill", str(name)))

    def reports(self) -> list[Report]:
        """What has happened since the last call; never blocks."""
        found: list[Report] = []
        while not self._is_gone:
            try:
                payload = self._link.recv(minder.MAX_MESSAGE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except ConnectionError:
                payload = b""
            report = _decode(payload)
            found.append(report)
            self._is_gone = isinstance(report, MinderGone)
        return found

    def reap_strays(self) -> None:
        """Reap dead processes that became this one's children; as PID 1 of a container, those it started with too."""
        spared = frozenset() if os.getpid() == 1 else self._spared
        _reap(spared | _minder_pids)

    def close(self, timeout_s: float) -> None:
        """Have everything killed and the runtime directory removed, and wait for it; after `timeout_s` do it here."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
        if not self._wait_for_end(timeout_s):
            os.kill(self.minder_pid, signal.SIGKILL)
        _, status = os.waitpid(self.minder_pid, 0)
        _minder_pids.discard(self.minder_pid)
        self._link.close()
        if status != 0:
            kill_descendants(spared=self._spared)
        if not _minder_pids:
            minder.prctl(minder.PR_SET_CHILD_SUBREAPER, 0)  # orphans of others are init's again, not ours
        runtime_dir.release_runtime_dir(self._directory)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(KILL_PATIENCE_S)

    def _wait_for_end(self, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        while not self._is_gone:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            poll.poll(left_s * 1000)
            self.reports()
        return True

    def _send(self, message: tuple[Any, ...], fds: Iterable[int] = ()) -> None:
        """Send a request; a dead minder is told by `reports`, a minder that hangs is made a dead one."""
        fds = list(fds)
        payload = marshal.dumps(message)
        memfd = -1
        if len(payload) > minder.MAX_MESSAGE:
            memfd = os.memfd_create("request", os.MFD_CLOEXEC)
            os.truncate(memfd, len(payload))
            os.pwrite(memfd, payload, 0)
            fds.insert(0, memfd)
            payload = marshal.dumps(("memfd", len(payload)))
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._link.sendmsg([payload], ancillary, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionError):
            return
        except BlockingIOError:
            os.kill(self.minder_pid, signal.SIGKILL)
        except OSError as error:
            raise ResourceError(f"cannot ask for a process: {error.strerror}") from error
        finally:
            if memfd >= 0:
                os.close(memfd)


def _decode(payload: bytes) -> Report:
    """A report; nothing, and what no minder would say, is its end."""
    try:
        kind, *fields = marshal.loads(payload)
        return _REPORTS[kind](*fields)
    except (EOFError, ValueError, TypeError, LookupError):
        return MinderGone()


def _start_minder(link: int, directory: str) -> int:
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_DUP2, link, minder.LINK_FD),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    lock = runtime_dir.lock_of(directory)
    if lock is not None:
        actions.append((os.POSIX_SPAWN_DUP2, lock, minder.LOCK_FD))
    argv = [sys.executable, "-I", "-S", "-c", minder.BOOT, os.path.dirname(minder.__file__), directory]
    return os.posix_spawn(
        sys.executable,
        argv,
        os.environ,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGCHLD,),
    )


def kill_descendants(spared: frozenset[int] = frozenset()) -> None:
    """Kill and reap all that descends from this process, but for `spared` children and running minders."""
    spared = spared | _minder_pids
    deadline_s = time.monotonic() + KILL_PATIENCE_S
    while time.monotonic() < deadline_s:
        found = [child for child in minder.children(os.getpid()) if child not in spared]
        if not found:
            return
        minder.kill_each([pid for child in found for pid in [child, *minder.descendants(child)]])
        _reap(spared)
        time.sleep(0.002)


def _reap(spared: frozenset[int]) -> None:
    for child in minder.children(os.getpid()):
        if child not in spared:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)
