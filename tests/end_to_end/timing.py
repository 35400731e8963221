"""Time limits that hold on a machine which does other work too: the best of a few tries counts."""

from __future__ import annotations

from collections.abc import Callable

TRIES = 3


def best_of_tries(limit_s: float, measure: Callable[[], float]) -> float:
    """The shortest of up to three measurements, in seconds; the first one within the limit is enough."""
    best_s = float("inf")
    for _ in range(TRIES):
        best_s = min(best_s, measure())
        if best_s <= limit_s:
            break
    return best_s
