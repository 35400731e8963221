"""Makes nodes ready to run: downloads, managed environments, `build:` lines; what has not changed is left alone.

Strategy: here is only the question whether anything is to be done at all, because `dora run` asks it every time; the
doing is in `build_jobs.py` and loaded when needed.  A `build` is a script for a real shell with `set -e`, run in the
dataflow's folder; nodes are built side by side, as many as there are processors, but those that install packages
into one and the same environment one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dora.dataflow.descriptor import Dataflow
from dora.dataflow.programs import is_url


def build_all(
    dataflow: Dataflow,
    *,
    uv: bool,
    on_line: Callable[[str, str], None],
    on_state: Callable[[str, str], None],
    is_forced: bool = False,
) -> dict[str, Path]:
    """Build every node that changed; a KeyboardInterrupt ends it and all that it started.

    Args:
        uv: give Python nodes with a build their own environment.
        on_line: takes the node and a line that its build printed.
        on_state: takes the node and what is being done for it; "" when it is done.
        is_forced: build what has not changed, too.

    Returns: the managed environments, by node.

    Raises:
        NodeError: a build failed; the text has the node, the command, its exit status and the last lines it printed.
    """
    if not needs_build(dataflow):
        return {}
    from dora.runner import build_jobs  # most runs have nothing to build, and this takes 60 ms to import

    options = build_jobs.Options(uses_uv=uv, is_forced=is_forced, environ=dict(os.environ))
    return build_jobs.build(dataflow, options, build_jobs.Listener(on_line, on_state))


def needs_build(dataflow: Dataflow) -> bool:
    """Whether any node has something to build or to download."""
    nodes = dataflow.nodes
    return any(node.build or is_url(node.path) for node in nodes) or any(
        is_url(operator.source) for node in nodes for operator in node.operators
    )
