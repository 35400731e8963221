"""Messages between operators of one process: the array itself, queues, who makes room, and `send_output`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora.messages.node_runner import OperatorInput
from dora.node import events
from dora.node.receiver import Taken
from node.fake_outside import PASS_ON, Code, World, config, data, failing, fed, run, sends

# -- from operator to operator -------------------------------------------------------------------------------


def test_sibling_gets_the_very_array_with_metadata_of_its_own() -> None:
    array = pa.array(np.zeros(1000))
    metadata = {"k": [1]}
    a = Code("a", lambda event, send: send("out", array, metadata))
    b, c = Code("b"), Code("c")
    world = World(data("a/x"))
    world.read.clear()
    run(world, (a, config("a", "x")), (b, config("b", fed("y", "a/out"))), (c, config("c", fed("z", "a/out"))))
    assert b.told[0].startswith("INPUT y=")
    assert b.events[0]["value"] is c.events[0]["value"] is array
    assert b.events[0]["metadata"] == {"k": [1], "timestamp": 7}
    assert len({id(m["k"]) for m in (metadata, b.events[0]["metadata"], c.events[0]["metadata"])}) == 3
    assert world.sent == []


def test_numpy_memory_reaches_a_sibling_uncopied() -> None:
    memory = np.arange(1000)
    b = Code("b")
    a = Code("a", lambda event, send: send("out", memory))
    run(World(data("a/x")), (a, config("a", "x")), (b, config("b", fed("y", "a/out"))))
    assert np.shares_memory(b.events[0]["value"].to_numpy(), memory)


def test_output_goes_outside_too_where_somebody_reads_it() -> None:
    b = Code("b")
    world = World(data("a/x"))
    run(world, (Code("a", sends(5)), config("a", "x")), (b, config("b", fed("y", "a/out"))))
    assert [(output, value.to_pylist()) for output, value, _ in world.sent] == [("a/out", [5])]
    assert b.told[0] == "INPUT y=5"


def test_chain_of_operators_is_run_before_the_next_look_outside_is_over() -> None:
    b, c = Code("b", PASS_ON), Code("c")
    world = World(data("a/x", 1), data("a/x", 2))
    chain = [
        (Code("a", PASS_ON), config("a", "x")),
        (b, config("b", fed("y", "a/out"))),
        (c, config("c", fed("z", "b/out"))),
    ]
    run(world, *chain)
    assert c.told == ["INPUT z=1", "INPUT z=2", "INPUT_CLOSED z", "STOP ALL_INPUTS_CLOSED"]


def test_end_of_an_operator_closes_its_readers_after_their_last_message() -> None:
    b = Code("b")
    a = Code("a", sends(1, 2, 3, answer=1))
    run(World(data("a/x")), (a, config("a", "x")), (b, config("b", fed("y", "a/out"))))
    assert b.told == ["INPUT y=1", "INPUT y=2", "INPUT y=3", "INPUT_CLOSED y", "STOP ALL_INPUTS_CLOSED"]


def test_operator_may_feed_itself() -> None:
    def count_down(event: events.Event, send_output: Callable[..., None]) -> int | None:
        left = event["value"].to_pylist()[0]
        if not left:
            return 1
        send_output("out", pa.array([left - 1]))
        return None

    a = Code("a", count_down)
    run(World(data("a/x", 3)), (a, config("a", "x", fed("back", "a/out"))))
    assert a.told == ["INPUT x=3", "INPUT back=2", "INPUT back=1", "INPUT back=0"]


def test_operators_that_feed_each_other_end_when_nothing_can_come_any_more() -> None:
    a, b = Code("a"), Code("b")
    world = World(events.input_closed("a/x"), events.stop("ALL_INPUTS_CLOSED"))
    run(world, (a, config("a", "x", fed("p", "b/out"))), (b, config("b", fed("q", "a/out"))))
    assert a.told == ["INPUT_CLOSED x", "STOP ALL_INPUTS_CLOSED"]
    assert b.told == ["INPUT_CLOSED q", "STOP ALL_INPUTS_CLOSED"]


def test_busy_siblings_do_not_starve_what_comes_from_outside() -> None:
    """Two operators send each other the same message for ever; the stop from outside still comes."""
    a, b = Code("a", PASS_ON), Code("b", PASS_ON)
    world = World(data("a/x", 1), *[data("b/y", 2) for _ in range(5)], events.stop("MANUAL"))
    run(world, (a, config("a", "x", fed("p", "b/out"))), (b, config("b", "y", fed("q", "a/out"))))
    assert a.told[-1] == b.told[-1] == "STOP MANUAL"
    assert b.told.count("INPUT y=2") == 5


def test_inputs_that_siblings_feed_are_served_in_turn() -> None:
    b = Code("b")
    a = Code(
        "a", lambda event, send: [send(name, pa.array([n])) for name in ("fast", "slow") for n in range(3)] and None
    )
    inputs = [fed("f", "a/fast"), fed("s", "a/slow")]
    run(World(data("a/x")), (a, config("a", "x", outputs=["fast", "slow"])), (b, config("b", *inputs)))
    assert [text.removeprefix("INPUT ") for text in b.told[:6]] == ["f=0", "s=0", "f=1", "s=1", "f=2", "s=2"]


# -- queues --------------------------------------------------------------------------------------------------


def received(queue: OperatorInput, count: int) -> tuple[list[int], World, list[int]]:
    """What `b` gets when `a` sends 0..count-1 at once, and how much of it before `a` was done."""
    b = Code("b")
    early: list[int] = []

    def burst(event: events.Event, send_output: Callable[..., None]) -> None:
        if event["type"] == "INPUT":
            for value in range(count):
                send_output("out", pa.array([value]))
            early.append(len(b.told))

    world = World(data("a/x"))
    assert run(world, (Code("a", burst), config("a", "x")), (b, config("b", queue))) == []
    return [event["value"][0].as_py() for event in b.events if event["type"] == "INPUT"], world, early


def test_stated_drop_oldest_keeps_exactly_the_newest() -> None:
    found, world, early = received(fed("y", "a/out", 3, stated=True), count=100)
    assert (found, early) == ([97, 98, 99], [0])
    assert world.counts == {"sent": 100, "bytes": 800, "dropped": 97, "taken": 3}


@pytest.mark.parametrize("lossless", [True, False])
def test_input_that_states_backpressure_or_nothing_loses_nothing(lossless: bool) -> None:
    found, world, early = received(fed("y", "a/out", 3, lossless=lossless), count=100)
    assert found == list(range(100))
    assert early == [97], "the reader makes room while the sender is at it"
    assert world.warnings == []


def test_lossless_cycle_that_can_never_go_on_raises_and_is_named() -> None:
    a, b = Code("a", sends(*range(10))), Code("b", sends(1, 1))
    inputs = fed("p", "b/out", 2, lossless=True), fed("q", "a/out", 2, lossless=True)
    (error,) = run(World(data("a/x")), (a, config("a", "x", inputs[0])), (b, config("b", inputs[1])))
    assert isinstance(error.__cause__, RuntimeError)
    assert str(error.__cause__) == (
        "send_output('out') of operator 'b' can never end: it waits for room in input 'p' of operator 'a', "
        "which is in the middle of an event: a -> b -> a"
    )


def test_cycle_of_inputs_that_state_nothing_loses_the_oldest_instead() -> None:
    a, b = Code("a", sends(*range(10))), Code("b", sends(1, 1))
    inputs = fed("p", "b/out", 2), fed("q", "a/out", 2)
    world = World(data("a/x"), events.stop("MANUAL"))
    assert run(world, (a, config("a", "x", inputs[0])), (b, config("b", inputs[1]))) == []
    assert world.counts["dropped"] > 0


def test_flush_empties_the_queue_and_does_not_wait() -> None:
    b = Code("b")

    def act(event: events.Event, send_output: Callable[..., None]) -> None:
        if event["type"] == "INPUT":
            send_output("out", pa.array([1]))
            send_output("out", pa.array([2]), {"request_id": "r"})
            send_output("out", pa.array([3]), {"flush": True})

    run(World(data("a/x")), (Code("a", act), config("a", "x")), (b, config("b", fed("y", "a/out", 2))))
    assert b.told[:2] == ["INPUT y=2", "INPUT y=3"]


def test_reader_that_fails_while_it_makes_room_is_the_one_that_failed() -> None:
    b = Code("b", failing)
    a = Code("a", sends(*range(20)))
    (error,) = run(World(data("a/x")), (a, config("a", "x")), (b, config("b", fed("y", "a/out", 2))))
    assert str(error) == "operator `b` (b.py) failed at INPUT: bad"
    assert len(b.told) == 1


def test_reader_that_ends_while_it_makes_room_gets_no_more() -> None:
    b = Code("b", lambda event, send: 1)
    a = Code("a", sends(*range(20)))
    world = World(data("a/x"), data("a/x"))
    assert run(world, (a, config("a", "x")), (b, config("b", fed("y", "a/out", 2)))) == []
    assert b.told == ["INPUT y=0"]
    assert a.told[:2] == ["INPUT x=0", "INPUT x=0"]


# -- send_output ---------------------------------------------------------------------------------------------


def send_once(*arguments: Any, **named: Any) -> tuple[World, BaseException | None]:
    """What happens when an operator calls send_output like that: what the world sees, what the operator sees."""
    world = World(data("a/x"))
    code = Code("a", lambda event, send: send(*arguments, **named) if event["type"] == "INPUT" else None)
    failures = run(world, (code, config("a", "x")))
    return world, failures[0].__cause__ if failures else None


@pytest.mark.parametrize("named", [{"output": "out"}, {"output_id": "out"}])
def test_output_may_be_named_both_ways(named: dict[str, str]) -> None:
    assert send_once(data=b"x", metadata={"k": 1}, **named)[0].sent == [("a/out", b"x", {"k": 1})]


def test_undeclared_output_is_ignored_with_one_warning() -> None:
    world = World(data("a/x"), data("a/x"))
    run(world, (Code("a", sends(1, output="uot")), config("a", "x")))
    expected = "Ignoring output `uot` not in the output list of operator `a`. Did you mean `out`?"
    assert (world.sent, world.warnings) == ([], [expected])


@pytest.mark.parametrize(("output", "error"), [("a b", RuntimeError), ("", RuntimeError), (5, TypeError)])
def test_output_that_cannot_be_a_name_is_an_error(output: object, error: type[Exception]) -> None:
    assert isinstance(send_once(output, b"x")[1], error)


def test_data_of_unclear_meaning_is_an_error_between_operators_too() -> None:
    b = Code("b")
    a = Code("a", lambda event, send: send("out", "text"))
    (failure,) = run(World(data("a/x")), (a, config("a", "x")), (b, config("b", fed("y", "a/out"))))
    assert isinstance(failure.__cause__, TypeError)
    assert "must be `PyBytes` or arrow array" in str(failure)


def test_operator_that_has_ended_sends_nothing_any_more() -> None:
    kept: list[Callable[..., None]] = []
    a, b = Code("a", lambda event, send: kept.append(send) or 1), Code("b")
    world = World(data("a/x"), lambda: [kept[0]("out", b"late") for _ in "ab"] and None)
    run(world, (a, config("a", "x")), (b, config("b", "x", fed("y", "a/out"))))
    assert b.told == ["INPUT_CLOSED y", "STOP ALL_INPUTS_CLOSED"]
    assert world.warnings == ["Ignoring output `out` of operator `a`, which has ended."]


def test_message_from_a_thread_of_an_operator_wakes_the_others() -> None:
    b = Code("b")
    kept: list[Callable[..., None]] = []
    a = Code("a", lambda event, send: kept.append(send))
    world = World(data("a/x"))

    def send_from_thread() -> None:
        thread = threading.Thread(target=lambda: kept[0]("out", pa.array([9])))
        thread.start()
        thread.join()

    world.script.append(send_from_thread)
    run(world, (a, config("a", "x")), (b, config("b", fed("y", "a/out"))))
    assert world.woken.is_set()
    assert b.told[0] == "INPUT y=9"


def test_thread_of_an_operator_waits_for_room() -> None:
    b = Code("b")
    threads: list[threading.Thread] = []

    def start(event: events.Event, send_output: Callable[..., None]) -> None:
        def flood() -> None:
            for value in range(50):
                send_output("out", pa.array([value]))

        if event["type"] == "INPUT":
            threads.append(threading.Thread(target=flood))
            threads[0].start()

    class Patient(World):
        """Goes on as long as the thread does."""

        def take(self) -> Taken:
            return super().take() if self.script or not threads[0].is_alive() else None

    run(
        Patient(data("a/x")),
        (Code("a", start), config("a", "x")),
        (b, config("b", fed("y", "a/out", 2, lossless=True))),
    )
    threads[0].join()
    assert [event["value"][0].as_py() for event in b.events if event["type"] == "INPUT"] == list(range(50))
