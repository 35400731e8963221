"""Ctrl-C in the middle of a send: no reader's memory is used again while it has it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dora.transport.sending import SendEdge
from node.fake_runner import FakeRunner


@pytest.mark.parametrize("reached", [1, 2, 3])
def test_send_cut_off_between_its_readers_leaves_what_they_have_alone(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch, reached: int
) -> None:
    sinks = [runner.sink("out") for _ in range(4)]
    node = runner.node()
    push, calls = SendEdge.push, []

    def interrupted_push(edge: SendEdge, *arguments: object) -> bool:
        calls.append(edge)
        if len(calls) > reached:
            raise KeyboardInterrupt
        return push(edge, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(SendEdge, "push", interrupted_push)
        with pytest.raises(KeyboardInterrupt):
            node.send_output("out", pa.array([1] * 1000))
    kept = [sink.take() for sink in sinks[1:reached]]
    sinks[0].take()  # let go of at once
    for number in range(2, 50):
        node.send_output("out", pa.array([number] * 1000))
        for sink in sinks:
            sink.take_all()
    assert [event["value"].to_pylist() for event in kept] == [[1] * 1000] * len(kept)
