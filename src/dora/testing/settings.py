"""Who the node under test is, and what it finds around it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class NodeSettings:
    """The surroundings of a node under test.

    Attributes:
        args: `sys.argv[1:]` of a script.
        env: environment variables, on top of those of the test.
        outputs: the declared outputs; None: every output exists.
        node_config: what `node.node_config()` returns; None: no inputs, and the declared outputs.
        dataflow_descriptor: what `node.dataflow_descriptor()` returns; None: it raises.
        restart_count: 0 for the first run.
        working_dir: the current folder of the node; None: that of the test.
        is_clock_real: time passes as it does; otherwise waiting and sleeping cost nothing.
        patience_s: after so many real seconds a node that does not end fails the test.
    """

    node_id: str = "tested"
    dataflow_id: str = "00000000-0000-7000-8000-000000000000"
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: list[str] | None = None
    node_config: dict[str, Any] | None = None
    dataflow_descriptor: dict[str, Any] | None = None
    restart_count: int = 0
    working_dir: str | os.PathLike[str] | None = None
    is_clock_real: bool = False
    patience_s: float = 10.0
