"""The whole API of a node under a harness: replies, streams, logging, the API of dora 0.1."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dora import Node
from dora.testing import NodeHarness, NodeSettings, Sent, at


@contextlib.contextmanager
def no_handlers() -> Iterator[None]:
    """`logging` as in a fresh program: pytest's own handlers are set aside."""
    root = logging.getLogger()
    before, root.handlers[:] = list(root.handlers), []
    try:
        yield
    finally:
        root.handlers[:] = before


def reply_after_two_seconds(sent: Sent) -> Iterable[Any]:
    """A server that takes its time."""
    return [at(2, "response", [sent.value.to_pylist()[0] + 1], sent.metadata)]


def test_node_that_waits_for_a_reply_keeps_other_events() -> None:
    def client(node: Node) -> None:
        request_id = node.send_service_request("request", pa.array([20]))
        reply = node.recv_service_response(request_id, timeout=5)
        print(reply["value"].to_pylist(), [event["id"] for event in node])

    result = NodeHarness(client).run([("other", 1)], stop_at_s=9, respond=reply_after_two_seconds)
    assert result.printed == "[21] ['other', 'MANUAL']\n"


def test_restart_of_the_server_ends_the_wait_for_its_reply() -> None:
    def client(node: Node) -> None:
        request_id = node.send_service_request("request", pa.array([20]))
        with pytest.raises(RuntimeError, match="node `server` was restarted"):
            node.recv_service_response(request_id, "server", timeout=5)

    settings = NodeSettings(node_config={"inputs": {"response": "server/response"}, "outputs": ["request"]})
    restart = {"type": "NODE_RESTARTED", "id": "server"}
    assert NodeHarness(client, settings).run(stop_at_s=9, respond=lambda sent: [restart]).outputs.keys() == {"request"}


def test_coroutine_that_waits_for_a_reply_gets_it() -> None:
    async def client() -> None:
        node = Node()
        request_id = node.send_service_request("request", pa.array([20]))
        reply = await node.recv_service_response_async(request_id, timeout=5)
        print(reply["value"].to_pylist(), node.timestamp().second)

    assert NodeHarness(client).run(stop_at_s=9, respond=reply_after_two_seconds).printed == "[21] 2\n"


def test_time_out_of_a_reply_is_exact() -> None:
    def client(node: Node) -> None:
        with pytest.raises(TimeoutError):
            node.recv_service_response(node.send_service_request("request", b""), timeout=5)
        print(node.timestamp().second)

    assert NodeHarness(client).run(stop_at_s=9).printed == "5\n"


def test_server_answers_with_the_metadata_of_the_request() -> None:
    def server(node: Node) -> None:
        for event in node:
            if event["type"] == "INPUT":
                node.send_service_response("response", event["value"], event["metadata"])

    (sent,) = NodeHarness(server).run([("request", [1], {"request_id": "r1"})]).sent
    assert sent.metadata["request_id"] == "r1"


def test_logging_becomes_entries_in_each_run() -> None:
    def talker(node: Node) -> None:
        logging.getLogger("arm").warning("joint %d is hot", 3, extra={"degrees": 80})

    for _ in range(2):
        with no_handlers():
            (line,) = NodeHarness(talker).run().logs
        assert (line.level, line.message, line.target, line.fields) == (
            "warn",
            "joint 3 is hot",
            "arm",
            {"degrees": "80"},
        )


def test_basic_config_is_put_back() -> None:
    before = logging.basicConfig
    with no_handlers():
        NodeHarness(lambda: Node().close()).run()
    assert logging.basicConfig is before


def test_node_of_dora_0_1_gets_tuples() -> None:
    def printer() -> None:
        for input_id, value in Node():  # type: ignore[misc]
            print(input_id, value)

    settings = NodeSettings(env={"DORA_API": "0.1"})
    assert NodeHarness(printer, settings).run([("a", b"x"), ("b", b"y")]).printed == "a b'x'\nb b'y'\n"


def test_what_needs_a_runner_says_so() -> None:
    def node_with_a_table(node: Node) -> None:
        with pytest.raises(RuntimeError, match="no extension table without a running dataflow"):
            node.extension_store("space", "key", b"value")
        with pytest.raises(RuntimeError, match="in a running dataflow only"):
            node.merge_external_events(iter([1]))

    NodeHarness(node_with_a_table).run()


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("def on_event(self, event, send_output): raise SystemExit(0)", "failed at INPUT `in`: SystemExit: 0"),
        ("async def on_event(self, event, send_output): pass", "has an `async def` for its events"),
    ],
)
def test_operator_that_fails_in_a_dataflow_fails_here(tmp_path: Path, method: str, text: str) -> None:
    path = tmp_path / "op.py"
    path.write_text(f"class Operator:\n    {method}\n")
    with pytest.raises(RuntimeError, match=text):
        NodeHarness(path).run([("in", 1)])


def test_a_parameter_is_given_as_an_event() -> None:
    script = Path(__file__).parent.parent.parent / "examples" / "parameters" / "ramp.py"
    update = {"type": "PARAM_UPDATE", "id": "step", "value": 5}
    deletion = {"type": "PARAM_DELETED", "id": "step"}
    result = NodeHarness(str(script)).run([("tick", 0), update, ("tick", 1), deletion, ("tick", 2)])
    assert [array.to_pylist() for array in result.outputs["height"]] == [[1], [6], [7]]
