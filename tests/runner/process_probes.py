"""What the tests of processes look at: who lives, who is a zombie, what a process was given."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dora.runner import runtime_dir
from dora.runner.processes import Exited, MinderGone, Processes, Report, Spawned, SpawnFailed, SpawnRequest

PATIENCE_S = 10.0
ENVIRON = {"PATH": os.environ["PATH"]}


def wait_for(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Until `condition` holds."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def is_alive(pid: int) -> bool:
    """There is such a process, and it is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(*pids: int, timeout_s: float = PATIENCE_S) -> None:
    """Until none of `pids` lives."""
    for pid in pids:
        wait_for(lambda pid=pid: not is_alive(pid), timeout_s)


def zombies_below(pid: int) -> list[int]:
    """Dead children of `pid` that it has not waited for."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if not is_alive(int(child))]


class TestRun:
    """A run: its runtime directory, its minder, and the reports that came."""

    __test__ = False

    def __init__(self) -> None:
        self.directory = runtime_dir.create_runtime_dir()
        self.processes = Processes.start(self.directory)
        self.seen: list[Report] = []
        self.outputs: dict[str, int] = {}

    def spawn(
        self,
        name: str,
        *argv: str,
        env: dict[str, str] | None = None,
        cwd: str = "/",
        cpu_affinity: tuple[int, ...] | None = None,
    ) -> None:
        """Start a process, its stdout and stderr in one pipe."""
        read_end, write_end = os.pipe()
        self.outputs[name] = read_end
        env = ENVIRON | {"DORA_NODE_CONFIG": f'{{"socket": "{self.directory}/s", "node": "{name}"}}'} | (env or {})
        self.processes.spawn(SpawnRequest(name, argv, env, cwd, write_end, write_end, cpu_affinity))
        os.close(write_end)

    def shell(self, name: str, script: str, **options: object) -> None:
        """Start `sh -c script`."""
        self.spawn(name, "/bin/sh", "-c", script, **options)  # type: ignore[arg-type]

    def python(self, name: str, script: str, **options: object) -> None:
        """Start `python -c script`."""
        self.spawn(name, sys.executable, "-S", "-c", script, **options)  # type: ignore[arg-type]

    def next_report(self, kind: type, name: str | None = None) -> Report:
        """Wait for a report of that kind, of that node; it is taken off the list."""
        poll = select.poll()
        poll.register(self.processes, select.POLLIN)
        while True:
            for report in self.seen:
                if isinstance(report, kind) and name in (None, getattr(report, "name", None)):
                    self.seen.remove(report)
                    return report
            assert not any(isinstance(report, MinderGone) for report in self.seen), "the minder is dead"
            assert poll.poll(PATIENCE_S * 1000), f"no {kind.__name__} of {name} came, only {self.seen}"
            self.seen += self.processes.reports()

    def pid(self, name: str) -> int:
        """The process id of a node that was just started."""
        report = self.next_report(Spawned, name)
        assert isinstance(report, Spawned)
        return report.pid

    def exited(self, name: str) -> Exited:
        """How a node ended."""
        report = self.next_report(Exited, name)
        assert isinstance(report, Exited)
        return report

    def failed(self, name: str) -> SpawnFailed:
        """Why a node could not be started."""
        report = self.next_report(SpawnFailed, name)
        assert isinstance(report, SpawnFailed)
        return report

    def lines(self, name: str, count: int) -> list[str]:
        """The first `count` lines of output of a node."""
        text = b""
        while text.count(b"\n") < count:
            more = os.read(self.outputs[name], 65536)
            assert more, f"output of {name} ended: {text!r}"
            text += more
        return text.decode().splitlines()

    def output(self, name: str) -> str:
        """All output of a node, until nobody can write to it any more."""
        text = b""
        while more := os.read(self.outputs[name], 65536):
            text += more
        return text.decode()

    def close(self) -> None:
        """End the run and hold that nothing is left of it."""
        self.processes.close(PATIENCE_S)
        for fd in self.outputs.values():
            os.close(fd)
        assert not os.path.exists(self.directory)
        assert not is_alive(self.processes.minder_pid)
