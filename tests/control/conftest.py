"""A service to speak to, and runs that it finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.conftest import StartRun
from daemon.conftest import start_run as start_run
from daemon.served import ServedService
from dora.control import Control
from dora.control.http import Address


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime directory of this test."""
    monkeypatch.setenv("DORA_HOME", str(tmp_path))
    monkeypatch.delenv("DORA_AUTH_TOKEN", raising=False)
    return tmp_path


@pytest.fixture
def served(base: Path) -> Iterator[ServedService]:
    """The service of that base."""
    served = ServedService(base)
    yield served
    served.end()


@pytest.fixture
def control(served: ServedService, base: Path, start_run: StartRun) -> Control:
    """Its client; the runs of the test end before it."""
    return Control(Address(path=str(base / "service.sock")))
