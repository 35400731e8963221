"""The clones of nodes that come from a repository (dora dataflow-yaml, section 12.3).

Strategy: `<folder>/git/<host>/<path>/<commit>/` holds the clone of one commit, never changed by us again, so that what
runs from it goes on when a branch moves.  A branch (or nothing stated) is asked for at every build, a tag once; a lock
file's commit is not asked for at all.  What was found last time is in `.dora/sources/`: where the remote cannot be
reached, that is used.  The work is done by `git_clone.py`, one process per repository and ref.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, GitSource
from dora.errors import NodeError
from dora.runner.build_plan import Job, Step
from dora.runner.build_state import FOLDER
from dora.runner.options import BuildOptions

CLONES: Final = "git"
CLONE_SCRIPT: Final = str(Path(__file__).with_name("git_clone.py"))
_FULL_COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_LEAKS: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
_SSH: Final = "ssh -oBatchMode=yes -oConnectTimeout=20"
_PATIENCE: Final = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "http.lowSpeedLimit",
    "GIT_CONFIG_VALUE_0": "1",
    "GIT_CONFIG_KEY_1": "http.lowSpeedTime",
    "GIT_CONFIG_VALUE_1": "30",
}
"""A server that sends nothing for 30 s does not answer."""


@dataclass(frozen=True)
class Wanted:
    """One commit to have a clone of.

    Attributes:
        kind: `branch`, `tag`, `rev`, `commit` or "" (the remote's HEAD).
    """

    url: str
    kind: str
    name: str


@dataclass(frozen=True)
class GitSources:
    """The repositories of a dataflow.

    Attributes:
        options: forced, tags are asked for again, too; offline, nothing is of which there is a clone.
        commits: what a lock file says, by node; None: there is none.
    """

    dataflow: Dataflow
    environ: Mapping[str, str]
    options: BuildOptions
    commits: Mapping[str, str] | None = None

    def jobs(self) -> list[Job]:
        """What has to be asked or cloned, one job per repository and ref."""
        nodes: dict[Wanted, list[str]] = {}
        for name, wanted in self._wanted().items():
            if not self._is_settled(wanted):
                nodes.setdefault(wanted, []).append(name)
        if nodes and shutil.which("git", path=self.environ.get("PATH")) is None:
            names = ", ".join(name for found in nodes.values() for name in found)
            raise NodeError(f"git is not installed, and these nodes come from a repository: {names}; install git")
        return [self._job(wanted, tuple(names)) for wanted, names in nodes.items()]

    def found_commits(self) -> dict[str, str]:
        """The commit of each node, where its clone is there."""
        found = {name: self._commit(wanted) for name, wanted in self._wanted().items()}
        return {name: commit for name, commit in found.items() if commit}

    def working_dirs(self) -> dict[str, Path]:
        """The clone of each node, where it is there."""
        wanted = self._wanted()
        return {name: self._root(wanted[name].url) / commit for name, commit in self.found_commits().items()}

    def _wanted(self) -> dict[str, Wanted]:
        found: dict[str, Wanted] = {}
        for node in self.dataflow.nodes:
            if node.git is None:
                continue
            if self.commits is not None:
                found[str(node.id)] = Wanted(node.git.url, "commit", self.commits[node.id])
            else:
                found[str(node.id)] = _wanted(node.git)
        return found

    def _is_settled(self, wanted: Wanted) -> bool:
        is_fixed = wanted.kind == "commit" or (wanted.kind in ("tag", "rev") and not self.options.is_forced)
        return (is_fixed or self.options.is_offline) and bool(self._commit(wanted))

    def _commit(self, wanted: Wanted) -> str:
        """The commit whose clone is there, or ""."""
        if wanted.kind == "commit":
            commit = wanted.name
        else:
            try:
                commit = json.loads(self._result(wanted).read_text())["commit"]
            except (OSError, ValueError, KeyError, TypeError):
                return ""
        return commit if (self._root(wanted.url) / commit).is_dir() else ""

    def _job(self, wanted: Wanted, names: tuple[str, ...]) -> Job:
        request = {
            "url": wanted.url,
            "kind": wanted.kind,
            "name": wanted.name,
            "root": str(self._root(wanted.url)),
            "result": str(self._result(wanted)),
            "former": self._commit(wanted),
        }
        argv = (sys.executable, "-I", CLONE_SCRIPT, json.dumps(request))
        step = Step(argv, self._variables(), f"asking {wanted.url}", f"git source {wanted.url}", is_own=True)
        return Job(names, str(self.dataflow.working_dir), (step,))

    def _variables(self) -> dict[str, str]:
        variables = {name: value for name, value in self.environ.items() if name not in _LEAKS}
        if "GIT_CONFIG_COUNT" not in variables:
            variables |= _PATIENCE
        variables.setdefault("GIT_SSH_COMMAND", _SSH)
        return variables | {"GIT_TERMINAL_PROMPT": "0"}

    def _root(self, url: str) -> Path:
        from urllib.parse import unquote, urlsplit  # most dataflows have no repositories

        parts = urlsplit(url)
        segments = [part for part in unquote(parts.path).split("/") if part not in ("", ".", "..")]
        return self.dataflow.working_dir.joinpath(CLONES, parts.hostname or "localhost", *segments)

    def _result(self, wanted: Wanted) -> Path:
        digest = hashlib.sha256(json.dumps([wanted.url, wanted.kind, wanted.name]).encode()).hexdigest()[:16]
        return self.dataflow.working_dir / FOLDER / "sources" / f"{digest}.json"


def make_folder(working_dir: Path) -> None:
    """`git` beside the dataflow, not to be checked in."""
    folder = working_dir / CLONES
    if not folder.exists():
        os.makedirs(folder)
        (folder / ".gitignore").write_text("*\n")


def _wanted(source: GitSource) -> Wanted:
    if source.rev is not None and _FULL_COMMIT.fullmatch(source.rev):
        return Wanted(source.url, "commit", source.rev.lower())
    for kind, name in (("branch", source.branch), ("tag", source.tag), ("rev", source.rev)):
        if name is not None:
            return Wanted(source.url, kind, name)
    return Wanted(source.url, "", "")
