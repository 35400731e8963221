"""One build of a dataflow from its start to its end: plan, run what is to be done, write down what is done.

Strategy: only one build at a time in one dataflow folder: a second one waits, then looks again and mostly finds
nothing to do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from dora.dataflow.descriptor import Dataflow
from dora.errors import ResourceError
from dora.runner import build_state, environments
from dora.runner.build_plan import Planner
from dora.runner.built import Built, Listener
from dora.runner.options import BuildOptions

LOCK_NAME: Final = "build.lock"
MOST_NAMED: Final = 8


def build(dataflow: Dataflow, options: BuildOptions, environ: Mapping[str, str], listener: Listener) -> Built:
    """See `builds.build_all`."""
    managed_envs = environments.managed_envs_of(dataflow) if options.uses_uv else {}
    planner = Planner(dataflow, options, environ, managed_envs)
    if planner.plan():
        _build_changed(planner, listener)
    else:
        _tell_unchanged(dataflow, set(), listener)
    return Built(managed_envs)


def _build_changed(planner: Planner, listener: Listener) -> None:
    from dora.runner.build_runner import run_jobs  # mostly nothing has changed

    dataflow = planner.dataflow
    with _only_build(dataflow, listener):
        jobs = planner.plan()
        undone = {name for job in jobs for name in job.names}
        _tell_unchanged(dataflow, undone, listener)
        for name in undone:
            build_state.forget(dataflow.working_dir, name)
        try:
            run_jobs(jobs, listener, on_done=lambda job: undone.difference_update(job.names))
        finally:
            for node in dataflow.nodes:  # only now: a build may have written what another one's fingerprint counts
                if node.build and node.id not in undone:
                    build_state.remember(dataflow.working_dir, node.id, planner.fingerprint(node))


def _tell_unchanged(dataflow: Dataflow, undone: Iterable[str], listener: Listener) -> None:
    names = [str(node.id) for node in dataflow.nodes if node.build and node.id not in undone]
    if names:
        rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        listener.on_note(f"unchanged, not built again: {', '.join(names[:MOST_NAMED])}{rest}")


@contextmanager
def _only_build(dataflow: Dataflow, listener: Listener) -> Iterator[None]:
    """Hold the lock of the dataflow's folder."""
    try:
        folder = build_state.make_folder(dataflow.working_dir)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ResourceError(
            f"cannot keep the state of builds in {dataflow.working_dir}: {error.strerror}; "
            "builds need a folder that can be written: copy the dataflow to one"
        ) from error
    name = str(dataflow.nodes[0].id)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener.on_state(name, "waiting for another build in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
