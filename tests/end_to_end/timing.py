"""Time limits that mean something on a machine that does other work too.

Strategy: the best of a few tries counts, and where more processes want to run than there are cores (load average), a
limit grows in that proportion.  On a quiet machine the limits are exactly those that the tests state.
"""

from __future__ import annotations

import os
from collections.abc import Callable

TRIES = 3


def overload() -> float:
    """How many processes want each core, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def allowed_s(limit_s: float) -> float:
    """The limit, stretched by as much as the machine is overloaded."""
    return limit_s * overload()


def assert_within(limit_s: float, measure: Callable[[], float]) -> None:
    """Hold that the shortest of up to three measurements, in seconds, is within the limit."""
    taken: list[float] = []
    while not taken or (min(taken) > allowed_s(limit_s) and len(taken) < TRIES):
        taken.append(measure())
    assert min(taken) <= allowed_s(limit_s), f"took {taken} s, at most {limit_s} s are allowed"
