"""What `dora topic echo` says while nothing comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dora.cli import topic
from dora.clock import HybridClock
from dora.inspection import Tap


class SilentRun:
    """Nodes that have not taken up their new reader; each look takes as long as it may."""

    is_over = False

    def __init__(self, *nodes: str) -> None:
        self.now_s = 100.0
        self.taps = {number: Tap(node, "image", HybridClock(), []) for number, node in enumerate(nodes)}

    def take(self, timeout_s: float) -> Iterator[Any]:
        self.now_s += timeout_s
        return iter(())


@pytest.mark.parametrize(
    ("duration_s", "said"), [(0.9, ""), (1.6, "waiting for camera, plot\n"), (4.0, "waiting for camera, plot\n")]
)
def test_after_a_second_echo_names_once_who_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], duration_s: float, said: str
) -> None:
    run: Any = SilentRun("camera", "plot", "camera")
    with monkeypatch.context() as patched:
        patched.setattr(topic.time, "monotonic", lambda: run.now_s)
        assert list(topic._Watch(run).messages(duration_s)) == []
    assert capsys.readouterr().err == said
