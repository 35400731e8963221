"""Nothing is lost at the begin and at the end of processes: the guide's first example, first and last messages."""

from __future__ import annotations

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios import starts, transports
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow


def test_hello_world_delivers_100_of_100_in_each_of_10_runs(flow: Flow) -> None:
    hold(starts.hello_world(flow, 10))


def test_hello_world_delivers_100_of_100_while_all_processors_are_busy(flow: Flow) -> None:
    hold(starts.hello_world_under_load(flow, 6))


def test_message_sent_in_the_first_line_after_node_is_received(flow: Flow) -> None:
    hold(starts.first_message(flow, 5))


def test_message_sent_just_before_the_exit_is_received_before_input_closed(flow: Flow) -> None:
    hold(starts.last_message(flow, 4))


def test_every_short_lived_sender_is_heard_and_then_closed(flow: Flow) -> None:
    hold(starts.closed_outputs(flow, 10))


def test_every_short_lived_process_on_bare_pipes_is_heard_and_then_closed(flow: Flow) -> None:
    hold(transports.closed_pipes(flow, 300))
