"""dora, the dataflow-oriented robotic architecture: nodes that exchange Apache Arrow arrays.

Public names are resolved on first use, so that a node pays only for what it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dora.version import VERSION

if TYPE_CHECKING:
    from dora.commands import build as build
    from dora.commands import run as run
    from dora.commands import start_runtime as start_runtime
    from dora.node.node import Node as Node
    from dora.node.status import DoraStatus as DoraStatus

__version__: str = VERSION
__author__: str = "Dora-rs Authors"

_HOMES = {
    "Node": "dora.node.node",
    "DoraStatus": "dora.node.status",
    "build": "dora.commands",
    "run": "dora.commands",
    "start_runtime": "dora.commands",
}

__all__ = ["DoraStatus", "Node", "__author__", "__version__", "build", "run", "start_runtime"]


if not TYPE_CHECKING:  # a type checker would take it as leave for any name

    def __getattr__(name: str) -> object:
        import importlib

        home = _HOMES.get(name)
        if home is not None:
            value = getattr(importlib.import_module(home), name)
        elif name.startswith("Ros2") and name in (ros2 := importlib.import_module("dora.ros2")).NAMES:
            value = ros2.absent(name)
        else:
            raise AttributeError(f"module 'dora' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES} - {"TYPE_CHECKING", "VERSION", "annotations"})
