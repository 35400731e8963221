"""The Python that a node states with `python:`, `venv:` or `conda:`, and whether our dora is there.

Strategy: the interpreter is started by its own path, links kept, with the variables that activating its environment
would set; nothing is asked of conda, whose `run` takes a second.  That a stated environment has no dora is told before
anything starts, with the command that mends it.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Node
from dora.errors import DescriptorError

OUR_FILE: Final = Path("dora", "runner", "minder.py")
"""Tells our package from dora-rs 1.1 and older, whose package is named `dora` too."""

CONDA_FOLDERS: Final = ("miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba", ".conda")
_IMPORT_PATIENCE_S: Final = 10
_LINE: Final = re.compile(r"line ([0-9]+): ")
_VERSION: Final = re.compile(r"3\.[0-9]+")
_MOST_NAMED: Final = 8


@dataclass(frozen=True)
class StatedPython:
    """An interpreter, and what goes with it.

    Attributes:
        path: its executable.
        key: how the file states it, for messages: `venv: .venv`.
        variables: what activating its environment sets.
        left_out: what activating it takes away.
    """

    path: str
    key: str
    variables: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def activate(self, environ: dict[str, str]) -> None:
        """Change these variables as activating the environment would."""
        for name in self.left_out:
            environ.pop(name, None)
        environ |= self.variables
        folder = os.path.dirname(self.path)
        former = environ.get("PATH", os.defpath)
        if folder not in former.split(os.pathsep):
            environ["PATH"] = folder + os.pathsep + former
        elif self.variables:
            rest = [part for part in former.split(os.pathsep) if part != folder]
            environ["PATH"] = os.pathsep.join([folder, *rest])


def stated_python(node: Node, working_dir: Path, environ: Mapping[str, str]) -> StatedPython | None:
    """What the node states, or None.

    Raises:
        DescriptorError: there is no such interpreter or environment.
    """
    if node.interpreter is None:
        return None
    value = node.interpreter.value
    if node.interpreter.kind == "python":
        return _of_python(node, value, working_dir, environ)
    if node.interpreter.kind == "venv":
        return _of_venv(node, Path(os.path.abspath(working_dir / os.path.expanduser(value))), f"venv: {value}")
    return _of_conda(node, value, working_dir, environ)


def check_dora(node: Node, stated: StatedPython, environ: Mapping[str, str], wheel: Callable[[], str]) -> None:
    """Raise DescriptorError if our dora cannot be imported there.

    Args:
        wheel: makes our dora into a file that can be installed.
    """
    python_path = node.env.get("PYTHONPATH", environ.get("PYTHONPATH", ""))
    root = Path(stated.path).parent.parent
    is_environment = os.path.exists(root / "pyvenv.cfg") or os.path.isdir(root / "conda-meta")
    if has_our_dora(str(root), python_path) if is_environment else imports_our_dora(stated.path, python_path):
        return
    has_pip = os.path.exists(root / "bin" / "pip")
    install = [stated.path, "-m", "pip", "install"] if has_pip else [sys.executable, "-m", "uv", "pip", "install"]
    target = [] if has_pip else ["--python", stated.path]
    text = f"`{stated.key}`: this dora is not installed for {stated.path}"
    raise problem(node, text, f"run: {shlex.join([*install, *target, wheel()])}")


def problem(node: Node, text: str, hint: str) -> DescriptorError:
    """An error about the Python of a node; `located` puts the file in front."""
    at = node.interpreter.line if node.interpreter is not None and node.interpreter.line else node.line
    where = f"line {at}: " if at else ""
    return DescriptorError([f"{where}node '{node.id}': {text}" + (f"; {hint}" if hint else "")])


def located(text: str, file: str) -> str:
    """`line 3: text` with the file in front, as every other problem of the file."""
    place = _LINE.match(text)
    return text if place is None else f"{file}:{place[1]}:1: {text[place.end() :]}"


def _of_python(node: Node, value: str, working_dir: Path, environ: Mapping[str, str]) -> StatedPython:
    key = f"python: {value}"
    if "/" in value:
        path = os.path.abspath(working_dir / os.path.expanduser(value))
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            raise problem(node, f"`{key}`: there is no interpreter {path}", "")
    else:
        name = f"python{value}" if _VERSION.fullmatch(value) else value
        found = on_path(name, environ)
        if found is None:
            raise problem(node, f"`{key}`: there is no {name} on PATH", "install it, or give the path of its file")
        path = os.path.abspath(found)
    root = Path(path).parent.parent
    if os.path.exists(root / "pyvenv.cfg"):
        return StatedPython(path, key, {"VIRTUAL_ENV": str(root)}, ("PYTHONHOME", "CONDA_PREFIX"))
    return StatedPython(path, key, {}, ("PYTHONHOME", "VIRTUAL_ENV"))


def _of_venv(node: Node, root: Path, key: str) -> StatedPython:
    path = root / "bin" / "python"
    if not os.access(path, os.X_OK):
        make = f"make it: python3 -m venv {shlex.quote(str(root))}"
        fault = "has no bin/python" if os.path.isdir(root) else "does not exist"
        raise problem(node, f"`{key}`: the virtual environment {root} {fault}", make)
    return StatedPython(str(path), key, {"VIRTUAL_ENV": str(root)}, ("PYTHONHOME", "CONDA_PREFIX"))


def _of_conda(node: Node, value: str, working_dir: Path, environ: Mapping[str, str]) -> StatedPython:
    key = f"conda: {value}"
    if "/" in value:
        root = Path(os.path.abspath(working_dir / os.path.expanduser(value)))
    else:
        known = dict(_conda_environments(environ))
        if value not in known:
            names = ", ".join(sorted(known)[:_MOST_NAMED])
            has = f"has: {names}" if known else "no conda installation was found"
            raise problem(
                node, f"`{key}`: there is no such conda environment ({has})", f"conda create -n {value} python"
            )
        root = known[value]
    path = root / "bin" / "python"
    if not os.access(path, os.X_OK):
        raise problem(node, f"`{key}`: {path} does not exist", f"conda create -p {shlex.quote(str(root))} python")
    variables = {"CONDA_PREFIX": str(root), "CONDA_DEFAULT_ENV": value}
    return StatedPython(str(path), key, variables, ("PYTHONHOME", "VIRTUAL_ENV"))


def _conda_environments(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Name and folder of each environment, the most important last: those noted by conda, those of installations."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    noted = home / ".conda" / "environments.txt"
    for line in noted.read_text().splitlines() if os.path.isfile(noted) else []:
        yield Path(line.strip()).name, Path(line.strip())
    roots = [folder / name for name in CONDA_FOLDERS for folder in (home, Path("/opt"))]
    command = environ.get("CONDA_EXE") or on_path("conda", environ)
    if command:
        roots.append(Path(os.path.realpath(command)).parent.parent)
    active = [Path(environ[name]) for name in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX") if environ.get(name)]
    roots += [path.parent.parent if path.parent.name == "envs" else path for path in active]
    for root in roots:
        if os.path.isdir(root / "conda-meta"):
            yield "base", root
        for env in sorted((root / "envs").iterdir()) if os.path.isdir(root / "envs") else []:
            yield env.name, env


def on_path(name: str, environ: Mapping[str, str]) -> str | None:
    """The program of that name on PATH, or None."""
    import shutil  # rarely needed, and 4 ms to import

    return shutil.which(name, path=environ.get("PATH"))


@lru_cache(maxsize=16)
def has_our_dora(environment: str, python_path: str = "") -> bool:
    """Whether the Python of a virtual environment imports our dora (not dora-rs 1.1 or older, not nothing)."""
    root = Path(environment)
    python = root / "bin" / "python"
    if not os.access(python, os.X_OK):
        return False
    if os.path.exists(sys.prefix) and os.path.samefile(root, sys.prefix):
        return True
    if any(os.path.exists(folder / OUR_FILE) for folder in root.glob("lib/python3*/site-packages")):
        return True
    return imports_our_dora(str(python), python_path)


@lru_cache(maxsize=16)
def imports_our_dora(python: str, python_path: str = "") -> bool:
    """Ask the interpreter itself (30 ms): it may see dora through a .pth file, the system's packages or PYTHONPATH."""
    import subprocess  # rarely needed, and 8 ms to import

    question = "import importlib.util as u; s = u.find_spec('dora'); print(s.origin if s else '')"
    env = {**os.environ, "PYTHONPATH": python_path}
    env.pop("PYTHONHOME", None)
    try:
        answer = subprocess.run(
            [python, "-c", question], env=env, capture_output=True, timeout=_IMPORT_PATIENCE_S, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    origin = os.fsdecode(answer.stdout).strip()
    return bool(origin) and os.path.exists(Path(origin).parent.parent / OUR_FILE)
