"""What a build tells while it runs, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Listener:
    """Who is told.

    Attributes:
        on_line: takes the node and a line that its build printed.
        on_state: takes the node and what is being done for it; "" when it is done.
        on_note: takes a sentence about all builds.
    """

    on_line: Callable[[str, str], None]
    on_state: Callable[[str, str], None]
    on_note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Built:
    """Where nodes live that do not live in the dataflow's folder with the interpreter of `dora`.

    Attributes:
        managed_envs: the environments of `--uv`, by node.
        working_dirs: the clones of nodes that come from a repository, by node.
    """

    managed_envs: Mapping[str, Path] = field(default_factory=dict)
    working_dirs: Mapping[str, Path] = field(default_factory=dict)
