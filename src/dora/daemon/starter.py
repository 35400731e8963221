"""Starts runners in the background, and learns how those ended that nobody watched.

Strategy: a runner is a child of the service but in a session of its own: it goes on when the service ends, however that
ends.  What it is to do goes through a memfd on its stdin: environments are long, and secrets stay out of `ps`.  It
leaves a record of its end in `records/`, which `take_records` reads and removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dora import env
from dora.messages import api
from dora.messages import runner_daemon as messages
from dora.transport import control, rendezvous

_PACKAGE_FOLDER: Final = str(Path(__file__).resolve().parent.parent.parent)
_CHILD: Final = (
    "import sys; sys.path[:] = [p for p in sys.path if p] + [sys.argv[1]]; from dora.cli.background import main; main()"
)
_NOT_FOR_RUNNERS: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)
_TAIL_BYTES: Final = 4000


class Order(NamedTuple):
    """A run to start."""

    dataflow_id: str
    name: str
    request: api.StartRequest


class Starter:
    """Starts runners.

    Args:
        base: the runtime directory of the service.
    """

    def __init__(self, base: str, environ: Mapping[str, str]) -> None:
        self._base = base
        self._environ = environ
        self._records = os.path.join(base, rendezvous.RECORDS_NAME)
        os.makedirs(self._records, 0o700, exist_ok=True)

    def start(self, order: Order) -> int:
        """Start the runner; returns its pid.

        Raises:
            OSError: its interpreter cannot be executed.
        """
        record = self._record_of(order.dataflow_id)
        request = api.encode(msgspec.structs.replace(order.request, environ=None)).decode()
        spec = {"dataflow_id": order.dataflow_id, "name": order.name, "record": record, "request": request}
        memfd = control.memfd_of("dora-order", json.dumps(spec).encode())
        try:
            os.lseek(memfd, 0, os.SEEK_SET)
            return self._spawn(memfd, _stderr_of(record), order.request)
        finally:
            os.close(memfd)

    def take_record(self, dataflow_id: str) -> messages.Ended | None:
        """How that run ended, if it has left a record; removes it."""
        record = self._record_of(dataflow_id)
        try:
            with open(record, "rb") as file:
                ended = messages.decode_record(file.read())
        except (OSError, msgspec.MsgspecError):
            return None
        self.forget(dataflow_id)
        return ended

    def last_words(self, dataflow_id: str) -> str:
        """The end of what a runner that left no record has said on stderr."""
        try:
            with open(_stderr_of(self._record_of(dataflow_id)), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def forget(self, dataflow_id: str) -> None:
        """Remove what is there of that run."""
        record = self._record_of(dataflow_id)
        for path in (record, _stderr_of(record)):
            with contextlib.suppress(OSError):
                os.remove(path)

    def recorded(self) -> list[str]:
        """The ids of the runs that have left something."""
        with contextlib.suppress(OSError):
            return sorted({name.partition(".")[0] for name in os.listdir(self._records)})
        return []

    def _record_of(self, dataflow_id: str) -> str:
        return os.path.join(self._records, f"{dataflow_id}.json")

    def _spawn(self, stdin: int, stderr: str, request: api.StartRequest) -> int:
        python = request.python or sys.executable
        os.makedirs(self._records, 0o700, exist_ok=True)
        actions = [
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        ]
        return os.posix_spawn(
            python,
            [python, "-c", _CHILD, _PACKAGE_FOLDER],
            self._environment(request),
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE),
        )

    def _environment(self, request: api.StartRequest) -> dict[str, str]:
        chosen = dict(self._environ if request.environ is None else request.environ)
        for name in _NOT_FOR_RUNNERS:
            chosen.pop(name, None)
        if self._base not in rendezvous.places_to_look(chosen):
            chosen[env.HOME] = self._base  # or it would not be found
        return chosen


def _stderr_of(record: str) -> str:
    return record.removesuffix(".json") + ".txt"
