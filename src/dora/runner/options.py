"""What a run or a build is asked to do, as the command line states it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Background:
    """A run that nobody sits in front of.

    Attributes:
        dataflow_id: given beforehand, so that who starts it knows it.
        request: how it was started, as JSON, for whoever wants to start it again.
        on_ended: takes `messages.runner_daemon.Ended`, before anybody else hears of the end.
    """

    dataflow_id: str
    name: str
    request: str
    on_ended: Callable[[Any], object]


@dataclass(frozen=True)
class BuildOptions:
    """How nodes are made ready to run.

    Attributes:
        uses_uv: `--uv`: managed environments.
        is_forced: build what has not changed, too.
        is_locked: `--locked`: commits and checksums come from the lock file.
        writes_lock: `--write-lockfile`: they go into it.
        lockfile: where it is; None: beside the dataflow.
        is_offline: repositories that are here are not asked, uv takes packages from its cache.
    """

    uses_uv: bool = False
    is_forced: bool = False
    is_locked: bool = False
    writes_lock: bool = False
    lockfile: Path | None = None
    is_offline: bool = False


@dataclass(frozen=True)
class RunOptions:
    """The options of `dora run`.

    Attributes:
        build: what is done before the nodes are started.
        stop_after_s: stop that long after the nodes are spawned, or None.
        log_filter: as written; checked against the nodes once they are known.
        env: `--env`: between the file's root `env` and a node's own.
        reloads_operators: `--hot-reload`: operators take up their files when these are saved.
        exits_when_nodes_finish: None: as the file says.
        is_realtime: `--rt`: of the runner, not of the nodes (`realtime.py`).
        straggler_patience_s: `DORA_FINISH_DRAIN_GRACE_SECS` (`straggling.py`); None: for ever.
        on_failure: takes the report of a run that failed, in place of the console.
    """

    path: Path
    build: BuildOptions = BuildOptions()
    stop_after_s: float | None = None
    log_level: str = "stdout"
    log_format: str = "pretty"
    log_filter: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    exits_when_nodes_finish: bool | None = None
    allows_shell_nodes: bool = False
    reloads_operators: bool = False
    grace_s: float = 10.0
    is_realtime: bool = False
    straggler_patience_s: int | None = 120
    is_quiet: bool = False
    on_failure: Callable[[str], object] | None = None
    background: Background | None = None
