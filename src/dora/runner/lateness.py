"""How late the runner's own looks come: time in which nobody ran counts for no deadline (design.md 11.12).

Strategy: it is measured from look to look, because a machine is suspended, or a runner stopped, at any moment: while it
waits or while it works.
"""

from __future__ import annotations

from typing import Final

from dora.runner.state.times import NS_PER_S

_LATE_NS: Final = NS_PER_S


class Lateness:
    """Of one loop, which begins now."""

    def __init__(self, now_ns: int) -> None:
        self._looked_ns = now_ns

    def lost_ns(self, now_ns: int, timeout_ns: int | None) -> int:
        """Time that was lost before this look, which was due within `timeout_ns` (None: at no time); 0: none."""
        late_ns = 0 if timeout_ns is None else now_ns - self._looked_ns - timeout_ns
        self._looked_ns = now_ns
        return late_ns if late_ns > _LATE_NS else 0
