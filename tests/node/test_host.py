"""Operators that share a process: who gets which event, what their answers lead to, and hot reload."""

from __future__ import annotations

from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.node import events
from dora.node.operators import OperatorError
from node.fake_outside import Code, World, config, data, failing, run, sends

# -- events --------------------------------------------------------------------------------------------------


def test_events_of_an_input_go_to_its_operator_under_its_own_name() -> None:
    a, b = Code("a"), Code("b")
    world = World(data("a/x", 1), data("b/x", 2), data("b/y/z", 3))
    run(world, (a, config("a", "x")), (b, config("b", "x", "y/z")))
    assert a.told[:1] == ["INPUT x=1"]
    assert b.told[:2] == ["INPUT x=2", "INPUT y/z=3"]


def test_operator_whose_inputs_have_all_closed_is_told_and_ends() -> None:
    a, b = Code("a"), Code("b")
    world = World(events.input_closed("a/x"), data("b/x", 1))
    run(world, (a, config("a", "x")), (b, config("b", "x")))
    assert a.told == ["INPUT_CLOSED x", "STOP ALL_INPUTS_CLOSED"]
    assert a.is_dropped
    assert world.closed_ports[0] == (["a/x"], ["a/out"])


def test_operator_with_an_open_input_goes_on() -> None:
    a = Code("a")
    run(World(events.input_closed("a/x"), data("a/y", 1), events.stop("MANUAL")), (a, config("a", "x", "y")))
    assert a.told == ["INPUT_CLOSED x", "INPUT y=1", "STOP MANUAL"]


def test_timer_keeps_an_operator_going_unless_timers_are_drained() -> None:
    for drains, last in ((False, "STOP MANUAL"), (True, "STOP ALL_INPUTS_CLOSED")):
        a = Code("a")
        world = World(events.input_closed("a/x"), events.stop("MANUAL"), timers=["a/t"])
        run(world, (a, config("a", "x", "t")), drains_timers=drains)
        assert a.told == ["INPUT_CLOSED x", last]


def test_input_that_was_opened_again_is_not_closed() -> None:
    a = Code("a")
    world = World(events.input_closed("a/x"), lambda: world.closed_inputs.clear(), events.input_closed("a/y"))
    run(world, (a, config("a", "x", "y")))
    assert a.told[:2] == ["INPUT_CLOSED x", "INPUT_CLOSED y"]
    assert a.told[2:] == ["STOP ALL_INPUTS_CLOSED"]  # only at the end of the stream


def test_manual_stop_goes_to_all_and_nothing_after_it() -> None:
    a, b = Code("a", sends(1)), Code("b")
    world = World(events.stop("MANUAL"), data("a/x", 1))
    assert run(world, (a, config("a", "x")), (b, config("b", "x"))) == []
    assert a.told == b.told == ["STOP MANUAL"]
    assert a.is_dropped
    assert b.is_dropped


def test_stop_of_the_process_is_not_told_where_inputs_close_one_by_one() -> None:
    a = Code("a")
    world = World(events.input_closed("a/x"), events.stop("ALL_INPUTS_CLOSED"))
    run(world, (a, config("a", "x")))
    assert a.told == ["INPUT_CLOSED x", "STOP ALL_INPUTS_CLOSED"]


def test_failed_node_is_told_to_those_it_fed_with_their_own_inputs() -> None:
    a, b, c = Code("a"), Code("b"), Code("c")
    failed = events.node_failed("camera", "exit code 3", ["a/x", "a/y", "b/x"])
    run(World(failed), (a, config("a", "x", "y")), (b, config("b", "x")), (c, config("c", "x")))
    assert [code.events[0]["value"] and code.events[0]["value"]["affected_input_ids"] for code in (a, b)] == [
        ["x", "y"],
        ["x"],
    ]
    assert c.told == ["STOP ALL_INPUTS_CLOSED"]


def test_restarted_node_is_told_to_those_it_feeds() -> None:
    a, b = Code("a"), Code("b")
    other = OperatorConfig("b", [OperatorInput("x", "lidar")], [])
    run(World(events.node_restarted("camera")), (a, config("a", "x")), (b, other))
    assert (a.told[0], b.told[0]) == ("NODE_RESTARTED camera", "STOP ALL_INPUTS_CLOSED")


def test_other_events_go_to_all_each_with_its_own_copy() -> None:
    a, b = Code("a"), Code("b")
    update = events.Event(type="PARAM_UPDATE", id="speed", value=3, kind="dora")
    run(World(update), (a, config("a", "x")), (b, config("b", "x")))
    assert a.events[0] == b.events[0] == update
    assert a.events[0] is not b.events[0]


# -- answers -------------------------------------------------------------------------------------------------


def test_stop_ends_that_operator_only() -> None:
    a, b = Code("a", lambda event, send: 1), Code("b")
    world = World(data("a/x"), data("a/x"), data("b/x", 1))
    run(world, (a, config("a", "x")), (b, config("b", "x")))
    assert a.told == ["INPUT x=0"]
    assert b.told[0] == "INPUT x=1"
    assert world.closed_ports == [(["a/x"], ["a/out"])]


def test_ports_of_the_last_operator_close_with_the_process() -> None:
    world = World(data("a/x"))
    run(world, (Code("a", lambda event, send: 1), config("a", "x")))
    assert world.closed_ports == []


def test_stop_all_ends_the_dataflow_and_the_operator() -> None:
    a, b = Code("a", lambda event, send: 2), Code("b")
    world = World(data("a/x"), data("a/x"), events.stop("MANUAL"))
    run(world, (a, config("a", "x")), (b, config("b", "x")))
    assert world.stops == ["operator `a` returned STOP_ALL"]
    assert (len(a.told), b.told) == (1, ["STOP MANUAL"])


def test_failure_ends_all_at_once() -> None:
    a, b = Code("a", failing), Code("b")
    found = run(World(data("a/x"), data("b/x")), (a, config("a", "x")), (b, config("b", "x")))
    assert [str(error) for error in found] == ["operator `a` (a.py) failed at INPUT: bad"]
    assert b.told == []


def test_failure_at_stop_keeps_no_other_from_its_stop() -> None:
    a, b = Code("a", failing), Code("b")
    found = run(World(events.stop("MANUAL")), (a, config("a", "x")), (b, config("b", "x")))
    assert len(found) == 1
    assert b.told == ["STOP MANUAL"]


def test_failure_of_drop_operator_fails_the_node() -> None:
    a, b = Code("a", lambda event, send: 1), Code("b")

    def drop() -> None:
        raise OperatorError("a", "a.py", "failed in drop_operator: bad")

    a.drop = drop  # type: ignore[method-assign]
    (error,) = run(World(data("a/x"), data("b/x")), (a, config("a", "x")), (b, config("b", "x")))
    assert "failed in drop_operator" in str(error)
    assert b.told == []


def test_operator_without_inputs_is_only_told_to_stop() -> None:
    a, b = Code("a"), Code("b")
    run(World(events.input_closed("b/x"), events.stop("MANUAL")), (a, config("a")), (b, config("b", "x")))
    assert a.told == ["STOP MANUAL"]


# -- hot reload ----------------------------------------------------------------------------------------------


class Saves:
    """A watch that finds these files saved, one list per look."""

    period_s = 0.1

    def __init__(self, *found: list[str]) -> None:
        self.found = list(found)

    def changed(self) -> list[str]:
        """The next list."""
        return self.found.pop(0) if self.found else []


def test_saved_operator_is_reloaded_and_told_and_no_other() -> None:
    a, b = Code("a"), Code("b")
    world = World(data("a/x"), data("b/x"))
    run(world, (a, config("a", "x")), (b, config("b", "x")), watch=Saves([], ["a.py"]))
    assert (a.reloads, b.reloads) == (1, 0)
    assert a.told[:2] == ["INPUT x=0", "RELOAD a"]
    assert not [text for text in b.told if "RELOAD" in text]


def test_failed_reload_is_told_and_the_operator_goes_on() -> None:
    a = Code("a")
    a.reload_error = OperatorError("a", "a.py", "cannot be imported again and stays as it was: SyntaxError")
    world = World(data("a/x"), data("a/x", 2))
    assert run(world, (a, config("a", "x")), watch=Saves(["a.py"])) == []
    assert a.told[:2] == ["INPUT x=0", "INPUT x=2"]
    assert "stays as it was" in world.warnings[0]


def test_failure_at_the_reload_event_itself_is_only_warned_about() -> None:
    a = Code("a", lambda event, send: failing(event, send) if event["type"] == "RELOAD" else None)
    world = World(data("a/x"), data("a/x", 2))
    assert run(world, (a, config("a", "x")), watch=Saves(["a.py"])) == []
    assert "failed at RELOAD" in world.warnings[0]
    assert "INPUT x=2" in a.told


def test_a_parameter_goes_to_all_operators_each_with_a_value_of_its_own() -> None:
    seen = []

    def take(event: events.Event, _: object) -> None:
        if event["type"] == "PARAM_UPDATE":
            seen.append(list(event["value"]))
            event["value"].append("changed")

    a, b = Code("a", take), Code("b", take)
    world = World(events.param_update("gains", [1]), events.param_deleted("gains"), events.stop("MANUAL"))
    assert run(world, (a, config("a", "x")), (b, config("b", "x"))) == []
    assert a.told == b.told == ["PARAM_UPDATE gains", "PARAM_DELETED gains", "STOP MANUAL"]
    assert seen == [[1], [1]]
