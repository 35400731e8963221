"""Says what `dora run` waits for and for how long, while it builds, starts and stops.

Strategy: the caller tells phases and the state of each node, and calls `tick` with the time; the text is a
pure function of that.  On a terminal the text becomes the console's status line; elsewhere it becomes a plain
line on stderr, the first after some seconds, so that a quick run stays silent.  Quiet: nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

BUILDING: Final = "building"
STARTING: Final = "starting"
STOPPING: Final = "stopping"

NOT_STARTED: Final = "not started"
IMPORTING: Final = "importing"

LIVE_FIRST_S: Final = 1.0
LIVE_EVERY_S: Final = 0.25
PLAIN_FIRST_S: Final[Mapping[str, float]] = {BUILDING: 5.0, STARTING: 5.0, STOPPING: 2.0}
PLAIN_EVERY_S: Final = 10.0
MOST_NAMED: Final = 6

_HEADS: Final[Mapping[str, str]] = {
    BUILDING: "building ",
    STARTING: "starting: waiting for ",
    STOPPING: "stopping: waiting for ",
}
LIVE_TAILS: Final[Mapping[str, str]] = {STOPPING: "; Ctrl-C kills at once"}
"""what the user can do meanwhile, on a terminal"""


class Wait(NamedTuple):
    """A node that is waited for.

    Attributes:
        state: a word such as "importing", or "" when the phase says it all.
        since_s: start of that state; None: no time is shown.
    """

    node: str
    state: str = ""
    since_s: float | None = None


class ProgressSink(Protocol):
    """What shows the text; `Console` does."""

    def status(self, text: str | None) -> None: ...
    def note(self, text: str) -> None: ...


def describe(phase: str, waits: Sequence[Wait], now_s: float) -> str:
    """What is going on, "" when nothing is waited for.

    For example "starting: waiting for camera (importing, 12 s), plot (not started)".
    """
    if not waits:
        return ""
    named = [_describe_wait(wait, now_s) for wait in waits[:MOST_NAMED]]
    if len(waits) > MOST_NAMED:
        named.append(f"{len(waits) - MOST_NAMED} more")
    return _HEADS[phase] + ", ".join(named)


def _describe_wait(wait: Wait, now_s: float) -> str:
    parts = [wait.state] if wait.state else []
    if wait.since_s is not None:
        parts.append(_duration(now_s - wait.since_s))
    return f"{wait.node} ({', '.join(parts)})" if parts else wait.node


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(int(seconds), 0), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """The phases of one run.

    Args:
        is_live: stderr is a terminal that can redraw a line.
    """

    def __init__(self, sink: ProgressSink, *, is_live: bool, is_quiet: bool = False) -> None:
        self._sink = sink
        self._is_live = is_live
        self._is_quiet = is_quiet
        self._phase: str | None = None
        self._waits: dict[str, Wait] = {}
        self._next_s = 0.0

    def begin(self, phase: str, now_s: float) -> None:
        """A phase begins; nobody is waited for yet.  All times are seconds on one monotonic clock."""
        self._phase = phase
        self._clear()
        self._next_s = now_s + (LIVE_FIRST_S if self._is_live else PLAIN_FIRST_S[phase])

    def wait_for(self, node: str, state: str, now_s: float) -> None:
        """`node` is waited for and is in this state now; the time is kept when the state stays the same."""
        known = self._waits.get(node)
        if known is None or known.state != state:
            self._waits[node] = Wait(node, state, None if state == NOT_STARTED else now_s)

    def done(self, node: str) -> None:
        """`node` is not waited for any more."""
        self._waits.pop(node, None)
        if not self._waits:
            self._clear()

    def end(self) -> None:
        """Nothing is waited for any more; the status line goes away."""
        self._phase = None
        self._clear()

    def next_tick_s(self) -> float | None:
        """When `tick` has something to do next, or None."""
        return self._next_s if self._phase is not None and self._waits and not self._is_quiet else None

    def tick(self, now_s: float) -> None:
        """Say who is waited for, if it is time to."""
        due_s = self.next_tick_s()
        if self._phase is None or due_s is None or now_s < due_s:
            return
        text = describe(self._phase, list(self._waits.values()), now_s)
        if self._is_live:
            self._sink.status(text + LIVE_TAILS.get(self._phase, ""))
        else:
            self._sink.note(text)
        self._next_s = now_s + (LIVE_EVERY_S if self._is_live else PLAIN_EVERY_S)

    def _clear(self) -> None:
        self._waits.clear()
        if self._is_live:
            self._sink.status(None)
