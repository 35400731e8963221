"""What is to be done before the nodes can run: a job per build, each a list of steps, and when a job may be left out.

Strategy: planning looks (fingerprints, stamps, files) and decides; `build_runner.py` runs the steps as processes; what
a step leaves to be written down is in its `finish`.  Only one build at a time in one dataflow folder: a second one
waits, then looks again and mostly finds nothing to do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, Node
from dora.errors import DescriptorError, ResourceError
from dora.runner import build_state, downloads, environments
from dora.runner.interpreter import base_environment, downloads_of, interpreter_for
from dora.runner.package_index import settings_for_uv

LOCK_NAME: Final = "build.lock"
FAILED_COMMAND: Final = "DORA_FAILED_COMMAND"
BASH_TRAP: Final = f"""trap 'printf %s "$BASH_COMMAND" >"${FAILED_COMMAND}"' ERR\n"""
"""Tells which command of the script ended it; the variable names the file to write to."""

_INSTALLER: Final = re.compile(r"\b(pip3?|uv|conda|mamba|poetry|pdm|pixi)\b")


@dataclass(frozen=True)
class Options:
    """How to build.

    Attributes:
        environ: what builds inherit.
    """

    uses_uv: bool
    is_forced: bool
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Listener:
    """Who is told; see `builds.build_all`."""

    on_line: Callable[[str, str], None]
    on_state: Callable[[str, str], None]


@dataclass(frozen=True)
class Step:
    """One process.

    Attributes:
        state: what is being done, for the progress line.
        shown: the command as the user knows it, for the error.
        finish: to be called when the process ended well.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    state: str
    shown: str
    finish: Callable[[], None] | None = None


@dataclass(frozen=True)
class Job:
    """The steps for one node, one after the other.

    Attributes:
        names: the nodes that it makes ready (the same build of several nodes runs once); the first one is shown.
        shared: what no two jobs may change at once, or None.
    """

    names: tuple[str, ...]
    cwd: str
    steps: tuple[Step, ...]
    shared: str | None = None
    notes: tuple[str, ...] = field(default=())


def build(dataflow: Dataflow, options: Options, listener: Listener) -> dict[str, Path]:
    """See `builds.build_all`."""
    managed = managed_environments(dataflow) if options.uses_uv else {}
    if not plan(dataflow, options, managed):
        return managed
    from dora.runner.build_runner import run_jobs  # mostly nothing has changed

    with _only_build(dataflow, listener):
        jobs = plan(dataflow, options, managed)
        undone = {name for job in jobs for name in job.names}
        for name in undone:
            build_state.forget(dataflow.working_dir, name)
        try:
            run_jobs(jobs, listener, on_done=lambda job: undone.difference_update(job.names))
        finally:
            for node in dataflow.nodes:  # only now: a build may have written what another one's fingerprint counts
                if node.build and node.id not in undone:
                    build_state.remember(dataflow.working_dir, node.id, _fingerprint(node, dataflow, options, managed))
    return managed


def managed_environments(dataflow: Dataflow) -> dict[str, Path]:
    """The environments of `--uv`, by node."""
    found = {str(node.id): environments.managed_env_of(node, dataflow.working_dir) for node in dataflow.nodes}
    return {name: env for name, env in found.items() if env is not None}


def plan(dataflow: Dataflow, options: Options, managed: Mapping[str, Path]) -> list[Job]:
    """The jobs that are not done yet; the same build in the same environment is one job."""
    jobs: dict[object, Job] = {}
    for node in dataflow.nodes:
        job = _job(node, dataflow, options, managed)
        if job is None:
            continue
        is_alone = node.id in managed or downloads_of(node, dataflow.working_dir)
        key = (
            node.id if is_alone else (node.build, *node.env.items(), _interpreter(node, dataflow.working_dir, options))
        )
        former = jobs.get(key)
        jobs[key] = job if former is None else _joined(former, job)
    return list(jobs.values())


def _joined(first: Job, second: Job) -> Job:
    return Job((*first.names, *second.names), first.cwd, first.steps, first.shared, first.notes)


def _job(node: Node, dataflow: Dataflow, options: Options, managed: Mapping[str, Path]) -> Job | None:
    working_dir = dataflow.working_dir
    steps: list[Step] = []
    notes: list[str] = []
    for url, file in downloads_of(node, working_dir).items():
        if not _is_downloaded(file, node.path_sha256, options):
            steps.append(_download_step(url, file, node.path_sha256, options))
            if node.path_sha256 is None:
                hint = "" if node.is_runtime else "; give its 'path_sha256'"
                notes.append(f"warning: {url} is used unchecked{hint}")
    env = managed.get(node.id)
    shared = None
    if node.build:
        uv = environments.find_uv(options.environ) if env is not None else ""
        if env is not None and not environments.is_ready(env):
            steps.append(_environment_step(node, env, uv, working_dir, options))
        former = build_state.remembered(working_dir, node.id)
        if options.is_forced or former is None or former != _fingerprint(node, dataflow, options, managed):
            steps.append(_build_step(node, env, uv, working_dir, options))
        if env is None and _INSTALLER.search(node.build):
            shared = _interpreter(node, working_dir, options)
    return Job((str(node.id),), str(working_dir), tuple(steps), shared, tuple(notes)) if steps else None


def _is_downloaded(file: Path, sha256: str | None, options: Options) -> bool:
    if options.is_forced or not file.exists():
        return False
    if sha256 is None:
        return True
    with file.open("rb") as content:
        digest = hashlib.sha256()
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == sha256.lower()


def _download_step(url: str, file: Path, sha256: str | None, options: Options) -> Step:
    argv = (sys.executable, "-I", downloads.__file__, url, str(file), sha256 or "")
    return Step(argv, dict(options.environ), "downloading", f"download of {url}")


def _environment_step(node: Node, env: Path, uv: str, working_dir: Path, options: Options) -> Step:
    cache = environments.cache_dir(options.environ, working_dir)
    variables = base_environment(node, managed_env=env, environ=options.environ)
    variables |= settings_for_uv(options.environ)
    return Step(
        environments.create_command(env, uv, cache),
        variables,
        "creating its environment",
        f"creation of {env}",
        finish=partial(environments.finish, env, environments.environment_id(env)),
    )


def _build_step(node: Node, env: Path | None, uv: str, working_dir: Path, options: Options) -> Step:
    variables = base_environment(node, managed_env=env, environ=options.environ)
    variables["PYTHONUNBUFFERED"] = "1"
    prelude = ""
    if env is not None:
        variables |= environments.uv_settings(environments.cache_dir(options.environ, working_dir), options.environ)
        prelude = environments.PIP_THROUGH_UV.format(uv=shlex.quote(uv))
    else:
        variables["PATH"] = _path_with_interpreter(node, variables.get("PATH", os.defpath), working_dir, options)
    bash = shutil.which("bash", path=variables["PATH"])
    if bash is not None:
        prelude += BASH_TRAP
    build = node.build or ""
    return Step(
        (bash or "/bin/sh", "-e", "-c", prelude + build, "build"),
        variables,
        "running its build",
        build.strip(),
    )


def _path_with_interpreter(node: Node, path: str, working_dir: Path, options: Options) -> str:
    """PATH, with the environment in front in which the node will run: its `pip` is the right one."""
    folder = os.path.dirname(_interpreter(node, working_dir, options))
    is_environment = os.path.exists(os.path.join(os.path.dirname(folder), "pyvenv.cfg"))
    return f"{folder}{os.pathsep}{path}" if is_environment and folder not in path.split(os.pathsep) else path


def _interpreter(node: Node, working_dir: Path, options: Options) -> str:
    try:
        return interpreter_for(node, working_dir, managed_env=None, environ=options.environ).path
    except DescriptorError:  # the environment that it states is perhaps what the build makes
        return sys.executable


def _fingerprint(node: Node, dataflow: Dataflow, options: Options, managed: Mapping[str, Path]) -> str:
    env = managed.get(node.id)
    if env is not None:
        return build_state.fingerprint(node, dataflow.working_dir, [environments.environment_id(env)])
    interpreter = _interpreter(node, dataflow.working_dir, options)
    settings = Path(interpreter).parent.parent / "pyvenv.cfg"
    times = [file.stat().st_mtime_ns for file in (Path(interpreter), settings) if file.exists()]
    return build_state.fingerprint(node, dataflow.working_dir, [interpreter, *times])


@contextmanager
def _only_build(dataflow: Dataflow, listener: Listener) -> Iterator[None]:
    """Hold the lock of the dataflow's folder."""
    try:
        folder = build_state.make_folder(dataflow.working_dir)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ResourceError(f"cannot keep the state of builds in {dataflow.working_dir}: {error.strerror}") from error
    name = str(dataflow.nodes[0].id)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener.on_state(name, "waiting for another build in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
            listener.on_state(name, "")
        yield
    finally:
        os.close(lock)
