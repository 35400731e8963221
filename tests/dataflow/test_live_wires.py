"""Inputs of a graph that runs, connected and disconnected."""

from __future__ import annotations

import pytest

from dora.dataflow.descriptor import BACKPRESSURE, Dataflow, LogsSource, OutputSource
from dora.dataflow.live_wires import WireFault, Wish, connect, disconnect


def source_of(graph: Dataflow, node: str, port: str) -> object:
    return next(each for each in graph.nodes if each.id == node).inputs[port].source


def test_a_connected_input_reads_the_output(graph: Dataflow) -> None:
    wired = connect(graph, Wish("camera/image", "lamp/more", queue_size=7))
    assert source_of(wired.dataflow, "lamp", "more") == OutputSource("camera", "image")
    assert wired.dataflow.raw["nodes"][1]["inputs"]["more"] == {
        "source": "camera/image",
        "queue_size": 7,
        "queue_policy": "drop_oldest",
    }


def test_an_input_that_the_file_does_not_state_is_noted(graph: Dataflow) -> None:
    (note,) = connect(graph, Wish("camera/image", "lamp/onn")).notes
    assert note == "`lamp` states no input `onn` (did you mean `on`?): it gets events with this id from now on"


def test_an_input_that_is_connected_again_has_the_queue_that_the_file_states(graph: Dataflow) -> None:
    off = disconnect(graph, "camera/info", "lamp/on").dataflow
    assert "on" not in off.raw["nodes"][1]["inputs"]
    on = connect(off, Wish("camera/info", "lamp/on"))
    port = on.reader.inputs.get("on") or next(n for n in on.dataflow.nodes if n.id == "lamp").inputs["on"]
    assert (port.queue_size, port.queue_policy) == (3, BACKPRESSURE)
    assert on.notes == ()
    assert on.dataflow.raw["nodes"] == graph.raw["nodes"]


def test_an_input_is_moved_to_another_output(graph: Dataflow) -> None:
    wired = connect(graph, Wish("camera/image", "doubler/in", is_instead=True))
    assert source_of(wired.dataflow, "doubler", "op/in") == OutputSource("camera", "image")


def test_the_output_of_an_operator_may_be_named_short(graph: Dataflow) -> None:
    wired = connect(graph, Wish("doubler/doubled", "lamp/more"))
    assert source_of(wired.dataflow, "lamp", "more") == OutputSource("doubler", "op/doubled")
    assert disconnect(wired.dataflow, "doubler/doubled", "lamp/more").dataflow.nodes == graph.nodes


def test_log_entries_can_be_connected(graph: Dataflow) -> None:
    wired = connect(graph, Wish("dora/logs/info", "lamp/logs"))
    assert source_of(wired.dataflow, "lamp", "logs") == LogsSource("info", None)


@pytest.mark.parametrize(
    ("wish", "about", "expected"),
    [
        (Wish("camra/image", "lamp/x"), "node", "there is no node `camra` (did you mean `camera`? nodes: camera, "),
        (Wish("camera/imgae", "lamp/x"), "output", "node `camera` has no output `imgae` (did you mean `image`? outp"),
        (Wish("lamp/x", "lamp/x"), "output", "node `lamp` has no output `x` (it has none)"),
        (Wish("camera/image", "lmp/x"), "node", "there is no node `lmp` (did you mean `lamp`?"),
        (Wish("camera", "lamp/x"), "other", "expected <node>/<output>, got `camera`"),
        (Wish("camera/image", "lamp"), "other", "expected <node>/<input>, got `lamp`"),
        (Wish("camera/image", "lamp/a b"), "other", "`a b` cannot be an input id"),
        (Wish("camera/image", "clock/x"), "other", "`clock` is a timer"),
        (Wish("clock/tick", "lamp/x"), "other", "`clock` is a timer"),
        (Wish("dora/timer/millis/5", "lamp/x"), "other", "is a timer, which is part of the node"),
        (Wish("dora/timr", "lamp/x"), "other", "dora/timer"),
        (Wish("camera/info", "lamp/on"), "other", "`camera/info` feeds `lamp/on` already"),
        (Wish("camera/image", "doubler/in"), "other", "`--instead` puts `camera/image` in its place"),
        (Wish("camera/image", "lamp/on", is_instead=True), "other", "expects std/core/v1/String, and this is std/core"),
        (Wish("camera/image", "doubler/more"), "input", "operators have those of the file only (inputs: op/in)"),
        (Wish("camera/image", "lamp/x", queue_size=0), "other", "the queue size must be from 1 to"),
        (Wish("camera/image", "lamp/x", queue_policy="never"), "other", "must be drop_oldest or backpressure, got `n"),
    ],
)
def test_a_wish_that_cannot_be_granted_says_why(graph: Dataflow, wish: Wish, about: str, expected: str) -> None:
    with pytest.raises(WireFault) as caught:
        connect(graph, wish)
    assert expected in str(caught.value)
    assert caught.value.about == about


@pytest.mark.parametrize(
    ("source", "target", "about", "expected"),
    [
        ("camera/info", "lamp/onn", "input", "nothing feeds input `onn` of node `lamp` (did you mean `on`? on <- cam"),
        ("camera/image", "lamp/on", "other", "input `on` of node `lamp` does not read `camera/image`, but `camera/inf"),
        ("clock/tick", "lamp/tick", "other", "reads dora/timer/millis/50, which is part of the node; `dora node rep"),
        ("camera/info", "camera/x", "input", "it has none that is connected"),
    ],
)
def test_what_is_not_connected_cannot_be_disconnected(
    graph: Dataflow, source: str, target: str, about: str, expected: str
) -> None:
    with pytest.raises(WireFault) as caught:
        disconnect(graph, source, target)
    assert expected in str(caught.value)
    assert caught.value.about == about
