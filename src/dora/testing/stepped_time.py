"""Time that does not pass: `time.sleep` and waiting for events move the clock of the node under test.

Strategy: while a harness is at work the functions of the `time` module answer from its clock, to the node's threads
only: threads that were there before (the test runner's own) keep the real time.  asyncio asks the same functions, and
its loop waits in a selector: one that moves the clock to the loop's next deadline or the next event takes its
place.  `datetime.now()` is C code and not reached; `node.timestamp()` and the metadata are on this clock.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from dora.errors import NodeError
from dora.node.schedule import Schedule, SteppedClock

NS_PER_S: Final = 1_000_000_000
START_NS: Final = 946_684_800 * NS_PER_S
"""the day on which every test begins: 2000-01-01 00:00 UTC"""
_OTHERS_S: Final = 0.001
_real_monotonic: Final = time.monotonic


class Patience:
    """Fails a test whose node does not end."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._end_s = _real_monotonic() + patience_s

    def check(self) -> None:
        """Raise if it is exhausted.

        Raises:
            NodeError: the node has been running for too long.
        """
        if _real_monotonic() > self._end_s:
            raise NodeError(
                f"the node under test still runs after {self._patience_s} s: expected it to end at STOP or when "
                "`next()` returns None"
            )


class SteppedTime:
    """Puts the clock of a schedule in the place of time, for this thread and those that it starts."""

    def __init__(self, clock: SteppedClock, schedule: Schedule, patience: Patience) -> None:
        self._clock = clock
        self._schedule = schedule
        self._patience = patience
        self._outsiders: set[int | None] = set()
        self._before: dict[str, Any] = {}
        self._selector: Any = None

    def __enter__(self) -> None:
        this = threading.get_ident()
        self._outsiders = {thread.ident for thread in threading.enumerate()} - {this}
        self._before = {name: getattr(time, name) for name in _FUNCTIONS}
        for name, make in _FUNCTIONS.items():
            setattr(time, name, self._for_the_node(make(self), self._before[name]))
        self._selector = selectors.DefaultSelector
        selectors.DefaultSelector = lambda: SteppingSelector(self)  # type: ignore[assignment, misc]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, function in self._before.items():
            setattr(time, name, function)
        selectors.DefaultSelector = self._selector  # type: ignore[misc]
        self._outsiders = {thread.ident for thread in threading.enumerate()}

    def _for_the_node(self, ours: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
        """What a module that did `from time import sleep` keeps; after the test it is the real one again."""

        def function(*arguments: Any) -> Any:
            return (real if threading.get_ident() in self._outsiders else ours)(*arguments)

        return function

    def now_ns(self) -> int:
        """Since the start of the node."""
        return self._clock.now_ns()

    def sleep(self, seconds: float) -> None:
        """Be so much later."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self._patience.check()
        self._clock.wait_until(self.now_ns() + round(seconds * NS_PER_S))

    def step(self, timeout_s: float | None) -> None:
        """Go to the end of a wait, or to the next event if that comes first."""
        self._patience.check()
        now_ns, due_ns = self.now_ns(), self._schedule.next_due_ns
        ends_ns = [] if timeout_s is None else [now_ns + max(1, round(timeout_s * NS_PER_S))]
        ends_ns += [due_ns] if due_ns is not None and due_ns > now_ns else []  # what is due already wakes nobody
        if not ends_ns:
            raise NodeError("the node under test waits for ever: nothing is left that could wake it")
        self._clock.wait_until(min(ends_ns))

    def has_other_threads(self) -> bool:
        """Whether the node has started threads, which may wake it."""
        return any(thread.ident not in self._outsiders for thread in threading.enumerate()[1:])


_FUNCTIONS: Final[Mapping[str, Callable[[SteppedTime], Callable[..., Any]]]] = {
    "time": lambda stepped: lambda: (START_NS + stepped.now_ns()) / NS_PER_S,
    "time_ns": lambda stepped: lambda: START_NS + stepped.now_ns(),
    "monotonic": lambda stepped: lambda: stepped.now_ns() / NS_PER_S,
    "monotonic_ns": lambda stepped: stepped.now_ns,
    "perf_counter": lambda stepped: lambda: stepped.now_ns() / NS_PER_S,
    "perf_counter_ns": lambda stepped: stepped.now_ns,
    "sleep": lambda stepped: stepped.sleep,
}


class SteppingSelector(selectors.DefaultSelector):
    """A selector whose time-outs pass at once."""

    def __init__(self, stepped: SteppedTime) -> None:
        super().__init__()
        self._stepped = stepped

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if nothing is, then after moving the clock."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._stepped.has_other_threads():
            ready = super().select(_OTHERS_S)
            if ready or timeout is None:
                return ready
        self._stepped.step(timeout)
        return super().select(0)
