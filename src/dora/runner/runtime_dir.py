"""The private directory of one run: its control socket, and a lock that tells others that it is alive.

Strategy: a directory `run-XXXXXXXX` (mode 0700) appears by rename with its lock file already locked (flock), so no
other process ever sees it without.  Runner and minder hold the same open lock; the kernel drops it when both
are dead, however they died.  Whoever then gets the lock in `sweep_stale` owns the remains: it kills the processes whose
DORA_NODE_CONFIG points into the directory and removes it.  The order of places is that of design.md, section 11.17.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Final

from dora import env
from dora.errors import ResourceError
from dora.runner import minder
from dora.transport.rendezvous import PREFIX, bases, make_base

UNFINISHED: Final = "new-"
UNFINISHED_AGE_S: Final = 60.0
SWEEP_PATIENCE_S: Final = 2.0
_EXECVE_S: Final = 0.1
"""how long a process may be without an environment because it is in the middle of execve(2)"""

_locks: dict[str, int] = {}
"""The open lock of each directory that this process created."""


def create_runtime_dir() -> str:
    """A fresh private directory for this run; the lock is held until `release_runtime_dir` or this process ends."""
    refused: list[str] = []
    for base in bases(os.environ):
        is_asked_for = bool(os.environ.get(env.HOME)) and not refused
        try:
            make_base(base, is_asked_for=is_asked_for)
            return _create_in(base)
        except OSError as error:
            refused.append(f"{base}: {error.strerror or error}")
            if is_asked_for:
                break
    raise ResourceError("no place for the runtime directory of this run; tried " + "; ".join(refused))


def lock_of(path: str) -> int | None:
    """The descriptor of the lock, for the minder to hold too."""
    return _locks.get(path)


def release_runtime_dir(path: str) -> None:
    """Remove the directory, if it is still there, and let go of its lock."""
    minder.remove_runtime_dir(path)
    lock = _locks.pop(path, None)
    if lock is not None:
        os.close(lock)


def sweep_stale() -> None:
    """Remove what runs of this user left whose runner and minder were killed at once, their processes included."""
    for base in bases(os.environ):
        try:
            entries = [entry for entry in os.scandir(base) if entry.stat(follow_symlinks=False).st_uid == os.geteuid()]
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(PREFIX):
                _sweep(entry.path)
            elif entry.name.startswith(UNFINISHED) and _age_s(entry) > UNFINISHED_AGE_S:
                minder.remove_tree(entry.path)


def _create_in(base: str) -> str:
    name = os.urandom(4).hex()
    unfinished, path = os.path.join(base, UNFINISHED + name), os.path.join(base, PREFIX + name)
    os.mkdir(unfinished, 0o700)
    lock = os.open(os.path.join(unfinished, minder.LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(unfinished, path)
        _locks[path] = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 10)
    except OSError:
        minder.remove_tree(unfinished)
        minder.remove_tree(path)
        raise
    finally:
        os.close(lock)
    return path


def _age_s(entry: os.DirEntry[str]) -> float:
    return time.time() - entry.stat(follow_symlinks=False).st_mtime


def _sweep(path: str) -> None:
    try:
        lock = os.open(os.path.join(path, minder.LOCK_NAME), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _kill_users_of(path)
        minder.remove_runtime_dir(path)
    except OSError:
        return  # alive, or somebody else sweeps it
    finally:
        os.close(lock)


def _kill_users_of(path: str) -> None:
    """SIGKILL to every process of ours whose DORA_NODE_CONFIG names a socket in `path`, until none is found."""
    started_s = time.monotonic()
    while time.monotonic() - started_s < SWEEP_PATIENCE_S:
        configs = {pid: minder.environment_value(pid, env.NODE_CONFIG) for pid in _own_processes()}
        users = [pid for pid, config in configs.items() if config and _names_socket_in(config, path)]
        in_execve = [pid for pid, config in configs.items() if config == b"" and _is_in_execve(pid)]
        if not users and not (in_execve and time.monotonic() - started_s < _EXECVE_S):
            return
        minder.kill_each([below for pid in users for below in [pid, *minder.descendants(pid)]])
        time.sleep(0.005)


def _own_processes() -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and os.stat(f"/proc/{name}").st_uid == os.geteuid() and int(name) != os.getpid():
                found.append(int(name))
        except OSError:
            continue
    return found


def _is_in_execve(pid: int) -> bool:
    """Whether a process without an environment will have one: a zombie and a kernel thread have no program."""
    try:
        return bool(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False


def _names_socket_in(config: bytes, path: str) -> bool:
    try:
        socket_path = json.loads(config)["socket"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(socket_path, str) and socket_path.startswith(path + "/")
