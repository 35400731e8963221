"""Bare git repositories for tests: made in a few calls, served by path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class Repository:
    """A repository whose commits hold one file, `node.py`, with a line of text.

    Attributes:
        url: of it, for `git:`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main")

    def commit(self, text: str, *, branch: str = "main") -> str:
        """Add a commit to a branch (a new one starts empty); returns its name."""
        blob = self.git("hash-object", "-w", "--stdin", text=text)
        tree = self.git("mktree", text=f"100644 blob {blob}\tnode.py\n")
        former = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        commit = self.git("commit-tree", tree, "-m", text, *(["-p", former] if former else []))
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def git(self, *words: str, text: str = "") -> str:
        """Run git in the repository; returns what it prints."""
        env = {**os.environ, **IDENTITY}
        found = subprocess.run(
            ["git", *words], cwd=self.folder, env=env, input=text, capture_output=True, text=True, check=True
        )
        return found.stdout.strip()
