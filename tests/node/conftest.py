"""A runner played by the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.fake_runner import FakeRunner


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRunner]:
    """Answers the node of this process."""
    fake = FakeRunner(tmp_path, monkeypatch)
    yield fake
    fake.close()
