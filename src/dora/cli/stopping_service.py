"""`dora down`: ends the service, also one that hangs, and with --force its dataflows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from typing import Final

import click

from dora.cli.targets import open_control
from dora.control import Control, DirectControl
from dora.control.service import PATIENCE_S
from dora.errors import DoraError
from dora.messages import api
from dora.messages.runner_daemon import BACKGROUND
from dora.runs.choosing import listed, shown_name
from dora.runs.usage import is_alive
from dora.transport import rendezvous

_PATIENCE_S: Final = 5.0
_HUNG_S: Final = 3.0
"""a service that says nothing for that long hangs, for those who want its end anyway"""
_LOOK_S: Final = 0.01
_WAYS_OUT: Final = (
    "hint: `dora stop --all` stops them, `dora down --force` kills them, "
    "`dora down --keep` ends the service alone and lets them go on"
)


def end_service(host: str | None, port: int | None, *, is_forced: bool, keeps_dataflows: bool = False) -> int:
    """End the service; returns the exit code."""
    control = open_control(host, port)
    ends_hung = (is_forced or keeps_dataflows) and host is None
    try:
        running = _background_runs(control, _HUNG_S if ends_hung else PATIENCE_S)
    except DoraError as error:
        if not ends_hung:
            raise
        click.echo(f"the service does not answer ({error}); ending its process", err=True)
        control = DirectControl()
        running = _background_runs(control, _HUNG_S)
    if running and not is_forced and not keeps_dataflows and isinstance(control, Control):
        many = "1 dataflow is" if len(running) == 1 else f"{len(running)} dataflows are"
        print(f"error: {many} running:\n{listed(running)}", file=sys.stderr)
        print(_WAYS_OUT, file=sys.stderr)
        return 1
    if is_forced and running:
        click.echo(f"Stopping {len(running)} running dataflow(s) before teardown...")
        for info in running:
            with contextlib.suppress(DoraError):
                control.stop(info.id, is_forced=True)
    if isinstance(control, DirectControl):
        return _without_service(running, ends_holder=is_forced or keeps_dataflows)
    pid = control.shut_down().pid
    if host is None and port is None:
        _wait_for_end(pid)
    click.echo(f"the dora service has ended (pid {pid})")
    if running and not is_forced:
        click.echo(f"{_named(running)} go on without it; `dora up` finds them again", err=True)
    return 0


def _named(running: list[api.DataflowInfo]) -> str:
    return f"{len(running)} dataflow(s) ({', '.join(map(shown_name, running))})"


def _background_runs(control: Control | DirectControl, timeout_s: float) -> list[api.DataflowInfo]:
    answer = control.dataflows(timeout_s=timeout_s) if isinstance(control, Control) else control.dataflows()
    infos = answer.dataflows
    return [info for info in infos if info.state not in api.ENDED and info.origin == BACKGROUND]


def _without_service(running: list[api.DataflowInfo], *, ends_holder: bool) -> int:
    """Nobody answers; with --force or --keep a process that holds the lock all the same is killed."""
    holder = _lock_holder()
    if holder and ends_holder:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder, signal.SIGKILL)
        _wait_for_end(holder)
        click.echo(f"killed the service (pid {holder}), which did not answer")
        return 0
    if holder:
        print(f"error: the service (pid {holder}) does not answer", file=sys.stderr)
        print("hint: `dora down --force` kills it; dataflows go on", file=sys.stderr)
        return 1
    click.echo("the dora service is not running")
    if running and not holder:
        click.echo(f"{_named(running)} run without it; `dora stop --all` stops them", err=True)
    return 0


def _lock_holder() -> int:
    """The process that is the service by its lock, or 0."""
    for base in rendezvous.places_to_look(os.environ):
        path = os.path.join(base, rendezvous.SERVICE_LOCK_NAME)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 32, 0).decode(errors="replace").strip()
            if text.isdecimal():
                return int(text)
        finally:
            os.close(fd)
    return 0


def _wait_for_end(pid: int) -> None:
    """Until that process is gone, so that an `up` that follows finds nothing of it."""
    due_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < due_s and is_alive(pid):
        time.sleep(_LOOK_S)
