"""A signal handler that raises in the middle of taking a message: the next call gives that message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from dora.messages import node_runner as m
from dora.node import events, inputs
from dora.node.receiver import Receiver
from node.fake_runner import FakeRunner


class Interruption(Exception):
    """What a user's signal handler raises."""


def raising_once(function: Callable[..., Any], *, error: type[BaseException], is_after: bool) -> Callable[..., Any]:
    """The function, in whose first call a signal handler raises."""
    calls: list[int] = []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            return function(*arguments, **named)
        if is_after:
            function(*arguments, **named)
        raise error()

    return interrupted


PLACES = [
    (inputs.metadata_codec, "decode"),
    (inputs.Input, "_decoder"),
    (events, "instant_of"),
    (events, "input_event"),
]


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Interruption], ids=["ctrl-c", "own"])
@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize(("owner", "name"), PLACES, ids=[name for _, name in PLACES])
def test_message_whose_taking_was_cut_off_comes_next(
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    size: int,
    error: type[BaseException],
    is_after: bool,
) -> None:
    feed = runner.feed("in")
    node = runner.node()
    for number in range(3):
        feed.send(array=pa.array([number] * size, pa.uint8()), metadata={"number": number})
    with monkeypatch.context() as patch:
        place = raising_once(getattr(owner, name), error=error, is_after=is_after)
        patch.setattr(owner, name, staticmethod(place) if isinstance(owner, type) else place)
        with pytest.raises(error):
            node.next()
    found = [node.next(timeout=5) for _ in range(3)]
    assert [event["metadata"]["number"] for event in found] == [0, 1, 2]
    assert [event["value"].to_pylist() for event in found] == [[number] * size for number in range(3)]
    assert (feed.counts.taken, feed.counts.dropped) == (3, 0)
    found.clear()
    assert node.try_recv() is None


@pytest.mark.parametrize("size", [10, 100_000])
def test_message_that_was_cut_off_behind_its_event_comes_next(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    feed = runner.feed("in")
    node = runner.node()
    for number in range(2):
        feed.send(array=pa.array([number] * size, pa.uint8()))
    with monkeypatch.context() as patch:
        taking = raising_once(Receiver._take_input, error=KeyboardInterrupt, is_after=True)
        patch.setattr(Receiver, "_take_input", lambda *arguments: taking(*arguments))
        with pytest.raises(KeyboardInterrupt):
            node.next()
    found = [node.next(timeout=5)["value"].to_pylist() for _ in range(2)]
    assert found == [[number] * size for number in range(2)]


def test_message_that_was_cut_off_comes_behind_a_stop_too(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1)
    with monkeypatch.context() as patch:
        patch.setattr(events, "input_event", raising_once(events.input_event, error=KeyboardInterrupt, is_after=True))
        with pytest.raises(KeyboardInterrupt):
            node.next()
    runner.say(m.Stop())
    assert [event["type"] for event in node] == ["STOP", "INPUT"]


def test_memory_of_a_message_that_was_cut_off_goes_back_once(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(array=pa.array([1] * 100_000))
    with monkeypatch.context() as patch:
        patch.setattr(events, "input_event", raising_once(events.input_event, error=KeyboardInterrupt, is_after=True))
        with pytest.raises(KeyboardInterrupt):
            node.next()
    assert feed.held == 1
    event = node.next(timeout=5)
    assert feed.held == 1
    del event
    assert feed.held == 0
