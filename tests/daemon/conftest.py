"""A service without a process: its base, its runs, and its API in the same loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from daemon.fake_runner import FakeRunner
from dora.daemon.app import make_app
from dora.daemon.service import Service
from dora.daemon.store import Store

StartRun = Callable[..., FakeRunner]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The runtime directory."""
    return tmp_path


@pytest.fixture
def start_run(base: Path) -> Iterator[StartRun]:
    """Starts fake runners; they are gone when the test ends."""
    runs: list[FakeRunner] = []

    def start(name: str, **options: str) -> FakeRunner:
        runs.append(FakeRunner(base, name, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


@pytest_asyncio.fixture
async def service(base: Path) -> AsyncIterator[Service]:
    """The service of that base."""
    store = Store(str(base / "history.sqlite3"), lambda text: pytest.fail(text))
    service = Service(str(base), {"DORA_HOME": str(base)}, store, is_child_alive=lambda pid: False, end=lambda: None)
    await service.begin()
    yield service
    service.registry.close()
    store.close()


@pytest_asyncio.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to its API."""
    transport = httpx.ASGITransport(app=make_app(service), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://dora") as client:
        yield client
