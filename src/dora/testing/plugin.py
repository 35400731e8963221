"""The pytest plugin: the fixture `node_harness`.

    def test_doubler(node_harness):
        result = node_harness("doubler.py").run([("tick", [21])])
        assert result.outputs["doubled"][0].to_pylist() == [42]

pytest loads this module in every run where dora is installed, so it imports nothing of dora before the fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dora.testing import NodeHarness

_FOLDERS_UP = 3


@pytest.fixture
def node_harness(request: pytest.FixtureRequest) -> Callable[..., NodeHarness]:
    """Makes harnesses: `node_harness(program, settings)` as `dora.testing.NodeHarness`.

    A relative path of a script is looked up in the current folder, then beside the test and in the folders above.
    """
    from dora.testing.harness import NodeHarness  # not in test runs that do not use it

    def make(program: Any, *settings: Any, **named: Any) -> NodeHarness:
        if isinstance(program, (str, os.PathLike)):
            program = _find(Path(program), request.path.parent)
        return NodeHarness(program, *settings, **named)

    return make


def _find(path: Path, test_folder: Path) -> Path:
    folders = [Path(), test_folder, *test_folder.parents[:_FOLDERS_UP]]
    return next((folder / path for folder in folders if (folder / path).is_file()), path)
