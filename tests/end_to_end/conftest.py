"""The fixtures of all end-to-end tests: dataflows of their own, and nothing left of them afterwards.

Strategy: a run costs half a second, so tests that only look share one: their module has a fixture that runs a dataflow
of `flows` once.  Each test still asks for one behaviour, and works alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from end_to_end.running import Flow


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    """A dataflow to add nodes to and to run; whatever the test does, nothing of it may be left."""
    flow = Flow(tmp_path)
    try:
        yield flow
    finally:
        left = flow.leftovers()
    assert not left, "\n".join(left)


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Flow]]:
    """Makes dataflows whose runs several tests look at; nothing of them may be left at the end of the module."""
    made: list[Flow] = []

    def make() -> Flow:
        made.append(Flow(tmp_path_factory.mktemp("flow")))
        return made[-1]

    yield make
    left = [line for flow in made for line in flow.leftovers()]
    assert not left, "\n".join(left)
