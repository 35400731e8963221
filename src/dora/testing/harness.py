"""Runs a node or an operator on a list of events, without a dataflow, a process or a socket.

    result = NodeHarness("doubler.py").run([("tick", [21])])
    assert result.outputs["doubled"][0].to_pylist() == [42]

Strategy: the program runs in this very process, so that a debugger and coverage see it, and `from dora import Node`
inside it is the real class over a session of `dora.node.standalone_session`.  What it may change (environment,
arguments, path, current folder, stdout, logging handlers) is put back afterwards.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from dora.errors import NodeError
from dora.node.receiver import Taken
from dora.node.schedule import Clock, RealClock, Schedule, SteppedClock
from dora.node.standalone import standing_in
from dora.node.standalone_session import StandaloneConfig, StandaloneSession
from dora.testing.inputs import NS_PER_S, Item, timed_events, with_end
from dora.testing.programs import Program, run_program
from dora.testing.result import Result, Screen, Sent, sort_lines
from dora.testing.settings import NodeSettings
from dora.testing.stepped_time import START_NS, Patience, SteppedTime

Respond = Callable[[Sent], Iterable[Item] | None]
_DEFAULT: Final = NodeSettings()
_POLL_S: Final = 0.001
_MOST_ENDS: Final = 1000


class NodeHarness:
    """Puts a node or operator under test.

    Args:
        program: the path of a script (or of a file with a class `Operator`), a function that makes its own `Node` or
            takes one, also a coroutine function, or an operator class.
        settings: who the node is, and what it finds around it.
    """

    def __init__(self, program: Program, settings: NodeSettings = _DEFAULT) -> None:
        self._program = program
        self._settings = settings

    def run(
        self,
        events: Iterable[Item] = (),
        *,
        timers: Mapping[str, float] | None = None,
        stop_at_s: float | None = None,
        respond: Respond | None = None,
    ) -> Result:
        """Run the node from its start to its end.

        Args:
            events: what it receives, in order: `(input_id, data)`, `(input_id, data, metadata)`, `at(seconds, ...)` for
                a time, or whole event dicts.  Data is what `send_output` takes, or a plain Python value.  After the
                last one the inputs close and STOP comes, unless there is a STOP.
            timers: by input, the seconds between two ticks; they end with STOP.
            stop_at_s: when STOP (MANUAL) comes, in seconds since the start.
            respond: called with each message that the node sends; what it returns comes next.

        Returns:
            What it sent, logged and printed.

        Raises:
            Exception: whatever the node raised and did not catch.
            RuntimeError: it did not end.
        """
        timed = with_end(timed_events(events), has_timers=bool(timers), stop_at_s=stop_at_s)
        clock: Clock = RealClock() if self._settings.is_clock_real else SteppedClock()
        schedule = Schedule(timed, clock)
        end_ns = max(due_ns for due_ns, _ in timed)
        for input_id, period_s in (timers or {}).items():
            schedule.add_timer(input_id, _period_ns(input_id, period_s), end_ns)
        return _run(self._program, self._settings, schedule, respond)


class _Source:
    """The schedule, watched so that no test hangs, and moved on where a node polls without waiting."""

    def __init__(self, schedule: Schedule, patience: Patience) -> None:
        self._schedule = schedule
        self._patience = patience
        self._polls = 0
        self._ends = 0

    def take(self) -> Taken:
        """The next event if it is due."""
        self._patience.check()
        taken = self._schedule.take()
        if taken is None:
            self._polls += 1
            if self._polls > 1:
                self._schedule.wait(_POLL_S)
        elif isinstance(taken, dict):
            self._polls = 0
        else:
            self._ends += 1
            if self._ends > _MOST_ENDS:
                raise NodeError("the node under test goes on asking for events after their end, expected it to end")
        return taken

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the next event."""
        self._patience.check()
        self._polls = 0
        return self._schedule.wait(timeout_s)

    def fileno(self) -> int:
        """A descriptor to wait on."""
        return self._schedule.fileno()

    def close(self) -> None:
        """The node let go of it; a second `Node()` goes on where the first one ended."""
        self._schedule.close()


class _Sink:
    """Keeps what is sent, and lets the test answer."""

    def __init__(self, schedule: Schedule, result: Result, respond: Respond | None) -> None:
        self._schedule = schedule
        self._result = result
        self._respond = respond

    def take(self, output: str, value: Any, metadata: dict[str, Any]) -> None:
        """One message."""
        now_ns = self._schedule.clock.now_ns()
        sent = Sent(output, value, metadata, now_ns / NS_PER_S)
        self._result.sent.append(sent)
        answers = self._respond(sent) if self._respond is not None else None
        for due_ns, event in timed_events(answers or (), now_ns):
            self._schedule.add(due_ns, event)

    def close(self) -> None:
        """Nothing has to be given back."""


class _MessageClock:
    """Timestamps on the clock of the test."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ns(self) -> int:
        """Since 1970."""
        return START_NS + self._clock.now_ns()

    def observe(self, received_ns: int) -> None:
        """There is only one clock."""


def _session(settings: NodeSettings, source: _Source, sink: _Sink, clock: Clock) -> StandaloneSession:
    config = StandaloneConfig(
        settings.node_id,
        settings.dataflow_id,
        settings.node_config or {"inputs": {}, "outputs": list(settings.outputs or ())},
        settings.outputs,
        settings.restart_count,
        settings.dataflow_descriptor,
    )
    return StandaloneSession(config, source, sink, None if settings.is_clock_real else _MessageClock(clock))


def _run(program: Program, settings: NodeSettings, schedule: Schedule, respond: Respond | None) -> Result:
    result = Result()
    clock = schedule.clock
    patience = Patience(settings.patience_s)
    source, sink = _Source(schedule, patience), _Sink(schedule, result, respond)
    screen = Screen(sys.stdout)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_surroundings(settings))
        stack.enter_context(contextlib.redirect_stdout(screen))
        stack.enter_context(standing_in(lambda: _session(settings, source, sink, clock)))
        if isinstance(clock, SteppedClock):
            stack.enter_context(SteppedTime(clock, schedule, patience))
        result.exit_code = run_program(program, settings.args)
    result.logs, result.printed = sort_lines(screen.text)
    result.untaken = [dict(event) for event in schedule.left()]
    result.ran_s = clock.now_ns() / NS_PER_S
    return result


@contextlib.contextmanager
def _surroundings(settings: NodeSettings) -> Iterator[None]:
    """What the node finds, and what it changes, put back afterwards."""
    environ, folder = dict(os.environ), os.getcwd()
    root = logging.getLogger()
    handlers, level, basic_config = list(root.handlers), root.level, logging.basicConfig
    os.environ.update(settings.env)
    try:
        if settings.working_dir is not None:
            os.chdir(settings.working_dir)
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.basicConfig = basic_config


def _period_ns(input_id: str, period_s: float) -> int:
    if isinstance(period_s, bool) or not isinstance(period_s, (int, float)) or not 1e-9 <= period_s < float("inf"):
        raise ValueError(f"timer {input_id!r}: expected the seconds between two ticks, found {period_s!r}")
    return round(period_s * NS_PER_S)
