"""Lossless edges and many threads: nothing lost, nothing out of order, nobody starved."""

from __future__ import annotations

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios import floods
from end_to_end.scenarios.marks import hold
from end_to_end.timing import overload

pytestmark = pytest.mark.slow


def test_slow_reader_with_a_fast_timer_gets_every_message_in_order(flow: Flow) -> None:
    hold(floods.slow_reader(flow, 8_000, least_hz=1000 / overload()))


def test_eight_sending_threads_reach_an_asyncio_reader_completely(flow: Flow) -> None:
    hold(floods.threads(flow, 16_000))
