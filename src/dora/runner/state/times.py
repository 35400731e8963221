"""Durations of the rules, in nanoseconds of CLOCK_MONOTONIC."""

from __future__ import annotations

from typing import Final

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000


def seconds_ns(seconds: float) -> int:
    """`seconds` as nanoseconds."""
    return int(seconds * NS_PER_S)
