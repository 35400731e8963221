"""Makes nodes ready to run: sources, managed environments, `build:` lines; what has not changed is left alone.

Strategy: here is only the question whether anything is to be done at all, because `dora run` asks it every time; the
doing is in `build_jobs.py` and loaded when needed.  A `build` is a script for a real shell with `set -e`, run in the
dataflow's folder (of a node from a repository: in its clone); nodes are built side by side, as many as there are
processors, but those that install packages into one and the same environment one after the other.
"""

from __future__ import annotations

import os
from typing import Final

from dora.dataflow.descriptor import Dataflow
from dora.dataflow.programs import is_url
from dora.runner.built import Built, Listener
from dora.runner.options import BuildOptions

_PLAIN: Final = BuildOptions()


def build_all(dataflow: Dataflow, options: BuildOptions, listener: Listener) -> Built:
    """Build every node that changed; a KeyboardInterrupt ends it and all that it started.

    Raises:
        NodeError: a build failed; the text has the node, the command, its exit status and the last lines it printed.
    """
    if not needs_build(dataflow, options):
        return Built()
    from dora.runner import build_jobs  # most runs have nothing to build, and this takes 60 ms to import

    return build_jobs.build(dataflow, options, dict(os.environ), listener)


def needs_build(dataflow: Dataflow, options: BuildOptions = _PLAIN) -> bool:
    """Whether any node has something to build, to clone or to download, or a lock file is asked for."""
    if options.is_locked or options.writes_lock:
        return True
    nodes = dataflow.nodes
    return any(node.build or node.git is not None or is_url(node.path) for node in nodes) or any(
        is_url(operator.source) for node in nodes for operator in node.operators
    )
