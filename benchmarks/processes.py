"""Runs a command for a bounded time and leaves nothing behind.

Strategy: every run carries a token of its own in its environment, which all its descendants inherit, wherever they
put themselves; what still carries the token when the run is over is killed, process by process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TOKEN = "BENCH_RUN"


class Run(NamedTuple):
    """How a command went.

    Attributes:
        code: exit code, or None when it had to be killed.
        wall_s: from its start to its end.
        ended_s: when it ended, on CLOCK_MONOTONIC.
        output: what it printed on stdout and stderr.
        left_over: processes that were still there afterwards (now killed).
    """

    code: int | None
    wall_s: float
    ended_s: float
    output: str
    left_over: int

    def ending(self) -> str:
        """Exit code and last line, for a message."""
        return f"exit code {self.code}, last line {(self.output.strip().splitlines() or ['none'])[-1]!r}"


def run_bounded(
    command: list[str],
    environment: dict[str, str],
    folder: Path,
    *,
    timeout_s: float,
    meanwhile: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> Run:
    """Run `command` in `folder`; `meanwhile` is called once with the process, e.g. to signal it."""
    token = uuid.uuid4().hex
    log = folder / "output.txt"
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**environment, TOKEN: token},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            meanwhile(process)
            is_over = _ends_within(process, timeout_s)
        finally:
            end = time.monotonic()
            if process.poll() is None:
                process.kill()
            code = process.wait()
        left_over = kill_carriers(token)
    return Run(code if is_over else None, end - start, end, log.read_text(errors="replace"), left_over)


def _ends_within(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait, to the moment of its end: `process.wait(timeout_s)` looks only every 50 ms."""
    if process.poll() is not None:
        return True
    process_fd = os.pidfd_open(process.pid)
    try:
        return bool(select.select([process_fd], [], [], timeout_s)[0])
    finally:
        os.close(process_fd)


def kill_carriers(token: str, patience_s: float = 2.0) -> int:
    """Kill what carries the token; returns how many there were after waiting `patience_s` for them to go."""
    end = time.monotonic() + patience_s
    while (pids := carriers(token)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def carriers(token: str) -> list[int]:
    """The processes whose environment holds the token."""
    wanted = f"{TOKEN}={token}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found
