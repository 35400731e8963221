"""Long chains of nodes."""

from __future__ import annotations

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios import neighbours
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow


def test_chain_of_20_nodes_loses_nothing(flow: Flow) -> None:
    hold(neighbours.paced_chain(flow, 20, 1.0, rate_hz=200))
