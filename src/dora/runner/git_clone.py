"""Clones the repository of a node at the commit that is asked for; run by file path, as a process that can be killed.

Usage: python -I git_clone.py REQUEST, where REQUEST is a JSON object:

    url      of the repository
    kind     "branch", "tag", "rev", "commit" (a full one, the remote is not asked) or "" (what its HEAD is)
    name     of the branch, tag, ref or commit
    root     the folder of the repository's clones; each commit has its own in it
    result   the file that says what was found: {"commit": ...}; it appears by rename when the clone is whole
    former   the commit that was found last time, or "": used when the remote cannot be reached

A clone appears by rename, so a folder that is there is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

FULL_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
SHORT_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
PATTERNS = {
    "branch": ["refs/heads/{}"],
    "tag": ["refs/tags/{}^{{}}", "refs/tags/{}"],
    "rev": ["{}", "refs/{}", "refs/tags/{}^{{}}", "refs/tags/{}", "refs/heads/{}"],
    "": ["HEAD"],
}
"""The refs that may be meant, the best first; `^{}` is the commit that an annotated tag points to."""
MOST_NAMED = 12


class Problem(Exception):
    """What the user is told."""


class Unreachable(Problem):
    """The remote did not answer, or refused."""


class Answer(NamedTuple):
    """How a git command ended."""

    code: int
    output: str
    complaint: str


def git(*words: str, folder: Path | None = None) -> Answer:
    """Run a git command; what it says on stderr is for the user."""
    found = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    return Answer(found.returncode, found.stdout, found.stderr.strip())


def commit_of(url: str, kind: str, name: str) -> str:
    """The commit that is meant now, as the remote says; a short one comes back as it is.

    Raises:
        Unreachable: the remote cannot be asked.
        Problem: there is no such branch, tag or ref.
    """
    wanted = [pattern.format(name) for pattern in PATTERNS[kind]]
    answer = git("ls-remote", "--", url, *wanted)
    if answer.code != 0:
        raise Unreachable(f"cannot reach {url}:\n{answer.complaint}")
    refs = {ref: commit for commit, _, ref in (line.partition("\t") for line in answer.output.splitlines())}
    for pattern in wanted:
        if pattern in refs:
            return refs[pattern]
    if kind == "rev" and SHORT_COMMIT.fullmatch(name):
        return name
    if not kind:
        raise Problem(f"{url} has no HEAD (is it empty?); state a 'branch'")
    raise Problem(f"{url} has no {kind} '{name}'{known_names(url, kind)}")


def known_names(url: str, kind: str) -> str:
    """What there is to choose from, in brackets."""
    folders = {"branch": ["refs/heads/"], "tag": ["refs/tags/"], "rev": ["refs/tags/", "refs/heads/"]}[kind]
    refs = [line.partition("\t")[2] for line in git("ls-remote", "--refs", "--", url).output.splitlines()]
    names = sorted(ref.removeprefix(folder) for folder in folders for ref in refs if ref.startswith(folder))
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f" (has: {', '.join(names[:MOST_NAMED])}{more})" if names else ""


def clone(url: str, commit: str, root: Path) -> str:
    """Make the clone of a commit; returns the full commit.

    Raises:
        Unreachable: the remote cannot be asked.
        Problem: it has no such commit.
    """
    if FULL_COMMIT.fullmatch(commit) and (root / commit).is_dir():
        return commit
    made = root / f".new-{os.getpid()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        full = fill(made, url, commit, newest_clone(root))
        target = root / full
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # else another build has made the same clone meanwhile
                raise
        return full
    finally:
        shutil.rmtree(made, ignore_errors=True)


def fill(made: Path, url: str, commit: str, known: Path | None) -> str:
    """Clone into `made`, taking what a clone beside it has already."""
    saving = ["--reference-if-able", str(known), "--dissociate"] if known is not None else []
    answer = git("clone", "--quiet", "--no-checkout", *saving, "--", url, str(made))
    if answer.code != 0:
        raise Unreachable(f"cannot clone {url}:\n{answer.complaint}")
    if git("cat-file", "-e", f"{commit}^{{commit}}", folder=made).code != 0 and FULL_COMMIT.fullmatch(commit):
        git("fetch", "--quiet", "origin", commit, folder=made)  # on no branch; many servers give it all the same
    full = git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}", folder=made).output.strip()
    if not full:
        raise Problem(f"{url} has no commit '{commit}'")
    has_modules = git("cat-file", "-e", f"{full}:.gitmodules", folder=made).code == 0
    modules = [["submodule", "--quiet", "update", "--init", "--recursive"]] if has_modules else []
    for step in [["checkout", "--quiet", "--detach", full], *modules]:
        answer = git(*step, folder=made)
        if answer.code != 0:
            raise Problem(f"git {step[0]} of {full} failed:\n{answer.complaint}")
    return full


def newest_clone(root: Path) -> Path | None:
    """A whole clone of the same repository."""
    found = [path for path in root.iterdir() if FULL_COMMIT.fullmatch(path.name) and (path / ".git").is_dir()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def take(request: dict[str, Any]) -> None:
    """Find out the commit, clone it, write the result, say what is new."""
    url, root, former = request["url"], Path(request["root"]), request["former"]
    is_known = bool(former) and (root / former).is_dir()
    try:
        fixed = request["kind"] == "commit"
        commit = request["name"] if fixed else commit_of(url, request["kind"], request["name"])
    except Unreachable as error:
        if not is_known:
            raise
        print(f"warning: {error}\nusing commit {former[:12]} of the last build", flush=True)
        commit = former
    is_new = not (root / commit).is_dir()
    full = clone(url, commit.lower() if FULL_COMMIT.fullmatch(commit) else commit, root)
    result = Path(request["result"])
    result.parent.mkdir(parents=True, exist_ok=True)
    unfinished = result.with_suffix(f".{os.getpid()}.new")
    unfinished.write_text(json.dumps({"commit": full}))
    unfinished.rename(result)
    if is_new:
        print(f"cloned {url} at {full[:12]}", flush=True)


def main(text: str) -> int:
    try:
        take(json.loads(text))
    except (Problem, OSError) as error:
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
