"""Runs the `build:` lines, before a run or alone, and says how that goes.

Strategy: `builds.py` does the work and calls back; while it blocks, a thread lets the progress display tick.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from dora.dataflow.descriptor import Dataflow
from dora.dataflow.load import load_dataflow
from dora.dataflow.programs import check_sources
from dora.ids import new_dataflow_id
from dora.runner.builds import build_all, needs_build
from dora.runner.built import Built, Listener
from dora.runner.display import Display
from dora.runner.options import BuildOptions, RunOptions
from dora.runner.progress import BUILDING, Progress
from dora.runner.run_console import make_console
from dora.runner.status_line import is_redrawable

_TICK_S: Final = 0.25


def build(dataflow: Dataflow, options: BuildOptions, console: Display, progress: Progress) -> Built:
    """Build every node that changed.

    Raises:
        NodeError: a build line failed.
    """
    display = _Display(console, progress)
    ticker = threading.Thread(target=display.tick_until_done, name="dora-build-progress", daemon=True)
    ticker.start()
    try:
        return build_all(dataflow, options, Listener(display.show_line, display.show_state, console.system))
    except KeyboardInterrupt:
        console.note("interrupted: the builds under way were ended; what was finished is kept")
        raise
    finally:
        display.end()
        ticker.join()


def build_dataflow(options: RunOptions, *, is_local: bool = True, has_strict_types: bool = False) -> None:
    """Make the nodes of a dataflow ready to run, without running them.

    Args:
        is_local: it is meant that nodes with `deploy` are built here, too.
        has_strict_types: warnings about types are errors, also if the file does not say so.

    Raises:
        DescriptorError: the file is wrong; nothing was built.
        NodeError: a `build:` line failed.
    """
    dataflow = load_dataflow(
        options.path, overrides=options.env, has_strict_types=has_strict_types, looks_for_programs=True
    )
    console = make_console(options, dataflow, new_dataflow_id())
    try:
        for warning in dataflow.warnings:
            console.note(f"warning: {warning}")
        elsewhere = [] if is_local else [str(node.id) for node in dataflow.nodes if node.deploy is not None]
        if elsewhere:
            console.note(f"warning: nodes with 'deploy' are built on this machine: {', '.join(elsewhere)}")
        if not needs_build(dataflow):
            console.system("nothing to build: no node has `build:`, `git:` or a URL")
        if needs_build(dataflow, options.build):
            progress = Progress(console, is_live=is_redrawable(2, os.environ), is_quiet=options.is_quiet)
            build(dataflow, options.build, console, progress)
        for missing in check_sources(dataflow):  # only now: one node's build may make the program of another
            console.note(f"warning: {missing}")
    finally:
        console.close()


class _Display:
    """What is shown of a build; two threads use it."""

    def __init__(self, console: Display, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._since_s: dict[str, float] = {}
        progress.begin(BUILDING, time.monotonic())

    def show_line(self, node: str, text: str) -> None:
        """A line that a build printed."""
        self._console.system(text, "info", node)

    def show_state(self, node: str, state: str) -> None:
        """A node's build is in that state; an empty state: it is done."""
        now_s = time.monotonic()
        with self._lock:
            if state:
                self._since_s.setdefault(node, now_s)
                self._progress.wait_for(node, state, now_s)
            else:
                self._progress.done(node)
                self._console.system(f"ready after {now_s - self._since_s.pop(node, now_s):.1f} s", "info", node)

    def tick_until_done(self) -> None:
        """On a thread of its own."""
        while not self._done.wait(_TICK_S):
            with self._lock:
                self._progress.tick(time.monotonic())

    def end(self) -> None:
        """The build is over, well or not."""
        self._done.set()
        with self._lock:
            self._progress.end()
