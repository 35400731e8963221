"""One build of a dataflow from its start to its end: plan, run what is to be done, write down what is done.

Strategy: first the sources, because what they hold decides what is to be built; then everything else.  Only one build
at a time in one dataflow folder: a second one waits, then looks again and mostly finds nothing to do.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from dora.dataflow.descriptor import Dataflow
from dora.dataflow.lockfile import Lock, LockedCommit, lock_path, read_lock, ref_text, write_lock
from dora.errors import ResourceError
from dora.runner import build_state, environments, git_sources
from dora.runner.build_plan import Job, Planner
from dora.runner.built import Built, Listener
from dora.runner.git_sources import GitSources
from dora.runner.options import BuildOptions
from dora.runner.session import write_session

LOCK_NAME: Final = "build.lock"
MOST_NAMED: Final = 8


def build(dataflow: Dataflow, options: BuildOptions, environ: Mapping[str, str], listener: Listener) -> Built:
    """See `builds.build_all`."""
    work = _Work(dataflow, options, environ, listener)
    if work.is_anything_to_do():
        with _only_build(dataflow, listener):
            try:
                work.do()
            except OSError as error:
                what = f" {error.filename}" if error.filename else f" in {dataflow.working_dir}"
                raise ResourceError(f"cannot write{what}: {error.strerror}") from error
    else:
        work.tell_unchanged(())
    return work.planner.built


class _Work:
    """One build.

    Attributes:
        planner: knows the clones as soon as these are there.
    """

    def __init__(
        self, dataflow: Dataflow, options: BuildOptions, environ: Mapping[str, str], listener: Listener
    ) -> None:
        self._dataflow = dataflow
        self._options = options
        self._environ = environ
        self._listener = listener
        self._lock_path = options.lockfile or lock_path(dataflow)
        self._lock = read_lock(self._lock_path, dataflow) if options.is_locked else None
        commits = None if self._lock is None else {name: found.commit for name, found in self._lock.commits.items()}
        self._sources = GitSources(dataflow, environ, options, commits)
        self.planner = self._make_planner()

    def is_anything_to_do(self) -> bool:
        """Any job, or a file to write."""
        return bool(self._options.writes_lock or self._sources.jobs() or self.planner.plan())

    def do(self) -> None:
        """All of it; the files that say what was built are written at the end."""
        jobs = self._sources.jobs()
        if jobs:
            git_sources.make_folder(self._dataflow.working_dir)
            self._run(jobs)
            self.planner = self._make_planner()
        self._build_changed()
        if self._options.writes_lock:
            write_lock(self._lock_path, self._made_lock())
            self._listener.on_note(f"wrote {self._lock_path}")
        write_session(self._dataflow, self.planner.built, self._sources.found_commits())

    def tell_unchanged(self, undone: Iterable[str]) -> None:
        """Name the builds that are not repeated."""
        names = [str(node.id) for node in self._dataflow.nodes if node.build and node.id not in undone]
        if names:
            rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            self._listener.on_note(f"unchanged, not built again: {', '.join(names[:MOST_NAMED])}{rest}")

    def _make_planner(self) -> Planner:
        envs = environments.environments_of(self._dataflow, self._environ) if self._options.uses_uv else {}
        built = Built({name: env.folder for name, env in envs.items()}, self._sources.working_dirs())
        checksums = {} if self._lock is None else self._lock.checksums
        return Planner(self._dataflow, self._options, self._environ, built, envs, checksums)

    def _build_changed(self) -> None:
        jobs = self.planner.plan()
        undone = {name for job in jobs for name in job.names}
        self.tell_unchanged(undone)
        working_dir = self._dataflow.working_dir
        for name in undone:
            build_state.forget(working_dir, name)
        try:
            self._run(jobs, undone)
        finally:
            for node in self._dataflow.nodes:  # only now: a build may write what another one's fingerprint counts
                if node.build and node.id not in undone:
                    build_state.remember(working_dir, node.id, self.planner.fingerprint(node))

    def _run(self, jobs: Sequence[Job], undone: set[str] | None = None) -> None:
        from dora.runner.build_runner import run_jobs  # mostly nothing has changed

        left = set() if undone is None else undone
        run_jobs(jobs, self._listener, on_done=lambda job: left.difference_update(job.names))

    def _made_lock(self) -> Lock:
        commits = self._sources.found_commits()
        sources = {str(node.id): node.git for node in self._dataflow.nodes if node.git is not None}
        locked = {name: LockedCommit(git.url, commits[name], ref_text(git)) for name, git in sources.items()}
        files = self.planner.downloads()
        return Lock(locked, {url: build_state.checksum_of(file) for url, file in files.items()})


@contextmanager
def _only_build(dataflow: Dataflow, listener: Listener) -> Iterator[None]:
    """Hold the lock of the dataflow's folder."""
    try:
        folder = build_state.make_folder(dataflow.working_dir)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free space" if is_full else "builds need a folder that can be written: copy the dataflow to one"
        raise ResourceError(
            f"cannot keep the state of builds in {dataflow.working_dir}: {error.strerror}; {mend}"
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
