"""Edges joined in memory, closed after the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from transport.joined import Joined


@pytest.fixture
def join() -> Iterator[Callable[[int], Joined]]:
    """Makes outputs with one edge of that queue size."""
    made: list[Joined] = []

    def make(queue_size: int = 10) -> Joined:
        made.append(Joined(queue_size))
        return made[-1]

    yield make
    for joined in made:
        joined.close()


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
