"""A runner played by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.fake_runner import FakeRunner, wait_until
from node.sending import Act, Aside


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRunner]:
    """Answers the node of this process."""
    fake = FakeRunner(tmp_path, monkeypatch)
    yield fake
    fake.close()


@pytest.fixture
def aside(runner: FakeRunner) -> Iterator[Callable[[Act], Aside]]:
    """Starts threads that are over when the test is."""
    started: list[Aside] = []

    def start(action: Act) -> Aside:
        started.append(Aside(action))
        return started[-1]

    yield start
    if any(one.is_running for one in started):  # the test has failed
        runner.end_sends()
    wait_until(lambda: not any(one.is_running for one in started))
