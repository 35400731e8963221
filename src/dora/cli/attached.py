"""`dora start --attach`: the logs of a dataflow as they come, until it ends or Ctrl-C stops it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

import click

from dora.cli.logs import print_run
from dora.control import Control
from dora.errors import DoraError
from dora.logs.formats import is_coloured, make_format
from dora.logs.places import Run
from dora.logs.reading import LogQuery, RunReader
from dora.messages import api
from dora.messages.runner_daemon import FAILED

_BUILD_S: Final = 1.0


def show_until_end(control: Control, info: api.DataflowInfo) -> int:
    """Show all that it logs; returns the exit code."""
    stopper = _Stopper(control, info)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stopper.take_signal)
    try:
        _follow(control, info)
    except _Killed:
        print("error: killed by a second Ctrl-C", file=sys.stderr)
        return 1
    info = control.dataflow(info.id, wait="ended")
    if info.state == FAILED:
        print(f"Dataflow {info.id} failed:\n{info.report}", file=sys.stderr)
        return 1
    if info.report:
        click.echo(info.report, err=True)
    return 0


def _follow(control: Control, info: api.DataflowInfo) -> None:
    while not info.log_dir and info.state not in api.ENDED:  # it is building
        info = control.dataflow(info.id, wait="started", timeout_s=_BUILD_S)
    if not info.log_dir:
        return
    run = Run(info.id, Path(info.log_dir), info.started_ns, info.name, info.file)
    shape = make_format(
        "pretty", is_coloured=is_coloured(os.environ, is_terminal=sys.stdout.isatty()), dataflow_id=info.id
    )
    reader = RunReader(run, LogQuery())
    try:
        print_run(reader, run, shape, follows=True)
    finally:
        reader.close()


class _Killed(Exception):
    """By a second Ctrl-C."""


class _Stopper:
    """Stops the dataflow while its logs are shown, which the first Ctrl-C does not disturb."""

    def __init__(self, control: Control, info: api.DataflowInfo) -> None:
        self._is_asked = False
        self._control = control
        self._info = info

    def take_signal(self, signum: int, frame: FrameType | None) -> None:
        """The first one stops it, on a thread, since the service answers when it is over; the second kills it."""
        if self._is_asked:
            self._control.stop(self._info.id, is_forced=True)
            raise _Killed
        self._is_asked = True
        os.write(2, b"stopping; Ctrl-C again kills it at once\n")  # print() may be interrupted in the middle of itself
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        try:
            self._control.stop(self._info.id)
        except DoraError as error:
            print(f"error: {error}", file=sys.stderr)
