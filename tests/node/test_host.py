"""Operators that share a process: who gets which event, what answers lead to, and how messages pass between them.

The world outside is a script: a list of events, then the end of the stream.  Operators are functions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.node import events
from dora.node.host import Host
from dora.node.operators import OperatorError
from dora.node.receiver import END, Taken

Act = Callable[[events.Event, Callable[..., None]], Any]


class Code:
    """The code of an operator: calls `act`, and keeps what it was told."""

    def __init__(self, operator_id: str, act: Act | None = None) -> None:
        self.id = operator_id
        self.file = f"{operator_id}.py"
        self.act = act or (lambda event, send_output: None)
        self.told: list[str] = []
        self.events: list[events.Event] = []
        self.is_dropped = False
        self.reloads = 0
        self.reload_error: OperatorError | None = None

    def tell(self, event: events.Event, send_output: Callable[..., None]) -> int:
        """One event."""
        self.events.append(event)
        value = event["value"]
        text = f"={value.to_pylist()[0]}" if isinstance(value, pa.Array) else ""
        self.told.append(f"{event['type']} {event['id']}{text}")
        try:
            return self.act(event, send_output) or 0
        except Exception as error:
            raise OperatorError(self.id, self.file, f"failed at {event['type']}: {error}") from error

    def drop(self) -> None:
        """It has ended."""
        assert not self.is_dropped
        self.is_dropped = True

    def reload(self) -> None:
        """Its file was saved."""
        if self.reload_error is not None:
            raise self.reload_error
        self.reloads += 1


class World:
    """What is outside: gives a script of events, keeps what is sent."""

    def __init__(self, *script: events.Event | Callable[[], None], timers: Sequence[str] = ()) -> None:
        self.script = list(script)
        self.timers = timers
        self.read = {"a/out"}
        self.sent: list[tuple[str, Any, Any]] = []
        self.closed_inputs: set[str] = set()
        self.closed_ports: list[tuple[list[str], list[str]]] = []
        self.stops: list[str] = []
        self.warnings: list[str] = []
        self.woken = threading.Event()

    def take(self) -> Taken:
        """The next of the script."""
        while self.script:
            entry = self.script.pop(0)
            if isinstance(entry, events.Event):
                if entry["type"] == "INPUT_CLOSED":
                    self.closed_inputs.add(entry["id"])
                return entry
            entry()
        return END

    def wait(self, timeout_s: float | None) -> Taken:
        """The same."""
        return self.take()

    def wake(self) -> None:
        """Somebody sent from another thread."""
        self.woken.set()

    def has_readers(self, output: str) -> bool:
        """Somebody outside reads some outputs."""
        return output in self.read

    def send(self, output: str, data: Any, metadata: Any) -> None:
        """To other processes."""
        self.sent.append((output, data, metadata))

    def stamp(self, metadata: dict[str, Any]) -> None:
        """A short time."""
        metadata.setdefault("timestamp", 7)

    def is_closed(self, input_id: str) -> bool:
        """INPUT_CLOSED was given."""
        return input_id in self.closed_inputs

    def is_timer(self, input_id: str) -> bool:
        """Which inputs are timers."""
        return input_id in self.timers

    def close_ports(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """An operator has ended."""
        self.closed_ports.append((list(inputs), list(outputs)))

    def stop_all(self, reason: str) -> None:
        """An operator ends the dataflow."""
        self.stops.append(reason)

    def warn(self, text: str) -> None:
        """A line for the user."""
        self.warnings.append(text)


def data(name: str, value: int = 0) -> events.Event:
    """A message from outside."""
    return events.input_event(name, pa.array([value]), {})


def config(operator_id: str, *inputs: str | OperatorInput, outputs: Sequence[str] = ("out",)) -> OperatorConfig:
    """An operator; a text is an input from outside."""
    entries = [entry if isinstance(entry, OperatorInput) else OperatorInput(entry, "camera") for entry in inputs]
    return OperatorConfig(operator_id, entries, list(outputs))


def fed(name: str, output: str, size: int = 10, *, lossless: bool = False, stated: bool = False) -> OperatorInput:
    """An input that a sibling feeds."""
    return OperatorInput(name, "rt", output, size, lossless, stated or lossless)


def run(world: World, *operators: tuple[Code, OperatorConfig], **options: Any) -> list[OperatorError]:
    """Host them until the script is over."""
    return Host(operators, world, **options).run()  # type: ignore[arg-type]


def sends(*values: int, output: str = "out", answer: int | None = None) -> Act:
    """Sends these at every input."""

    def act(event: events.Event, send_output: Callable[..., None]) -> int | None:
        if event["type"] != "INPUT":
            return None
        for value in values:
            send_output(output, pa.array([value]))
        return answer

    return act


PASS_ON: Act = lambda event, send: send("out", event["value"]) if event["type"] == "INPUT" else None  # noqa: E731


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


def failing(event: events.Event, send_output: object) -> None:
    """Fails at every event."""
    raise ValueError("bad")


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
    assert world.warnings == ["operator `b`, input `y`: 97 of 100 messages were dropped (queue_size 3)"]


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
    assert "operator `a`, input `p`:" in world.warnings[0]


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
