"""The stop ladder of one node: STOP, SIGTERM at the grace, SIGKILL five seconds later (design.md 11.20).

Strategy: a node that has never connected cannot hear STOP, so for it SIGTERM is the first word, after a moment in
which a node that is just about to connect may do so.
"""

from __future__ import annotations

import signal
from typing import Final

from dora.runner.state.times import NS_PER_S

KILL_AFTER_NS: Final = 5 * NS_PER_S
UNCONNECTED_GRACE_NS: Final = NS_PER_S // 4


class StopLadder:
    """How far one node has been pushed.

    Attributes:
        began_ns: when the stop was requested.
        is_term_sent, is_kill_sent: rungs that were reached.
    """

    def __init__(self, began_ns: int, grace_ns: int) -> None:
        self.began_ns = began_ns
        self._grace_ns = grace_ns
        self.is_term_sent = False
        self.is_kill_sent = False

    def due_ns(self, *, can_hear_stop: bool) -> int | None:
        """When the next rung is due; None after the last."""
        if self.is_kill_sent:
            return None
        if self.is_term_sent:
            return self.began_ns + self._grace_ns + KILL_AFTER_NS
        return self.began_ns + (self._grace_ns if can_hear_stop else min(self._grace_ns, UNCONNECTED_GRACE_NS))

    def step(self, now_ns: int, *, can_hear_stop: bool) -> signal.Signals | None:
        """The signal that is due now, or None."""
        due_ns = self.due_ns(can_hear_stop=can_hear_stop)
        if due_ns is None or now_ns < due_ns:
            return None
        if self.is_term_sent:
            self.is_kill_sent = True
            return signal.SIGKILL
        self.is_term_sent = True
        return signal.SIGTERM

    def skip_to_kill(self) -> None:
        """Somebody has sent SIGKILL out of turn."""
        self.is_term_sent = self.is_kill_sent = True

    def shift(self, by_ns: int) -> None:
        """Time in which nobody ran does not count."""
        self.began_ns += by_ns
