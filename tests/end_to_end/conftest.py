"""The fixture of all end-to-end tests: a dataflow of their own, and nothing left of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
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
