"""When a node must wake up by itself: its timers, and the time-outs of its inputs.

Strategy: one timerfd rings at whatever is due first; it is set anew when a tick was taken and when a silence begins or
ends.  The next tick stands in the counters page, too, where the runner sees a node that does not take its ticks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from dora.node.inputs import Input
from dora.node.silence import Silence
from dora.node.timers import AlarmClock, Timer

_NO_LIMIT: Final = 1 << 62


class Alarms:
    """Of one node.  The receive lock guards it.

    Args:
        inputs: all of the node's; those with an `input_timeout` are watched.
        next_tick: where the next tick is published.

    Attributes:
        timers: the timer inputs that are open.
        fd: readable when something is due; -1: nothing ever is.
    """

    def __init__(self, timers: Sequence[Timer], inputs: Collection[Input], next_tick: tuple[memoryview, int]) -> None:
        self.timers: Final = list(timers)
        self.fd = -1
        self._watched = [(source, source.silence) for source in inputs if isinstance(source.silence, Silence)]
        self._words, self._at = next_tick
        self._clock: AlarmClock | None = None

    def begin(self, start_ns: int) -> None:
        """The barrier is open: that is the origin of all ticks."""
        if not self.timers and not self._watched:
            return
        self._clock = AlarmClock()
        self.fd = self._clock.fd
        for timer in self.timers:
            timer.start(start_ns)
        self.set()

    def set(self) -> None:
        """Something that is due has changed."""
        due = min((timer.due_ns for timer in self.timers), default=0)
        self._words[self._at] = due
        if self._clock is not None:
            dues = [due or _NO_LIMIT, *(silence.due_ns for _, silence in self._watched if silence.due_ns)]
            self._clock.ring_at(min(dues))

    def due_timers(self, now_ns: int) -> list[Timer]:
        """Those that have a tick."""
        return [timer for timer in self.timers if timer.due_ns <= now_ns]

    def is_due(self, now_ns: int) -> bool:
        """Whether the time of an input is over, unless its sender has sent meanwhile."""
        return any(silence.due_ns and silence.due_ns <= now_ns for _, silence in self._watched)

    def look_for_silence(self, now_ns: int) -> list[str]:
        """The inputs on which nothing came for too long, since the last look."""
        if not self._watched:
            return []
        silent = [source.id for source, silence in self._watched if silence.look(now_ns, source.queued())]
        self.set()
        return silent

    def drop(self, input_ids: Collection[str]) -> None:
        """Nobody wants these any more."""
        self.timers[:] = [timer for timer in self.timers if timer.input not in input_ids]
        self._watched = [entry for entry in self._watched if entry[0].id not in input_ids]
        self.set()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._clock is not None:
            self._clock.close()
