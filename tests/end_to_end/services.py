"""Real services: the `dora` command in a world of its own, and what is left when it is over.

Strategy: `DORA_HOME` sets a world apart; every process that comes of it carries a token in its environment, so that all
of them are found and ended, whatever the test did.  Commands run in the process of the test, which takes a tenth of the
time of an interpreter for each; but not those that may start a service, whose parent must be gone as it is for users.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dora.cli.main import run_command
from end_to_end.running import PATIENCE_S, TOKEN, is_alive, variables_of, wait_until

TIMEOUT_S = 60.0
STARTING = {"up", "start", "restart"}
"""commands that may start a service"""


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str = ""


def run_here(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Done:
    """A command, run to its end in this process."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    before, here = dict(os.environ), os.getcwd()
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = run_command(list(words))
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (stdout, stderr)))


class World:
    """A folder with a dataflow, a home, and commands that know no other.

    Attributes:
        folder: where commands are typed.
        home: DORA_HOME.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Path(tempfile.mkdtemp(prefix="dora-svc-"))
        self._token = uuid.uuid4().hex
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DORA_")}
        self.environment = inherited | {"DORA_HOME": str(self.home), TOKEN: self._token, "NO_COLOR": "1"}

    def dora(self, *words: str) -> Done:
        """A command, run to its end; its stderr stands behind its stdout."""
        if words[0] in STARTING:
            return self.type(*words)
        done = run_here(words, self.folder, self.environment)
        return Done(done.returncode, done.stdout + done.stderr)

    def type(self, *words: str) -> Done:
        """A command, as it is typed, in a process of its own; its stderr goes where its stdout goes."""
        done = subprocess.run(
            [sys.executable, "-m", "dora", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        return Done(done.returncode, done.stdout)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command; its stderr goes where its stdout goes."""
        return self.begin_command([sys.executable, "-m", "dora", *words])

    def begin_command(self, command: list[str]) -> subprocess.Popen[str]:
        """Start something else in this world."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def says(self, *words: str) -> str:
        """What a command prints that must succeed."""
        done = self.dora(*words)
        assert done.returncode == 0, f"dora {' '.join(words)}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def pids(self) -> list[int]:
        """All living processes of this world."""
        pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]
        return [pid for pid in pids if variables_of(pid).get(TOKEN) == self._token and is_alive(pid)]

    def service_pid(self) -> int:
        """The process of the service, from its lock; 0 when there is none."""
        try:
            pid = int((self.home / "service.lock").read_text())
        except (OSError, ValueError):
            return 0
        return pid if is_alive(pid) else 0

    def end(self) -> list[str]:
        """End everything; returns what of it was not ended by `dora down --force`."""
        if self.service_pid():
            self.dora("down", "--force")
        elif self.pids():
            self.dora("stop", "--all", "--force")
        left: list[int] = []
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.pids(), PATIENCE_S)
        for pid in self.pids():
            left.append(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        remains = [path.name for path in self.home.glob("run-*")]
        shutil.rmtree(self.home, ignore_errors=True)
        return [f"process {pid}" for pid in left] + remains
