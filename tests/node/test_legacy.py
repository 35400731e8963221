"""`DORA_API: "0.1"`: a node receives (input_id, bytes), and nothing but inputs."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dora.messages import node_runner as m
from dora.node.node import Node
from node.fake_runner import FakeRunner


@pytest.fixture
def old(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    """A runner whose node has the old API."""
    monkeypatch.setenv("DORA_API", "0.1")
    return runner


def test_next_gives_the_id_and_the_bytes(old: FakeRunner) -> None:
    feed = old.feed("image")
    node = old.node()
    feed.send(array=pa.array([97, 98], pa.uint8()))
    input_id, value = node.next()  # type: ignore[misc]
    assert (input_id, value) == ("image", b"ab")


PAYLOADS = [
    (pa.array([1, 2], pa.uint8()), b"\x01\x02"),
    (pa.array([1, 2, 3], pa.uint8())[1:], b"\x02\x03"),
    (pa.array([], pa.uint8()), b""),
    (pa.array([258], pa.uint16()), b"\x02\x01"),
    (pa.array(["text"]), b"text"),
    (pa.array([b"raw"], pa.large_binary()), b"raw"),
    (pa.array([b"fix"], pa.binary(3)), b"fix"),
    (pa.array(["a", "b"]), b"ab"),
    (pa.array([None], pa.binary()), b""),
    (pa.nulls(3), b""),
]


@pytest.mark.parametrize(("array", "expected"), PAYLOADS)
def test_payload_is_bytes_whatever_was_sent(old: FakeRunner, array: pa.Array, expected: bytes) -> None:
    feed = old.feed("in")
    node = old.node()
    feed.send(array=array)
    assert node.next() == ("in", expected)


def test_iteration_swallows_other_events_and_ends_when_all_senders_are_gone(old: FakeRunner) -> None:
    first, second = old.feed("a"), old.feed("b")
    node = old.node()
    first.send(1)
    first.finish(m.FAILED, "exit code 1")
    second.finish()
    assert [input_id for input_id, _ in node] == ["a"]
    assert node.next() is None


def test_stop_ends_the_stream_at_once(old: FakeRunner) -> None:
    feed = old.feed("a")
    node = old.node()
    feed.send(1)
    old.say(m.Stop())
    assert node.next() is None
    assert node.next() is None


def test_nothing_within_the_time_is_none_and_the_stream_goes_on(old: FakeRunner) -> None:
    feed = old.feed("a")
    node = old.node()
    assert node.next(timeout=0.01) is None
    feed.send(1)
    assert node.next() == ("a", b"\x01" + bytes(7))


def test_message_that_cannot_be_read_is_logged_and_swallowed(
    old: FakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    feed = old.feed("a")
    node = old.node()
    feed.send_record(8, 1, 0, 77, 0, 0, 0, 0)
    feed.send(1)
    assert node.next() == ("a", b"\x01" + bytes(7))
    assert "undecodable message" in capsys.readouterr().out


def test_node_knows_its_id_and_is_a_node(old: FakeRunner) -> None:
    node = old.node()
    assert node.id() == "node"  # type: ignore[attr-defined]
    assert isinstance(node, Node)


def test_bytes_are_sent_as_ever(old: FakeRunner) -> None:
    sink = old.sink("string")
    node = old.node()
    node.send_output("string", b"string")
    assert bytes(sink.take()["value"].to_pylist()) == b"string"


def test_unknown_version_is_an_error_that_says_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_API", "0.2")
    with pytest.raises(RuntimeError, match=r"DORA_API is '0\.2': expected '0\.1'"):
        Node()


def test_without_the_switch_events_are_dicts(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    assert type(node) is Node
    assert isinstance(node.next(), dict)
