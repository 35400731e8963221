"""What is to be done before the nodes can run: a job per build, each a list of steps, and when a job may be left out.

Strategy: planning looks (fingerprints, stamps, files) and decides; it starts nothing and writes nothing.
`build_runner.py` runs the steps as processes; what a step leaves to be written down is in its `finish`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, Node
from dora.errors import DescriptorError
from dora.runner import build_state, environments
from dora.runner.built import Built
from dora.runner.environments import Environment
from dora.runner.interpreter import base_environment, downloads_of, interpreter_for
from dora.runner.options import BuildOptions
from dora.runner.own_wheel import cache_dir
from dora.runner.pip_guard import guard_of_pip
from dora.runner.stated_python import StatedPython, located, stated_python

DOWNLOAD_SCRIPT: Final = str(Path(__file__).with_name("downloads.py"))
FAILED_COMMAND: Final = "DORA_FAILED_COMMAND"
BASH_TRAP: Final = f"""trap 'printf %s "$BASH_COMMAND" >"${FAILED_COMMAND}"' ERR\n"""
"""Tells which command of the script ended it; the variable names the file to write to."""

PIP_OF_PYTHON: Final = """pip() {{ {python} -m pip "$@" || return; }}
pip3() {{ pip "$@"; }}
"""

_INSTALLER: Final = re.compile(r"\b(pip3?|uv|conda|mamba|poetry|pdm|pixi)\b")


@dataclass(frozen=True)
class Step:
    """One process.

    Attributes:
        state: what is being done, for the progress line.
        shown: the command as the user knows it, for the error.
        finish: to be called when the process ended well.
        is_own: a step of ours; what it prints when it fails says why.
        is_needed: asked when its turn comes; None: it is.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    state: str
    shown: str
    finish: Callable[[], None] | None = None
    is_own: bool = False
    is_needed: Callable[[], bool] | None = None


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


@dataclass(frozen=True)
class Planner:
    """Looks what is to be done for each node.

    Attributes:
        environ: what builds inherit.
        built: where nodes live, as far as it is known before they are built.
        environments: those of `--uv`, by node.
        checksums: what a lock file says of URLs.
    """

    dataflow: Dataflow
    options: BuildOptions
    environ: Mapping[str, str]
    built: Built
    environments: Mapping[str, Environment]
    checksums: Mapping[str, str] = field(default_factory=dict)

    def plan(self) -> list[Job]:
        """The jobs that are not done yet; the same build in the same environment is one job."""
        jobs: dict[object, Job] = {}
        for node in self.dataflow.nodes:
            job = self._job(node)
            if job is None:
                continue
            key = self._key(node)
            former = jobs.get(key)
            jobs[key] = job if former is None else _joined(former, job)
        return list(jobs.values())

    def fingerprint(self, node: Node) -> str:
        """Changes when the `build` of the node has to run again."""
        env = self.environments.get(node.id)
        clone = [self._folder(node)] if node.git is not None else []
        if env is not None:
            return build_state.fingerprint(node, self._folder(node), [env.id, *clone])
        interpreter = self._interpreter(node)
        settings = Path(interpreter).parent.parent / "pyvenv.cfg"
        times = [file.stat().st_mtime_ns for file in (Path(interpreter), settings) if file.exists()]
        return build_state.fingerprint(node, self._folder(node), [interpreter, *times, *clone])

    def downloads(self) -> dict[str, Path]:
        """What is downloaded, and where it is kept."""
        found = [downloads_of(node, self._folder(node)) for node in self.dataflow.nodes]
        return {url: file for files in found for url, file in files.items()}

    def _folder(self, node: Node) -> Path:
        return self.built.working_dirs.get(str(node.id), self.dataflow.working_dir)

    def _key(self, node: Node) -> object:
        if node.id in self.environments or downloads_of(node, self._folder(node)):
            return node.id
        return (node.build, *node.env.items(), self._interpreter(node), self._folder(node))

    def _job(self, node: Node) -> Job | None:
        folder = self._folder(node)
        steps: list[Step] = []
        notes: list[str] = []
        for url, file in downloads_of(node, folder).items():
            sha256 = node.path_sha256 or self.checksums.get(url)
            if not self._is_downloaded(file, sha256):
                steps.append(self._download_step(url, file, sha256))
                if sha256 is None:
                    hint = "" if node.is_runtime else "; give its 'path_sha256'"
                    notes.append(f"warning: {url} is used unchecked{hint}")
        if node.build:
            steps += self._build_steps(node)
        is_sharing = node.build and node.id not in self.environments and _INSTALLER.search(node.build)
        shared = self._interpreter(node) if is_sharing else None
        return Job((str(node.id),), str(folder), tuple(steps), shared, tuple(notes)) if steps else None

    def _build_steps(self, node: Node) -> list[Step]:
        env = self.environments.get(node.id)
        is_forced = self.options.is_forced
        former = build_state.remembered(self.dataflow.working_dir, node.id)
        is_changed = is_forced or former is None or former != self.fingerprint(node)
        if env is None:
            return [self._build_step(node)] if is_changed else []
        is_renewed = is_forced or not env.is_ready
        if not (is_changed or is_renewed):
            return []
        uv = environments.find_uv(self.environ)
        first = [self._environment_step(node, env, uv)] if is_renewed else []
        return [*first, *(self._managed_build_steps(node, env, uv) if is_changed else [])]

    def _is_downloaded(self, file: Path, sha256: str | None) -> bool:
        if self.options.is_forced or not file.exists():
            return False
        return sha256 is None or build_state.checksum_of(file) == sha256.lower()

    def _download_step(self, url: str, file: Path, sha256: str | None) -> Step:
        argv = (sys.executable, "-I", DOWNLOAD_SCRIPT, url, str(file), sha256 or "")
        return Step(argv, dict(self.environ), "downloading", f"download of {url}", is_own=True)

    def _cache(self) -> Path:
        return cache_dir(self.environ, self.dataflow.working_dir / build_state.FOLDER / "cache")

    def _environment_step(self, node: Node, env: Environment, uv: str) -> Step:
        former_id = None if self.options.is_forced else env.id
        return Step(
            env.create_command(uv, self._cache(), is_forced=self.options.is_forced),
            environments.variables_to_create(self._managed_variables(node, env)),
            "creating its environment",
            f"creation of {env.folder}",
            finish=partial(env.finish, former_id, self._cache()),
            is_own=True,
        )

    def _managed_build_steps(self, node: Node, env: Environment, uv: str) -> list[Step]:
        variables = self._managed_variables(node, env) | {"PYTHONUNBUFFERED": "1"}
        script = _script_step(node, environments.PIP_THROUGH_UV.format(uv=shlex.quote(uv)), variables)
        put_back = Step(
            env.put_back_command(uv, self._cache()),
            environments.variables_to_create(variables),
            "putting dora back",
            f"installation of dora into {env.folder}",
            is_own=True,
            is_needed=lambda: not env.has_our_dora,
        )
        return [script, put_back]

    def _managed_variables(self, node: Node, env: Environment) -> dict[str, str]:
        variables = base_environment(node, self._folder(node), managed_env=env.folder, environ=self.environ)
        offline = {"UV_OFFLINE": "1"} if self.options.is_offline else {}
        return variables | environments.uv_settings(self.environ, self.dataflow.working_dir) | offline

    def _build_step(self, node: Node) -> Step:
        variables = base_environment(node, self._folder(node), managed_env=None, environ=self.environ)
        variables["PYTHONUNBUFFERED"] = "1"
        variables["PATH"] = self._path_with_interpreter(node, variables.get("PATH", os.defpath))
        if _INSTALLER.search(node.build or ""):
            variables |= guard_of_pip(self._cache(), variables)
        return _script_step(node, self._pip_of_stated(node), variables)

    def _pip_of_stated(self, node: Node) -> str:
        """A leading `pip` is that of the Python which the node states."""
        stated = self._stated(node)
        return "" if stated is None else PIP_OF_PYTHON.format(python=shlex.quote(stated.path))

    def _stated(self, node: Node) -> StatedPython | None:
        """The Python that a node states; None also if its build seems to make it."""
        try:
            return stated_python(node, self._folder(node), self.environ)
        except DescriptorError as error:
            name = os.path.basename(node.interpreter.value.rstrip("/")) if node.interpreter is not None else ""
            if name and name in (node.build or ""):
                return None
            raise DescriptorError([located(text, node.file or self.dataflow.file) for text in error.problems]) from None

    def _path_with_interpreter(self, node: Node, path: str) -> str:
        """PATH, with the environment in front in which the node will run: its `pip` is the right one."""
        folder = os.path.dirname(self._interpreter(node))
        is_environment = os.path.exists(os.path.join(os.path.dirname(folder), "pyvenv.cfg"))
        return f"{folder}{os.pathsep}{path}" if is_environment and folder not in path.split(os.pathsep) else path

    def _interpreter(self, node: Node) -> str:
        self._stated(node)
        try:
            return interpreter_for(node, self._folder(node), managed_env=None, environ=self.environ).path
        except DescriptorError:  # the environment that it states is perhaps what the build makes
            return sys.executable


def _script_step(node: Node, prelude: str, variables: dict[str, str]) -> Step:
    bash = shutil.which("bash", path=variables["PATH"])
    if bash is not None:
        prelude += BASH_TRAP
    build = node.build or ""
    argv = (bash or "/bin/sh", "-e", "-c", prelude + build, "build")
    return Step(argv, variables, "running its build", build.strip())


def _joined(first: Job, second: Job) -> Job:
    return Job((*first.names, *second.names), first.cwd, first.steps, first.shared, first.notes)
