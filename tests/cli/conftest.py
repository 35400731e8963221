"""Commands under test see only what the test has started, not other runs of this user."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("DORA_HOME", str(tmp_path_factory.mktemp("home")))
