"""The two that are compared: this project and dora-rs, each in a virtual environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PEER_VERSION = "1.1.0"
NOT_INHERITED = {"RUST_BACKTRACE", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "DORA_NODE_CONFIG"}


class Side(NamedTuple):
    """One implementation: a name, and the virtual environment that holds it."""

    name: str
    venv: Path

    def command(self, *arguments: str) -> list[str]:
        """The `dora` command line of this side."""
        return [str(self.venv / "bin" / "dora"), *arguments]

    def environment(self, **settings: object) -> dict[str, str]:
        """An environment in which this side's virtual environment is the active one."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        path = f"{self.venv / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "VIRTUAL_ENV": str(self.venv), "PATH": path, **{k: str(v) for k, v in settings.items()}}

    def version(self) -> str:
        """What `dora --version` says, and the Python beside it."""
        said = subprocess.run(self.command("--version"), capture_output=True, text=True, timeout=30, check=True).stdout
        python = [str(self.venv / "bin" / "python"), "--version"]
        python_said = subprocess.run(python, capture_output=True, text=True, timeout=30, check=True).stdout
        return f"{said.splitlines()[0].strip()}, {python_said.strip()}"


def ours(venv: str | None) -> Side:
    """This project: the environment named, or the one that runs the benchmark."""
    return Side("ours", Path(venv or sys.prefix))


def peer(venv: str | None) -> Side:
    """dora-rs: the environment named, or one made in the user's cache folder."""
    if venv:
        return Side("peer", Path(venv))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "dora-benchmarks" / f"dora-rs-{PEER_VERSION}"
    if not (folder / "bin" / "dora").exists():
        print(f"making an environment with dora-rs {PEER_VERSION} in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        wanted = [f"dora-rs=={PEER_VERSION}", f"dora-rs-cli=={PEER_VERSION}"]
        subprocess.run([folder / "bin" / "pip", "install", "-q", *wanted], check=True)
    return Side("peer", folder)
