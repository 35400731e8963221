"""`NodeHarness`: scripts, functions and operators run on lists of events, and what is seen of them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora import DoraStatus, Node
from dora.testing import NodeHarness, NodeSettings, Sent, at

DOUBLER = """
import pyarrow as pa
from dora import Node

for event in Node():
    if event["type"] == "INPUT":
        node_value = event["value"].to_pylist()[0] * 2
        print("doubled", node_value)
"""


def echo() -> None:
    """Sends back whatever comes."""
    with Node() as node:
        for event in node:
            if event["type"] == "INPUT":
                node.send_output(f"{event['id']}-echo", event["value"], event["metadata"])


def kinds(seen: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Type and id of events."""
    return [(event["type"], event["id"]) for event in seen]


class Seen:
    """A node that keeps what it receives.

    Attributes:
        events: in order.
        times: when each came, on the node's clock.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.times: list[float] = []

    def __call__(self, node: Node) -> None:
        for event in node:
            self.events.append(event)
            self.times.append(time.monotonic())


# -- programs


def test_script_gets_a_node_that_the_test_feeds(tmp_path: Path) -> None:
    script = tmp_path / "doubler.py"
    script.write_text(DOUBLER)
    assert NodeHarness(script).run([("tick", [21])]).printed == "doubled 42\n"


def test_function_makes_its_node_or_takes_one() -> None:
    assert NodeHarness(echo).run([("a", [1])]).outputs["a-echo"] == [pa.array([1])]
    seen = Seen()
    NodeHarness(seen.__call__).run([("a", [1])])
    assert kinds(seen.events)[0] == ("INPUT", "a")


def test_coroutine_function_is_awaited() -> None:
    async def main() -> None:
        node = Node()
        while (event := await node.recv_async()) is not None:
            if event["type"] == "INPUT":
                await asyncio.sleep(0.5)
                node.send_output("o", event["value"])

    result = NodeHarness(main).run([("a", [1]), at(2, "a", [2])])
    assert [(sent.value.to_pylist(), sent.at_s) for sent in result.sent] == [([1], 0.5), ([2], 2.5)]


class Doubler:
    """An operator."""

    dataflow_descriptor: dict[str, Any]

    def on_event(self, event: dict[str, Any], send_output: Any) -> DoraStatus:
        if event["type"] == "INPUT":
            send_output("doubled", pa.array([event["value"].to_pylist()[0] * 2]), event["metadata"])
        return DoraStatus.STOP if event["type"] == "STOP" else DoraStatus.CONTINUE


def test_operator_class_is_run() -> None:
    settings = NodeSettings(dataflow_descriptor={"nodes": []})
    assert NodeHarness(Doubler, settings).run([("tick", [21])]).outputs["doubled"] == [pa.array([42])]


def test_operator_without_a_stated_descriptor_is_run() -> None:
    assert NodeHarness(Doubler).run([("tick", [1])]).outputs["doubled"] == [pa.array([2])]


def test_operator_that_stops_leaves_the_rest_untaken() -> None:
    class OneOnly:
        def on_event(self, event: dict[str, Any], send_output: Any) -> int:
            return 1

    assert kinds(NodeHarness(OneOnly).run([("a", 1), ("b", 2)]).untaken)[0] == ("INPUT", "b")


def test_file_with_an_operator_is_run_as_one(tmp_path: Path) -> None:
    file = tmp_path / "op.py"
    file.write_text(
        "import sys\nfrom dora import DoraStatus\nclass Operator:\n    def on_event(self, event, send_output):\n"
        "        if event['type'] == 'INPUT':\n            send_output(output='o', data=event['value'])\n"
        "            send_output(output_id='o', data=bytes([len(sys.argv)]))\n        return DoraStatus.CONTINUE\n"
    )
    assert NodeHarness(str(file)).run([("a", [1])]).outputs["o"] == [pa.array([1]), pa.array([1], pa.uint8())]


def test_operator_of_dora_0_1_gets_bytes(tmp_path: Path) -> None:
    file = tmp_path / "op.py"
    file.write_text(
        "class Operator:\n    def on_input(self, input_id, value, send_output):\n"
        "        send_output('o', input_id.encode() + value)\n        return 0\n"
        "    def drop_operator(self):\n        print('dropped')\n"
    )
    result = NodeHarness(file).run([("a", b"xy")])
    assert bytes(result.outputs["o"][0].to_numpy()) == b"axy"
    assert result.printed == "dropped\n"


def test_exception_of_an_operator_is_the_tests() -> None:
    class Broken:
        def on_event(self, event: dict[str, Any], send_output: Any) -> None:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        NodeHarness(Broken).run([("a", 1)])


def test_operator_that_answers_nonsense_fails() -> None:
    class Wrong:
        def on_event(self, event: dict[str, Any], send_output: Any) -> str:
            return "fine"

    with pytest.raises(RuntimeError, match="fine"):
        NodeHarness(Wrong).run([("a", 1)])


@pytest.mark.parametrize(
    ("program", "text"),
    [(5, "expected the path of a script, a function or an operator class"), (lambda a, b: None, "needs a, b")],
)
def test_program_of_another_kind_is_refused(program: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        NodeHarness(program).run()


# -- what the node receives


def test_inputs_close_and_the_node_stops_after_the_last_event() -> None:
    seen = Seen()
    NodeHarness(seen.__call__).run([("a", [1]), ("b", [2]), {"type": "INPUT_CLOSED", "id": "a"}])
    assert kinds(seen.events)[2:] == [("INPUT_CLOSED", "a"), ("INPUT_CLOSED", "b"), ("STOP", "ALL_INPUTS_CLOSED")]


def test_list_with_a_stop_is_left_as_it_is() -> None:
    seen = Seen()
    NodeHarness(seen.__call__).run([("a", [1]), {"type": "STOP", "id": "MANUAL"}])
    assert kinds(seen.events) == [("INPUT", "a"), ("STOP", "MANUAL")]


def test_node_without_inputs_is_stopped_when_the_test_says() -> None:
    seen = Seen()
    result = NodeHarness(seen.__call__).run(stop_at_s=2.5)
    assert kinds(seen.events) == [("STOP", "MANUAL")]
    assert result.ran_s == 2.5


def test_events_come_at_their_times() -> None:
    seen = Seen()
    NodeHarness(seen.__call__).run([at(1, "a", 1), ("a", 2), at(3.5, "a", 3), at(2, "a", 4)])
    assert seen.times == [1, 1, 3.5, 3.5, 3.5, 3.5]


def test_timers_tick_until_the_stop_and_count() -> None:
    seen = Seen()
    NodeHarness(seen.__call__).run(timers={"tick": 0.5}, stop_at_s=2)
    ticks = [event["value"].to_pylist() for event in seen.events[:-1]]
    assert (ticks, seen.times) == ([[0], [1], [2], [3]], [0, 0.5, 1, 1.5, 2])
    assert seen.events[0]["value"].type == pa.uint64()


def test_busy_node_misses_ticks_as_in_a_dataflow() -> None:
    seen: list[int] = []

    def slow(node: Node) -> None:
        for event in node:
            if event["type"] == "INPUT":
                seen.append(event["value"].to_pylist()[0])
                time.sleep(1.2)

    NodeHarness(slow).run(timers={"tick": 0.5}, stop_at_s=4)
    assert seen == [0, 2, 4, 7]


@pytest.mark.parametrize("period", [0, -1, float("inf"), "1", True])
def test_impossible_timers_are_refused(period: Any) -> None:
    with pytest.raises(ValueError, match="timer 't': expected the seconds between two ticks"):
        NodeHarness(echo).run(timers={"t": period})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pa.array([1], pa.int8()), pa.array([1], pa.int8())),
        (np.zeros((2, 2), np.float32), pa.array([0, 0, 0, 0], pa.float32())),
        (b"ab", pa.array([97, 98], pa.uint8())),
        ([1, 2.5], pa.array([1, 2.5])),
        ("text", pa.array(["text"])),
        (5, pa.array([5])),
        ({"x": 1}, pa.array([{"x": 1}])),
        (None, pa.array([None])),
    ],
)
def test_data_of_the_test_becomes_the_array_that_a_node_gets(data: Any, expected: pa.Array) -> None:
    seen = Seen()
    NodeHarness(seen.__call__).run([("a", data)])
    assert seen.events[0]["value"] == expected


def test_data_without_meaning_is_refused() -> None:
    with pytest.raises(TypeError, match="invalid `data` type"):
        NodeHarness(echo).run([("a", object())])


@pytest.mark.parametrize("item", [5, ("a",), ("a", 1, {}, 2), (1, 2), {"id": "a"}])
def test_items_without_meaning_are_refused(item: Any) -> None:
    with pytest.raises(TypeError, match=r"expected \(input_id, data\)"):
        NodeHarness(echo).run([item])


def test_metadata_arrives_as_it_would_with_a_timestamp_of_the_tests_day() -> None:
    seen = Seen()
    NodeHarness(seen.__call__).run([("a", 1, {"parameters": {"request_id": "x"}, "l": (1, 2)})])
    metadata = seen.events[0]["metadata"]
    assert metadata.pop("timestamp").isoformat() == "2000-01-01T00:00:00+00:00"
    assert metadata == {"request_id": "x", "l": [1, 2]}


def test_whole_events_are_completed() -> None:
    seen = Seen()
    events = [{"type": "INPUT", "id": "a", "value": [1]}, {"type": "ERROR", "error": "x"}]
    NodeHarness(seen.__call__).run(events)
    assert (seen.events[0]["value"], seen.events[1]["kind"], seen.events[1]["value"]) == (pa.array([1]), "dora", None)


# -- what is seen of the node


def test_sent_messages_are_what_a_receiver_would_get() -> None:
    def sender(node: Node) -> None:
        data = np.arange(3)
        node.send_output("o", data, {"n": np.float64(1.5), "e": ()})
        data[:] = 0
        node.send_output("o", pa.array([1, 2, 3])[1:])

    result = NodeHarness(sender).run()
    assert result.outputs["o"] == [pa.array([0, 1, 2]), pa.array([2, 3])]
    assert result.sent[0].metadata == {"n": 1.5, "e": []}
    assert result.outputs["nothing"] == []


def test_samples_are_real_samples() -> None:
    def sender(node: Node) -> None:
        with node.send_output_raw("o", 4, {"k": 1}) as buffer:
            np.asarray(buffer)[:] = 7
        sample = node.send_output_raw("o", length=2)
        view = sample.as_memoryview()
        with pytest.raises(RuntimeError, match="still open"):
            sample.send()
        view.release()
        sample.send()
        with pytest.raises(RuntimeError, match="already been sent"):
            sample.send()

    result = NodeHarness(sender).run()
    assert result.outputs["o"][0] == pa.array([7] * 4, pa.uint8())
    assert len(result.outputs["o"][1]) == 2


def test_undeclared_outputs_are_ignored_where_outputs_are_declared() -> None:
    def sender(node: Node) -> None:
        node.send_output("good", b"x")
        node.send_output("goood", b"x")

    result = NodeHarness(sender, NodeSettings(outputs=["good"])).run()
    assert [sent.output for sent in result.sent] == ["good"]
    assert result.logs[0].level == "warn"
    assert "Did you mean `good`?" in result.logs[0].message


def test_log_entries_and_printed_lines_are_told_apart() -> None:
    def talker(node: Node) -> None:
        print("plain")
        node.log("info", "Processing item", {"count": 1})
        node.log_error("bad")
        print('{"level": 1}')

    result = NodeHarness(talker).run()
    assert result.printed == 'plain\n{"level": 1}\n'
    assert [(line.level, line.message, line.fields) for line in result.logs] == [
        ("info", "Processing item", {"count": "1"}),
        ("error", "bad", {}),
    ]


@pytest.mark.parametrize(("end", "code"), [(None, 0), (3, 3), ("sorry", 1)])
def test_exit_code_is_kept(end: Any, code: int) -> None:
    assert NodeHarness(lambda: sys.exit(end)).run().exit_code == code


def test_exception_of_the_node_is_the_tests() -> None:
    def broken(node: Node) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        NodeHarness(broken).run()


def test_events_that_were_not_taken_are_kept() -> None:
    assert kinds(NodeHarness(lambda: Node().next()).run([("a", 1), ("b", 2)]).untaken)[0] == ("INPUT", "b")


def test_test_can_answer_what_the_node_sends() -> None:
    def client(node: Node) -> None:
        node.send_output("request", pa.array([20]), {"request_id": "r1"})
        for event in node:
            if event["id"] == "response":
                print("answer", event["value"].to_pylist(), event["metadata"]["request_id"])

    def server(sent: Sent) -> Iterable[Any]:
        return [("response", [sent.value.to_pylist()[0] + 1], {"request_id": sent.metadata["request_id"]})]

    result = NodeHarness(client).run(stop_at_s=1, respond=server)
    assert result.printed == "answer [21] r1\n"


# -- time


def test_waiting_and_sleeping_cost_nothing_and_are_exact() -> None:
    began = time.perf_counter()

    def patient(node: Node) -> None:
        time.sleep(3600)
        assert node.next(timeout=60)["error"].startswith("Timeout event stream error")  # type: ignore[index]
        assert (time.monotonic(), time.time() - 946684800, time.perf_counter()) == (3660, 3660, 3660)
        assert time.time_ns() % 3_600_000_000_000 == 60_000_000_000

    assert NodeHarness(patient).run(stop_at_s=7200).ran_s == 3660
    assert time.perf_counter() - began < 5
    assert time.time() > 946684800 + 7200


def test_polling_moves_the_clock() -> None:
    def poller(node: Node) -> None:
        while (event := node.try_recv()) is None or event["type"] != "STOP":
            pass

    assert NodeHarness(poller).run(stop_at_s=0.1).ran_s == 0.1


def test_real_clock_can_be_asked_for() -> None:
    result = NodeHarness(echo, NodeSettings(is_clock_real=True)).run([at(0.02, "a", 1)])
    assert result.sent[0].at_s >= 0.02


def test_node_in_a_thread_of_the_event_loop_is_fed() -> None:
    async def main() -> None:
        node = Node()
        loop = asyncio.get_running_loop()
        while (event := await loop.run_in_executor(None, node.next)) is not None:
            node.send_output("o", event["id"].encode())

    result = NodeHarness(main).run([("a", 1), at(2, "b", 1)])
    assert [bytes(sent.value.to_numpy()) for sent in result.sent][:2] == [b"a", b"b"]


def test_time_out_of_an_awaited_event_is_exact() -> None:
    async def main() -> None:
        node = Node()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(node.recv_async(), 0.5)
        assert time.monotonic() == pytest.approx(0.5)
        assert (await node.recv_async(timeout=0.25))["type"] == "ERROR"  # type: ignore[index]
        assert (await node.recv_async())["id"] == "a"  # type: ignore[index]
        assert time.monotonic() == 1

    NodeHarness(main).run([at(1, "a", 1)])


# -- ends


def test_node_that_does_not_end_fails_the_test() -> None:
    def stubborn(node: Node) -> None:
        while True:
            node.next()

    with pytest.raises(RuntimeError, match="goes on asking for events after their end"):
        NodeHarness(stubborn).run([("a", 1)])


def test_node_that_sleeps_for_ever_fails_the_test() -> None:
    def sleeper() -> None:
        while True:
            time.sleep(1)

    with pytest.raises(RuntimeError, match=r"still runs after 0\.05 s"):
        NodeHarness(sleeper, NodeSettings(patience_s=0.05)).run()


def test_coroutine_that_waits_for_nothing_fails_the_test() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="waits for ever"):
        NodeHarness(main).run()


# -- surroundings


def test_surroundings_are_those_of_the_settings_and_are_put_back(tmp_path: Path) -> None:
    script = tmp_path / "node.py"
    script.write_text(
        "import os, sys\nimport beside\nos.environ['MORE'] = '1'\n"
        "print(sys.argv[1:], os.environ['SPEED'], os.getcwd())\n"
    )
    (tmp_path / "beside.py").write_text("")
    before = dict(os.environ), list(sys.argv), list(sys.path), os.getcwd()
    settings = NodeSettings(args=("--fast", "x y"), env={"SPEED": "2"}, working_dir=tmp_path)
    assert NodeHarness(script, settings).run().printed == f"['--fast', 'x y'] 2 {tmp_path}\n"
    assert (dict(os.environ), list(sys.argv), list(sys.path), os.getcwd()) == before


def test_identity_is_that_of_the_settings() -> None:
    def who(node: Node) -> None:
        print(
            node.dataflow_id(), node.restart_count(), node.is_restart(), node.node_config(), node.dataflow_descriptor()
        )

    settings = NodeSettings(
        dataflow_id="d", restart_count=2, node_config={"inputs": {"a": "b/c"}}, dataflow_descriptor={"nodes": []}
    )
    assert NodeHarness(who, settings).run().printed == "d 2 True {'inputs': {'a': 'b/c'}} {'nodes': []}\n"


def test_logging_handlers_that_the_node_adds_go_with_it() -> None:
    before = list(logging.getLogger().handlers)
    NodeHarness(lambda: logging.getLogger().addHandler(logging.NullHandler())).run()
    assert logging.getLogger().handlers == before


def test_process_of_a_dataflow_may_test_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_NODE_CONFIG", "not for the node under test")
    assert NodeHarness(echo).run([("a", [1])]).outputs["a-echo"]
    assert os.environ["DORA_NODE_CONFIG"] == "not for the node under test"


def test_node_outside_the_harness_is_none() -> None:
    NodeHarness(echo).run()
    with pytest.raises(RuntimeError, match="Could not initiate node from environment variable"):
        Node()


def test_second_node_goes_on_where_the_first_ended() -> None:
    def twice() -> None:
        for _ in range(2):
            with Node() as node:
                print(node.next()["id"])  # type: ignore[index]

    assert NodeHarness(twice).run([("a", 1), ("b", 2)]).printed == "a\nb\n"


def test_a_test_takes_less_than_50_ms_and_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a socket was made")

    NodeHarness(echo).run([("a", [1])])
    monkeypatch.setattr(socket, "socket", refuse)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        NodeHarness(echo).run([("a", [1])])
        times.append(time.perf_counter() - began)
    assert min(times) < 0.05
