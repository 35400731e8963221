"""The rules of a run as histories: parameters, which no start and no restart of a node may lose."""

from __future__ import annotations

from histories import AGAIN, DYNAMIC, A, B, Play, kinds, only

from dora.messages.params import MAX_KEYS
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.state.params import ParamBook


def change(key: str, value: str | None, node: str = "a") -> s.ParamChanged:
    return s.ParamChanged(node, key, value)


def told(effects: list[e.Effect]) -> list[tuple[str, str | None]]:
    return [(effect.key, effect.value) for effect in effects if isinstance(effect, e.SendParam)]


def test_a_running_node_is_told_every_change_in_order() -> None:
    play = Play(A, B)
    play.run("a", "b")
    effects = play.tell(change("x", "1"), change("x", "1"), change("y", '"z"'), change("x", None))
    assert effects == [
        e.SendParam("a", "x", "1"),
        e.SendParam("a", "x", "1"),
        e.SendParam("a", "y", '"z"'),
        e.SendParam("a", "x", None),
    ]


def test_a_deletion_is_told_also_when_there_was_nothing() -> None:
    play = Play(A)
    play.run("a")
    assert play.tell(change("x", None)) == [e.SendParam("a", "x", None)]


def test_what_is_set_while_a_node_starts_is_told_before_it_is_started() -> None:
    play = Play(A, B)
    play.spawn()
    assert play.tell(change("x", "1")) == []
    play.tell(s.NodeSaidHello("a"))
    assert play.tell(change("y", "2")) == []
    effects = play.tell(s.NodeReady("a"), s.NodeSaidHello("b"), s.NodeReady("b"))
    started = [effect for effect in effects if isinstance(effect, e.SendParam | e.Start)]
    assert kinds(started) == [("Start", "b"), ("SendParam", "a"), ("SendParam", "a"), ("Start", "a")]
    assert told(effects) == [("x", "1"), ("y", "2")]


def test_a_node_that_is_started_again_is_told_all_that_it_has_the_latest_last() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.tell(change("x", "1"), change("y", "2"), change("gone", "3"), change("gone", None), change("x", "4"))
    play.exit("a", 1)
    play.tell(change("z", "5"))
    play.pass_time(0.2)
    effects = play.connect("a")
    assert told(effects) == [("y", "2"), ("x", "4"), ("z", "5")]
    assert kinds(effects)[-1] == ("Start", "a")


def test_a_change_between_hello_and_start_is_told_once() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.exit("a", 1)
    play.pass_time(0.2)
    play.tell(s.NodeSaidHello("a"))
    assert told(play.tell(change("x", "1"), s.NodeReady("a"), change("x", "2"))) == [("x", "1"), ("x", "2")]


def test_a_dynamic_node_is_told_whenever_it_attaches() -> None:
    play = Play(DYNAMIC, A)
    play.run("a")
    assert play.tell(change("x", "1", "d")) == []
    assert told(play.connect("d")) == [("x", "1")]
    play.tell(s.LinkLost("d"))
    assert play.tell(change("x", "2", "d")) == []
    assert told(play.connect("d")) == [("x", "2")]


def test_a_node_has_only_its_own() -> None:
    play = Play(A, B)
    play.spawn()
    play.tell(change("x", "1", "b"))
    assert only(e.SendParam, play.connect("a", "b")) == [e.SendParam("b", "x", "1")]


def test_an_ended_node_is_told_nothing_and_what_is_set_is_kept() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.exit("a", 0)
    assert play.tell(change("x", "1")) == []
    assert play.supervisor.params.all() == {"a": {"x": "1"}}


def test_behind_a_stop_the_stop_is_the_first_that_a_starting_node_sees() -> None:
    play = Play(A, B)
    play.spawn()
    play.tell(change("x", "1"), s.NodeSaidHello("a"), s.NodeReady("a"))
    effects = play.tell(s.StopRequested("Ctrl-C"))
    assert kinds(effects) == [("Start", "a"), ("SendStop", "a")]


def test_a_node_has_at_most_1024_parameters() -> None:
    book = ParamBook()
    for number in range(MAX_KEYS):
        book.set("a", f"k{number}", "0")
    assert book.fault("a", "one more", "0") == "node `a` has 1024 parameters, the most that is possible"
    assert book.fault("a", "k0", "1") == ""
    assert book.fault("b", "k0", "1") == ""


def test_a_dataflow_has_at_most_16_mb_of_parameters() -> None:
    book = ParamBook()
    value = '"' + "x" * 65_534 + '"'
    for number in range(254):
        book.set("a", f"{number:07}", value)
    assert book.fault("b", "b" * 200, value) == ""
    book.set("b", "b" * 200, value)
    assert "would have 16779" in book.fault("b", "c", value)
    assert book.fault("b", "b" * 200, "1") == ""
    book.set("a", "0000000", None)
    assert book.fault("b", "c", value) == ""


def test_a_removed_node_takes_its_parameters_along() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(change("x", "1"), change("x", "2", "b"))
    play.tell(s.NodeRemovalRequested("a", 5.0))
    play.exit("a", 0)
    assert play.supervisor.params.all() == {"b": {"x": "2"}}
