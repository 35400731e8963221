"""Published packages run unmodified and leave our dora in place; all of them: `benchmarks/long_runs.py published`."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios import published
from end_to_end.scenarios.marks import hold


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_published_nodes_run_in_environments_of_their_own(flow: Flow, tmp_path: Path) -> None:
    fault = published.index_fault(tmp_path / "downloads")
    if fault:
        pytest.skip(f"packages cannot be downloaded: {fault}")
    hold(published.arm(flow, 10, "--uv") + published.foreign_doras(flow.folder))
