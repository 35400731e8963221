"""Whether and when a node is started again (dora yaml-spec, Restart policy).

Strategy: a budget per node: `max_restarts` restarts within `restart_window`, counted anew when the window is over;
the wait doubles with each restart in the window, up to `max_restart_delay`.
"""

from __future__ import annotations

import msgspec

from dora.dataflow.descriptor import RestartPolicy
from dora.runner.state.times import NS_PER_S, seconds_ns

_LARGEST_EXPONENT = 16


class Restart(msgspec.Struct, frozen=True):
    """Start it again after this wait."""

    delay_ns: int


class GiveUp(msgspec.Struct, frozen=True):
    """The policy would, the budget does not allow it."""

    max_restarts: int


class RestartBudget:
    """The restarts of one node.

    Attributes:
        total: restarts since the dataflow started.
    """

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._in_window = 0
        self._window_began_ns: int | None = None
        self.total = 0

    def obey(self, policy: RestartPolicy) -> None:
        """From now on another policy holds; the window begins anew."""
        self._policy = policy
        self._window_began_ns = None

    def decide(self, now_ns: int, *, is_failure: bool) -> Restart | GiveUp | None:
        """What follows an exit; None when the policy does not ask for a restart."""
        policy = self._policy
        if policy.when == "never" or (policy.when == "on-failure" and not is_failure):
            return None
        if self._is_window_over(now_ns):
            self._in_window = 0
            self._window_began_ns = now_ns
        if policy.max_restarts and self._in_window >= policy.max_restarts:
            return GiveUp(policy.max_restarts)
        self._in_window += 1
        self.total += 1
        return Restart(self._delay_ns())

    def note_asked(self) -> Restart:
        """A restart that the user asked for: counted, but not against the budget."""
        self.total += 1
        return Restart(0)

    def _is_window_over(self, now_ns: int) -> bool:
        if self._window_began_ns is None:
            return True
        window_s = self._policy.window_s
        return window_s is not None and now_ns - self._window_began_ns > window_s * NS_PER_S

    def _delay_ns(self) -> int:
        delay_s = self._policy.delay_s
        if delay_s is None:
            return 0
        delay_s *= 2 ** min(self._in_window - 1, _LARGEST_EXPONENT)
        if self._policy.max_delay_s is not None:
            delay_s = min(delay_s, self._policy.max_delay_s)
        return seconds_ns(delay_s)
