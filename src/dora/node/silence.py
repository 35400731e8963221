"""`input_timeout`: an input on which nothing came for too long counts as closed until something comes again.

Strategy: as with timers, a due time in the node's own wait.  When the sender last sent stands in the counters page, so
only the first message and the one after a silence cost anything; the alarm looks there and goes on to the next due
time.  Messages that wait because the node is busy are no silence, nor is time in which nobody ran (suspend, SIGSTOP):
an alarm that is heard more than a second late begins once more.
"""

from __future__ import annotations

from typing import Final

from dora.transport.counters import EDGE_LAST_SEND_NS

_LATE_NS: Final = 1_000_000_000


class Silence:
    """Watches one input.  The node's receive lock guards it.

    Attributes:
        due_ns: when to look next, CLOCK_MONOTONIC; 0: before the first message, and during a silence.
        is_silent: INPUT_CLOSED was given because of it.
    """

    __slots__ = ("_at", "_is_late", "_timeout_ns", "_words", "due_ns", "is_silent")

    def __init__(self, timeout_ns: int, words: memoryview) -> None:
        self._timeout_ns = timeout_ns
        self._words = words
        self._at = -1
        self._is_late = False
        self.due_ns = 0
        self.is_silent = False

    def place(self, edge_word: int) -> None:
        """Where the counters of the input's edges are."""
        self._at = edge_word + EDGE_LAST_SEND_NS

    def note_heard(self, now_ns: int) -> bool:
        """A message came, and it is the first or the first after a silence: whether it ends one."""
        was_silent, self.is_silent = self.is_silent, False
        self._is_late = False
        self.due_ns = now_ns + self._timeout_ns
        return was_silent

    def look(self, now_ns: int, queued: int) -> bool:
        """Whether a silence begins now; `queued` messages wait."""
        if not self.due_ns or now_ns < self.due_ns:
            return False
        last_ns = now_ns if queued else self._words[self._at]
        is_new_start = not self._is_late and now_ns - self.due_ns > _LATE_NS
        if last_ns + self._timeout_ns > now_ns:
            self._is_late = False
            self.due_ns = min(last_ns, now_ns) + self._timeout_ns
            return False
        if is_new_start:
            self._is_late = True
            self.due_ns = now_ns + self._timeout_ns
            return False
        self.due_ns = 0
        self.is_silent = True
        return True

    def end(self) -> None:
        """The input has closed for good."""
        self.due_ns = 0


class Heard:
    """The silence of an input, for another sender to it, whose counters say nothing here: each message counts as heard.

    Attributes:
        due_ns: as before the first message, always.
    """

    __slots__ = ("_silence", "due_ns")

    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self.due_ns = 0

    def note_heard(self, now_ns: int) -> bool:
        """As of the input's own."""
        return self._silence.note_heard(now_ns)
