"""An operator ends while its node lives on: its outputs close for their readers, its inputs for their senders."""

from __future__ import annotations

from histories import Play, only, verdicts

from dora.dataflow.descriptor import Input, Node, OutputSource, RestartPolicy
from dora.messages import node_runner as m
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.state.edges import EdgeBook

IN = e.Route("camera", "camera", "out", "rt", "a/in", slot=0, queue_size=10)
OUT = e.Route("rt", "rt", "a/out", "plot", "in", slot=1, queue_size=10)
OTHER = e.Route("rt", "rt", "b/out", "plot", "other", slot=2, queue_size=10)


def connected() -> tuple[EdgeBook, dict[e.Route, e.Edge]]:
    """A book in which camera, rt and plot are connected, and the edges that were handed over."""
    book = EdgeBook([IN, OUT, OTHER], lambda edge: 1)
    effects = [effect for name in ("camera", "rt", "plot") for effect in book.connect(name)]
    return book, {effect.edge.route: effect.edge for effect in effects if isinstance(effect, e.GiveReader)}


def test_readers_hear_of_a_closed_output_and_senders_of_a_closed_input() -> None:
    book, edges = connected()
    assert book.close_ports("rt", ["a/in"], ["a/out"]) == [
        e.SendVerdict(edges[OUT], m.CLOSED, "", 0),
        e.RemoveEdge(edges[IN]),
    ]


def test_ports_that_close_twice_are_told_once() -> None:
    book, _ = connected()
    book.close_ports("rt", ["a/in"], ["a/out"])
    assert book.close_ports("rt", ["a/in"], ["a/out"]) == []


def test_end_of_the_node_closes_the_other_ports_only() -> None:
    book, edges = connected()
    book.close_ports("rt", ["a/in"], ["a/out"])
    assert book.leave("rt", m.FAILED, "why") == [e.SendVerdict(edges[OTHER], m.FAILED, "why", 1)]


def test_restarted_sender_gets_no_edge_to_a_closed_input() -> None:
    book, _ = connected()
    book.close_ports("rt", ["a/in"], [])
    book.leave("camera", m.RESTARTING)
    assert book.connect("camera") == []


def test_restarted_reader_hears_at_once_that_an_output_is_closed() -> None:
    book, _ = connected()
    book.close_ports("rt", [], ["a/out"])
    left = book.leave("plot", m.RESTARTING)
    effects = book.connect("plot")
    assert [(effect.edge.route, effect.verdict) for effect in effects if isinstance(effect, e.SendVerdict)] == [
        (OUT, m.CLOSED)
    ]
    assert [effect.edge.route for effect in left if isinstance(effect, e.GiveWriter)] == [OTHER]


def test_restarted_node_opens_its_ports_again() -> None:
    book, _ = connected()
    book.close_ports("rt", ["a/in"], ["a/out"])
    book.leave("rt", m.RESTARTING)
    effects = book.connect("rt")
    assert {effect.edge.route for effect in effects if isinstance(effect, e.GiveReader)} == {IN, OUT, OTHER}


def test_closed_outputs_and_inputs_count_when_all_inputs_of_a_node_are_closed() -> None:
    book, _ = connected()
    book.close_ports("rt", [], ["a/out"])
    assert not book.are_inputs_closed("plot")
    book.close_ports("rt", ["a/in"], ["b/out"])
    assert book.are_inputs_closed("plot")
    assert book.are_inputs_closed("rt")


CAMERA = Node("camera", "camera.py", outputs=("out",))
RUNTIME = Node("rt", "", inputs={"a/in": Input("a/in", OutputSource("camera", "out"))}, outputs=("a/out", "b/out"))
PLOT = Node("plot", "plot.py", inputs={"in": Input("in", OutputSource("rt", "a/out"))})


def test_supervisor_passes_on_what_a_node_says_of_its_ports() -> None:
    play = Play(CAMERA, RUNTIME, PLOT)
    play.run("camera", "rt", "plot")
    effects = play.tell(s.PortsClosed("rt", ("a/in",), ("a/out",)))
    assert verdicts(effects) == [(m.CLOSED, "")]
    assert len(only(e.RemoveEdge, effects)) == 1


def test_ports_of_a_node_that_is_gone_are_nobodys_business() -> None:
    play = Play(CAMERA, RUNTIME, PLOT)
    play.run("camera", "rt", "plot")
    play.exit("rt")
    assert play.tell(s.PortsClosed("rt", ("a/in",), ("a/out",))) == []


def test_runtime_node_is_restarted_by_its_policy() -> None:
    play = Play(CAMERA, RUNTIME._replace(restart=RestartPolicy("on-failure")), PLOT)
    play.run("camera", "rt", "plot")
    effects = play.exit("rt", 1)
    assert [effect.node for effect in effects if isinstance(effect, e.SpawnNode)] == ["rt"]
    assert verdicts(effects) == [(m.RESTARTING, "")]
