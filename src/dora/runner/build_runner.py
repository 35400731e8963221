"""Runs build jobs side by side, tells what they print, and ends them all when one fails or the user has enough.

Strategy: one loop over the reports of a minder and the output of the steps.  The minder is there for the same reason
as for nodes: a killed `dora` leaves no build behind.  A step is over when its process has ended; its group is gone by
then, and all that it printed is in the pipe.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dora.errors import NodeError
from dora.runner.build_plan import FAILED_COMMAND, Job, Step
from dora.runner.built import Listener
from dora.runner.processes import Exited, MinderGone, Processes, Report, Spawned, SpawnFailed, SpawnRequest
from dora.runner.runtime_dir import create_runtime_dir

TAIL_LINES: Final = 20
INTERRUPT_PATIENCE_S: Final = 1.0
_HINTS: Final = {
    "externally-managed-environment": "use --uv (an environment per node), or run dora from a virtual environment",
    "pip: command not found": "there is no pip for this Python; use --uv",
    "No module named pip": "there is no pip for this Python; use --uv",
    "(constraint) dora-rs==": (
        "that package asks for another dora-rs than the one that runs; use --uv, which overrules it"
    ),
    "No space left on device": "the disk is full: free space; `uv cache clean` empties uv's cache",
}
"""What a failed build prints, and what helps."""

MAX_LINE_BYTES: Final = 1 << 16


@dataclass
class _Active:
    """A job under way."""

    job: Job
    output: int = -1
    place: int = 0
    partial: bytes = b""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    @property
    def name(self) -> str:
        return self.job.names[0]

    @property
    def is_step_left(self) -> bool:
        return self.place < len(self.job.steps)

    @property
    def step(self) -> Step:
        return self.job.steps[self.place]


def run_jobs(jobs: Sequence[Job], listener: Listener, *, on_done: Callable[[Job], object]) -> None:
    """Run all of them, at most as many at once as there are processors.

    Raises:
        NodeError: one failed; those that ran beside it were ended, `on_done` was called for those that had succeeded.
    """
    if not jobs:
        return
    directory = create_runtime_dir()
    with Processes.start(directory) as processes:
        runner = _JobRunner(processes, directory, listener, on_done)
        try:
            runner.run(jobs)
        except BaseException:
            runner.interrupt()
            raise


class _JobRunner:
    def __init__(
        self, processes: Processes, directory: str, listener: Listener, on_done: Callable[[Job], object]
    ) -> None:
        self._processes = processes
        self._directory = directory
        self._listener = listener
        self._on_done = on_done
        self._active: dict[str, _Active] = {}
        self._waiting: deque[Job] = deque()
        self._done: list[Job] = []
        self._poll = select.poll()
        self._poll.register(processes, select.POLLIN)
        self._most = len(os.sched_getaffinity(0))

    def run(self, jobs: Sequence[Job]) -> None:
        """Until all are done; the order is kept but for jobs whose environment is being changed by another."""
        self._waiting.extend(jobs)
        while self._waiting or self._active:
            busy = {active.job.shared for active in self._active.values()} - {None}
            for job in list(self._waiting):
                if len(self._active) < self._most and job.shared not in busy:
                    self._waiting.remove(job)
                    busy |= {job.shared} - {None}
                    self._begin(job)
            self._wait()

    def interrupt(self) -> None:
        """Ctrl-C to all, as pip and compilers know it, and a moment for them to tidy up."""
        for name in self._active:
            self._processes.signal(name, signal.SIGINT)
        deadline_s = time.monotonic() + INTERRUPT_PATIENCE_S
        poll = select.poll()
        poll.register(self._processes, select.POLLIN)
        while self._active and (left_s := deadline_s - time.monotonic()) > 0:
            poll.poll(left_s * 1000)
            for report in self._processes.reports():
                if isinstance(report, Exited):
                    self._forget(report.name)
                elif isinstance(report, MinderGone):
                    deadline_s = 0.0
        for name in list(self._active):
            self._forget(name)

    def _begin(self, job: Job) -> None:
        active = _Active(job)
        self._active[active.name] = active
        for note in job.notes:
            self._listener.on_line(active.name, note)
        self._start_step(active)

    def _start_step(self, active: _Active) -> None:
        step = active.step
        for name in active.job.names:
            self._listener.on_state(name, step.state)
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        env = {**step.env, FAILED_COMMAND: self._failed_command_file(active)}
        try:
            self._processes.spawn(SpawnRequest(active.name, step.argv, env, active.job.cwd, write_end, write_end))
        finally:
            os.close(write_end)
            active.output = read_end
        self._poll.register(read_end, select.POLLIN)

    def _wait(self) -> None:
        ready = {fd for fd, _ in self._poll.poll()}
        for active in self._active.values():
            if active.output in ready:
                self._read(active)
        if self._processes.fileno() in ready:
            for report in self._processes.reports():
                self._take(report)

    def _take(self, report: Report) -> None:
        if isinstance(report, MinderGone):
            raise NodeError("the build was ended: the process that runs it was killed")
        active = self._active[report.name]
        if isinstance(report, SpawnFailed):
            self._forget(active.name)
            raise NodeError(f"node '{active.name}': {report.message}{self._fates()}")
        if isinstance(report, Spawned):
            return
        self._read(active)
        self._end_line(active)
        self._close_output(active)
        if report.code != 0:
            self._forget(active.name)
            raise NodeError(self._failure(active, report) + self._fates())
        if active.step.finish is not None:
            active.step.finish()
        active.place += 1
        while active.is_step_left and active.step.is_needed is not None and not active.step.is_needed():
            active.place += 1
        if active.is_step_left:
            self._start_step(active)
        else:
            self._forget(active.name)
            self._done.append(active.job)
            self._on_done(active.job)
            for name in active.job.names:
                self._listener.on_state(name, "")

    def _read(self, active: _Active) -> None:
        """All that is there; at the end of the output the descriptor leaves the poll."""
        while active.output >= 0:
            try:
                data = os.read(active.output, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self._close_output(active)
                return
            *lines, active.partial = (active.partial + data).split(b"\n")
            for line in lines:
                self._tell(active, line)
            if len(active.partial) > MAX_LINE_BYTES:
                self._end_line(active)

    def _end_line(self, active: _Active) -> None:
        if active.partial:
            self._tell(active, active.partial)
        active.partial = b""

    def _tell(self, active: _Active, line: bytes) -> None:
        text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")  # of a progress bar, the last state
        active.tail.append(text)
        self._listener.on_line(active.name, text)

    def _close_output(self, active: _Active) -> None:
        if active.output >= 0:
            self._poll.unregister(active.output)
            os.close(active.output)
            active.output = -1

    def _forget(self, name: str) -> None:
        active = self._active.pop(name, None)
        if active is not None:
            self._close_output(active)

    def _failed_command_file(self, active: _Active) -> str:
        return os.path.join(self._directory, f"failed-{active.name}")

    def _failure(self, active: _Active, report: Exited) -> str:
        """What the user reads: node, command, how it ended, the last lines, and advice where there is some."""
        tail = "".join(f"\n  {line}" for line in active.tail)
        if active.step.is_own:
            return f"node '{active.name}': {active.step.shown} failed{':' if tail else ''}{tail}"
        try:
            with open(self._failed_command_file(active), encoding="utf-8", errors="replace") as file:
                command = file.read()
        except OSError:
            command = active.step.shown
        if report.code is None:
            how = f"was ended by {signal.Signals(report.signum or 0).name}"
        else:
            how = f"returned exit status {report.code}"
        return f"node '{active.name}': build command `{command}` {how}{':' if tail else ''}{tail}{_advice(active.tail)}"

    def _fates(self) -> str:
        """What becomes of the builds beside one that failed."""
        kinds = [
            (self._done, "done"),
            ([active.job for active in self._active.values()], "ended with it"),
            (self._waiting, "not started"),
        ]
        parts = [f"{', '.join(name for job in jobs for name in job.names)} ({how})" for jobs, how in kinds if jobs]
        return f"\nother builds: {'; '.join(parts)}" if parts else ""


def _advice(tail: Sequence[str]) -> str:
    text = "\n".join(tail)
    return next((f"\nhint: {hint}" for sign, hint in _HINTS.items() if sign in text), "")
