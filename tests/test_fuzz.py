"""Garbage from another process hurts nobody but its sender: every fuzz target with a small budget.

`benchmarks/fuzz.py` runs the same targets for as long as you like; what it finds is kept here as a test of its own.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing.targets import SLOW, TARGETS


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_do_no_harm(name: str) -> None:
    """The reader goes on; where somebody must be blamed, it is the one who wrote them."""

    @settings(max_examples=10 if name in SLOW else 60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=400))
    def feed(data: bytes) -> None:
        TARGETS[name](data)

    feed()
