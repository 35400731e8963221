"""Who is who among the processes of a run: the runner, its minder, and what nodes have left behind."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from end_to_end.running import Run, wait_until


def command_line(pid: int) -> list[str]:
    """The words of its command line; empty when it is gone."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def is_runner(pid: int) -> bool:
    """Whether it is a `dora run`."""
    return command_line(pid)[1:4] == ["-m", "dora", "run"]


def runner_pid(run: Run) -> int:
    """The `dora run` process itself, also when something else has started it."""

    def find() -> int | None:
        return next(filter(is_runner, run.pids()), None)

    return int(wait_until(find, what="dora run"))


def minder_pid(run: Run) -> int:
    """The minder of the run."""

    def find() -> int | None:
        return next((pid for pid in run.pids() if "import minder" in " ".join(command_line(pid))), None)

    return int(wait_until(find, what="the minder"))


def wait_all_gone(run: Run, timeout_s: float) -> float:
    """Wait until no process of the run lives, `dora run` included; returns how long that took, in seconds."""
    began_s = time.monotonic()
    wait_until(lambda: run.process.poll() is not None and not run.pids(), timeout_s, "the end of all processes")
    return time.monotonic() - began_s


def has_socket(pid: int) -> bool:
    """Whether it holds a socket; a node's only one is that to its runner."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                return True
    return False
