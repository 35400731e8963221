"""The graph as the runner wires it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dora.dataflow.descriptor import (
    BACKPRESSURE,
    Dataflow,
    Input,
    LogSettings,
    LogsSource,
    Node,
    OutputSource,
    Source,
    TimerSource,
)
from dora.runner.effects import Route
from dora.runner.state.routes import is_runner_sender, routes_of, tap_route, waits_in_barrier

TIMER = TimerSource(1_000_000, "dora/timer/millis/1")
SPEAKER = Node("a", "a.py", outputs=("out", "lines"), log=LogSettings(send_stdout_as="lines"))


def route(port: Input) -> list[Route]:
    dataflow = Dataflow(Path("/x/dataflow.yml"), Path("/x"), (SPEAKER, Node("b", "b.py", inputs={port.id: port})))
    return routes_of(dataflow)


def test_an_input_reads_the_output_it_names_by_its_own_rules() -> None:
    port = Input("in", OutputSource("a", "out"), queue_size=0, queue_policy=BACKPRESSURE, is_stated=True)
    assert route(port) == [Route("a", "a", "out", "b", "in", 0, 1, is_lossless=True, is_stated=True)]


def test_a_timer_has_no_route() -> None:
    assert route(Input("tick", TIMER)) == []


def test_what_the_runner_sends_has_the_runner_as_sender_and_never_waits() -> None:
    (found,) = route(Input("in", OutputSource("a", "lines"), queue_policy=BACKPRESSURE))
    assert is_runner_sender(found.sender)
    assert (found.source, found.output, found.is_lossless, found.is_stated) == ("a", "lines", False, True)


def test_who_looks_from_outside_reads_like_an_input_that_states_drop_oldest() -> None:
    found = tap_route(SPEAKER, "out", number=3, slot=9, queue_size=5)
    assert found == Route("a", "a", "out", "dora/tap/3", "3", 9, 5, is_lossless=False, is_stated=True)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        (LogsSource(None, None), "logs"),
        (LogsSource("warn", None), "logs/warn"),
        (LogsSource("warn", "a"), "logs/warn/a"),
    ],
)
def test_log_inputs_with_the_same_filter_share_an_output(source: LogsSource, output: str) -> None:
    (found,) = route(Input("in", source))
    assert (found.sender, found.source, found.output) == ("dora/logs", "dora", output)


@pytest.mark.parametrize(
    ("node", "waits"),
    [
        (SPEAKER, True),
        (Node("a", "a.py"), False),
        (Node("a", "a.py", inputs={"tick": Input("tick", TIMER)}), True),
        (Node("a", "dynamic", outputs=("out",)), False),
        (Node("a", "a", outputs=("lines",), log=LogSettings(send_stdout_as="lines")), False),
    ],
)
def test_the_start_waits_for_nodes_that_are_wired_to_something_they_do_themselves(node: Node, waits: bool) -> None:
    assert waits_in_barrier(node) is waits


def test_slots_are_given_in_file_order() -> None:
    sources: list[Source] = [OutputSource("a", "out"), TIMER, OutputSource("b", "out")]
    ports = {f"in{number}": Input(f"in{number}", source) for number, source in enumerate(sources)}
    found = routes_of(
        Dataflow(Path("/x/d.yml"), Path("/x"), (Node("b", "b.py", inputs=ports, outputs=("out",)), SPEAKER))
    )
    assert [(one.input, one.slot) for one in found] == [("in0", 0), ("in2", 1)]
