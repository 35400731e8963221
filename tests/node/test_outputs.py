"""What a send puts into the queues of its readers, and when a burst waits (design.md 11.7)."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from dora.messages import node_runner as m
from dora.node import burst
from dora.node import outputs as outputs_module
from dora.node.outputs import Output
from node.fake_runner import FakeRunner, wait_until
from node.sending import Act, Start, is_free, refuse_to_wait, send, taken


def repeat(action: Act) -> None:
    """Until it fails."""
    for _ in range(100):
        action()


# -- publishing ----------------------------------------------------------------------------------------------


def test_every_reader_gets_every_message(runner: FakeRunner) -> None:
    sinks = [runner.sink("out") for _ in range(3)]
    send(runner.node(), 1, 2, 3)
    assert [taken(sink) for sink in sinks] == [[1, 2, 3]] * 3


def test_message_without_readers_is_no_error(runner: FakeRunner) -> None:
    runner.output("out")
    send(runner.node(), 1)


def test_reader_that_comes_later_gets_what_is_sent_from_then_on(runner: FakeRunner) -> None:
    early = runner.sink("out")
    node = runner.node()
    send(node, 1)
    late = runner.sink("out")
    send(node, 2)
    assert (taken(early), taken(late)) == ([1, 2], [2])


def test_reader_that_is_gone_for_good_holds_nothing(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    node.send_output("out", pa.array(range(10_000)))
    sink.die()
    runner.say(m.RemoveOutputEdge(sink.message.edge))
    send(node, 1)
    assert node._session.outputs["out"]._arena.used_chunks == 1  # the one with the types


def test_change_of_the_data_after_the_send_is_not_seen(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    data = bytearray(b"before")
    node = runner.node()
    node.send_output("out", data)
    data[:] = b"after!"
    assert bytes(sink.take_all()[0]) == b"before"


def test_metadata_arrives_with_the_message(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    runner.node().send_output("out", b"", {"seq": 5, "nested": {"a": [1]}})
    metadata = sink.take()["metadata"]
    assert (metadata["seq"], metadata["nested"]) == (5, {"a": [1]})


def test_request_outlives_plain_messages_in_a_full_queue(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=2)
    node = runner.node()
    node.send_output("out", pa.array([0]), {"request_id": "a"})
    send(node, 1, 2)
    assert taken(sink) == [0, 2]


def test_time_of_sending_arrives_unless_the_sender_states_one(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    before = node.timestamp()
    node.send_output("out", b"")
    node.send_output("out", b"", {"timestamp": before})
    found = [sink.take()["metadata"]["timestamp"] for _ in range(2)]
    assert found[0] >= before == found[1]


def test_refused_data_sends_nothing_and_leaves_the_output_usable(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    with pytest.raises(TypeError):
        node.send_output("out", "text")
    with pytest.raises(TypeError):
        node.send_output("out", b"x", [1])  # type: ignore[arg-type]
    send(node, 1)
    assert (taken(sink), sink.counts.sent) == ([1], 1)


@pytest.mark.parametrize("count", [1, 300])
def test_any_number_of_types_can_be_sent_on_one_output(runner: FakeRunner, count: int) -> None:
    sink = runner.sink("out")
    node = runner.node()
    arrays = [pa.array([bytes(width)], pa.binary(width)) for width in range(1, count + 1)]
    for array in arrays:
        node.send_output("out", array)
    assert [sink.take()["value"].type for _ in arrays] == [array.type for array in arrays]
    assert sink.cached_types == min(count, 256), "later ones travel with their messages"


def test_every_message_names_the_one_place_where_its_type_is_described(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    send(runner.node(), 1, 2, 3)
    described = {(record[5], record[7]) for record in sink.take_records()}
    assert [(place > 1, inline_bytes) for place, inline_bytes in described] == [(True, 0)]


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 65_535, 65_536, 1_000_000])
def test_messages_of_all_sizes_arrive(runner: FakeRunner, size: int) -> None:
    sink = runner.sink("out")
    data = bytes(range(256)) * (size // 256 + 1)
    runner.node().send_output("out", data[:size], {"a": "b"})
    event = sink.take()
    assert (event["value"].buffers()[1].to_pybytes() if size else b"") == data[:size]
    assert event["metadata"]["a"] == "b"


def test_reader_that_keeps_everything_fills_the_arena(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    kept: list[Any] = []

    def send_and_keep() -> None:
        node.send_output("out", bytes(10_000_000))
        kept.append(sink.take())

    with pytest.raises(MemoryError, match=r"a reader keeps too many arrays"):
        repeat(send_and_keep)
    kept.clear()
    send(node, 1)
    assert taken(sink) == [1]


# -- ids -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "error", "text"),
    [
        ("", RuntimeError, "invalid output_id: identifier must not be empty"),
        ("a b", RuntimeError, "invalid output_id: identifier contains invalid character ' ' -- only "),
        ("/a", RuntimeError, "invalid output_id: identifier must not start or end with '/'"),
        (5, TypeError, "'int' object is not an instance of 'str'"),
        (None, TypeError, "'NoneType' object is not an instance of 'str'"),
    ],
)
def test_id_that_can_be_no_output_is_refused(runner: FakeRunner, output: Any, error: Any, text: str) -> None:
    node = runner.node()
    for call in (lambda: node.send_output(output, b""), lambda: node.send_output_raw(output, 1)):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text)


def test_undeclared_output_is_ignored_with_one_warning(runner: FakeRunner, capsys: pytest.CaptureFixture[str]) -> None:
    runner.sink("image")
    node = runner.node()
    node.send_output("imgae", b"x")
    node.send_output("imgae", b"x")
    printed = capsys.readouterr().out
    assert printed.count("Ignoring output `imgae` not in node's output list. Did you mean `image`?") == 1


def test_undeclared_output_is_refused_for_a_sample(runner: FakeRunner) -> None:
    runner.sink("image")
    with pytest.raises(RuntimeError, match=r"Output `x` not in node's output list. It has: image."):
        runner.node().send_output_raw("x", 5)


# -- bursts --------------------------------------------------------------------------------------------------


@pytest.fixture
def endless_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine then changes nothing, nor a reader in the same process, and a wait that is wrong never ends."""
    monkeypatch.setattr(burst, "_FIRST_BUDGET_NS", 1 << 60)
    monkeypatch.setattr(burst, "_switches", lambda: 0)
    monkeypatch.setattr(burst, "_GAP_NS", 1 << 60)


@pytest.mark.usefixtures("endless_budget")
def test_burst_into_an_input_that_states_nothing_loses_nothing(runner: FakeRunner, aside: Start) -> None:
    sink = runner.sink("out", queue_size=10, is_stated=False)
    node = runner.node()
    found: list[int] = []
    reading = aside(lambda: wait_until(lambda: found.extend(taken(sink)) or len(found) == 100))
    send(node, *range(100))
    reading.join()
    assert found == list(range(100))


@pytest.fixture
def no_wait(endless_budget: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that waits fails."""
    monkeypatch.setattr(Output, "_poll", refuse_to_wait)


@pytest.mark.usefixtures("no_wait")
def test_burst_into_an_input_that_states_its_queue_never_waits(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=10, is_stated=True)
    send(runner.node(), *range(100))
    assert taken(sink) == list(range(90, 100))


@pytest.mark.usefixtures("no_wait")
def test_sends_with_work_between_never_wait(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst, "_GAP_NS", 0)
    monkeypatch.setattr(burst.BurstRule, "_has_worked", lambda rule: True)
    sink = runner.sink("out", queue_size=10, is_stated=False)
    send(runner.node(), *range(100))
    assert taken(sink) == list(range(90, 100))


@pytest.mark.usefixtures("endless_budget")
def test_burst_on_one_output_is_none_on_another(runner: FakeRunner) -> None:
    for name in ("much", "little"):
        runner.sink(name, is_stated=False)
    node = runner.node()
    send(node, *range(20), output="much")
    send(node, 1, output="little")
    assert [node._session.outputs[name]._burst.run for name in ("much", "little")] == [20, 1]


@pytest.mark.usefixtures("endless_budget")
def test_readers_that_state_nothing_share_the_budget_of_the_output(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns, waited_ns = [5], []

    def wait(_: Output, until_ns: int, *, is_lossless: bool) -> bool:
        waited_ns.append(until_ns - now_ns[0])
        now_ns[0] = until_ns
        return False

    monkeypatch.setattr(burst, "_FIRST_BUDGET_NS", 500)
    monkeypatch.setattr(burst, "time", SimpleNamespace(monotonic_ns=lambda: 7, thread_time_ns=lambda: 0))
    monkeypatch.setattr(outputs_module, "monotonic_ns", lambda: now_ns[0])
    monkeypatch.setattr(Output, "_wait_for_room", wait)
    for _ in range(3):
        runner.sink("out", queue_size=1, is_stated=False)
    send(runner.node(), *range(10))
    assert waited_ns == [500]


@pytest.mark.slow
def test_burst_waits_half_a_second_in_all_for_a_reader_that_does_nothing(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=10, is_stated=False)
    node = runner.node()
    begun = time.monotonic()
    send(node, *range(50))
    assert time.monotonic() - begun > 0.3
    assert taken(sink) == list(range(40, 50))


@pytest.mark.usefixtures("endless_budget")
def test_burst_does_not_wait_after_the_stop(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=10, is_stated=False)
    node = runner.node()
    runner.say(m.Stop())
    send(node, *range(50))
    assert taken(sink) == list(range(40, 50))


def test_burst_that_waits_is_not_blocked_in_a_lossless_send(runner: FakeRunner, aside: Start) -> None:
    sink = runner.sink("out", queue_size=1, is_stated=False)
    node = runner.node()
    sending = aside(lambda: send(node, *range(20)))
    wait_until(lambda: sink.counts.waiting)
    assert runner.counts.blocked == 0
    wait_until(lambda: sink.take_all() is None or not sending.is_running)
    sending.join()


# -- threads -------------------------------------------------------------------------------------------------


def test_threads_that_send_at_once_keep_each_its_order(runner: FakeRunner, aside: Start) -> None:
    sink = runner.sink("out", queue_size=4000)
    node = runner.node()
    threads = [aside(lambda start=start: send(node, *range(start, start + 500))) for start in range(0, 2000, 500)]
    for thread in threads:
        thread.join()
    found = taken(sink)
    assert sorted(found) == list(range(2000))
    for start in range(0, 2000, 500):
        mine = [number for number in found if start <= number < start + 500]
        assert mine == sorted(mine)


def test_message_is_sent_and_counted_under_the_lock_of_its_output(runner: FakeRunner) -> None:
    runner.sink("out")
    node = runner.node()
    lock = node._session.outputs["out"].lock
    was_free: list[bool] = []

    class Data:
        def __arrow_c_array__(self, requested_schema: object = None) -> object:
            was_free.append(is_free(lock))
            return pa.array([1]).__arrow_c_array__()

    node.send_output("out", Data())
    assert was_free == [False]


def test_reader_that_was_disconnected_keeps_what_is_queued_for_it(runner: FakeRunner) -> None:
    cut, other = runner.sink("out"), runner.sink("out")
    node = runner.node()
    send(node, 1, 2)
    runner.say(m.RemoveOutputEdge(cut.message.edge, is_read=True))
    send(node, 3)
    assert (taken(cut), taken(other)) == ([1, 2], [1, 2, 3])
    assert cut.is_ended


def test_memory_of_a_disconnected_reader_comes_back_when_it_has_read(runner: FakeRunner) -> None:
    cut = runner.sink("out")
    node = runner.node()
    node.send_output("out", pa.array(range(10_000)))
    runner.say(m.RemoveOutputEdge(cut.message.edge, is_read=True))
    send(node, 1)
    output = node._session.outputs["out"]
    assert output._arena.used_chunks == 2
    cut.take_all()
    cut.die()
    output._reclaim()
    assert output._arena.used_chunks == 1  # the one with the types
    assert output._retired == []
