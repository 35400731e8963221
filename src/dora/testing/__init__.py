"""Tests of nodes and operators without a dataflow.

`MockNode` takes the place of a node in code that is given one (dora node-api, section 21).  `NodeHarness` runs a whole
script, function or operator class: its own `from dora import Node` yields a node that the test feeds, on a clock that
does not wait.  The pytest plugin offers the harness as the fixture `node_harness`.  Names are resolved on first use,
because pytest loads the plugin, and with it this module, wherever dora is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dora.testing.harness import NodeHarness as NodeHarness
    from dora.testing.inputs import at as at
    from dora.testing.mock_node import MockNode as MockNode
    from dora.testing.result import LogLine as LogLine
    from dora.testing.result import Result as Result
    from dora.testing.result import Sent as Sent
    from dora.testing.settings import NodeSettings as NodeSettings

_HOMES = {
    "LogLine": "dora.testing.result",
    "MockNode": "dora.testing.mock_node",
    "NodeHarness": "dora.testing.harness",
    "NodeSettings": "dora.testing.settings",
    "Result": "dora.testing.result",
    "Sent": "dora.testing.result",
    "at": "dora.testing.inputs",
}

__all__ = ["LogLine", "MockNode", "NodeHarness", "NodeSettings", "Result", "Sent", "at"]


if not TYPE_CHECKING:  # a type checker would take it as leave for any name

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'dora.testing' has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
