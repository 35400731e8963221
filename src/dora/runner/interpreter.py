"""Which program runs a node, and in which environment (dora dataflow-yaml, sections 4 to 6).

Strategy: a `.py` node runs with the first of: its managed environment (`--uv`), what it states (`python:`, `venv:`,
`conda:`, then VIRTUAL_ENV in its `env`), the active VIRTUAL_ENV if our dora can be imported there, the interpreter that
runs dora, PATH.  Symbolic links are kept as they are: a virtual environment is found by the name of its `python`.
Never is uv asked.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dora import env as variables
from dora.dataflow.descriptor import Node, Operator
from dora.dataflow.environment import is_reserved
from dora.dataflow.programs import SHELL, find_program, is_url
from dora.errors import DescriptorError, ResourceError
from dora.runner.build_state import FOLDER
from dora.runner.stated_python import StatedPython, check_dora, has_our_dora, on_path, stated_python

SHELL_ALLOWED: Final = "DORA_ALLOW_SHELL_NODES"
DOWNLOADS: Final = "build"
RUNTIME_CODE: Final = "from dora.node.runtime import main; main()"
"""What a runtime node runs: operators see `sys.argv == ['-c']` and the dataflow's folder first on `sys.path`."""

_KEPT_LOADER_PATHS: Final = frozenset({"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
CONSTRAINTS: Final = "dora-constraints.txt"
OVERRIDES: Final = "dora-overrides.txt"
"""In a managed environment: what pip and uv are told about dora-rs."""

_LEAKS: Final = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_PYTHON")
_LEAKS_OF_UV: Final = ("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT")
_PYTHON_NAMES: Final = frozenset({"python", "python3"})


class Interpreter(NamedTuple):
    """A Python to run nodes with.

    Attributes:
        path: its executable, links kept.
        note: why it is not the one a user might expect, or "".
    """

    path: str
    note: str = ""


def command_for(
    node: Node, working_dir: Path, *, managed_env: Path | None, environ: Mapping[str, str]
) -> tuple[tuple[str, ...], str]:
    """The command line of a node, and the same as a user would type it.

    Raises:
        DescriptorError: there is no such file or program, or shell nodes are not allowed.
    """
    if node.is_runtime:
        return _runtime_command(node, working_dir, managed_env, environ)
    if node.path == SHELL:
        argv, note = _shell_command(node, environ), ""
    elif is_python_file(node):
        interpreter = _usable_interpreter(node, working_dir, managed_env, environ)
        argv = (interpreter.path, "-u", _file_of(node, working_dir, managed_env, environ), *node.args)
        note = interpreter.note
    else:
        argv, note = (_file_of(node, working_dir, managed_env, environ), *node.args), ""
    return argv, shlex.join(argv) + note


def environment_for(
    node: Node, working_dir: Path, *, config: str, managed_env: Path | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a node's process: inherited, then its own `env`, then what dora sets.

    Args:
        config: the value of DORA_NODE_CONFIG.
        environ: what is inherited.
    """
    result = base_environment(node, working_dir, managed_env=managed_env, environ=environ)
    result[variables.NODE_CONFIG] = config
    result["PYTHONUNBUFFERED"] = "1"
    return result


def base_environment(
    node: Node, working_dir: Path, *, managed_env: Path | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """What a node and its `build` share: what is inherited and may leak, the node's `env`, its own Python."""
    result = {key: value for key, value in environ.items() if key in _KEPT_LOADER_PATHS or not is_reserved(key)}
    if managed_env is not None:
        for leak in (*_LEAKS, *_LEAKS_OF_UV):
            result.pop(leak, None)
    result |= {key: value for key, value in node.env.items() if is_settable(key, value)}
    if managed_env is not None:
        _activate_managed(result, managed_env)
    else:
        stated = _stated_if_there(node, working_dir, environ)
        if stated is not None:
            stated.activate(result)
    return result


def _activate_managed(result: dict[str, str], env: Path) -> None:
    result["VIRTUAL_ENV"] = str(env)
    result["PATH"] = os.pathsep.join(filter(None, (str(env / "bin"), result.get("PATH", os.defpath))))
    result["PYTHONNOUSERSITE"] = "1"
    result["PIP_USER"] = "0"
    result["PIP_CONSTRAINT"] = f"{result.get('PIP_CONSTRAINT', '')} {(env / CONSTRAINTS).as_uri()}".strip()
    overrides = env / OVERRIDES
    shown = overrides.as_uri() if " " in str(overrides) else str(overrides)  # uv takes a space as the end of the name
    result["UV_OVERRIDE"] = f"{result.get('UV_OVERRIDE', '')} {shown}".strip()


def _stated_if_there(node: Node, working_dir: Path, environ: Mapping[str, str]) -> StatedPython | None:
    try:
        return stated_python(node, working_dir, environ)
    except DescriptorError:  # perhaps the build makes it; `command_for` says it if not
        return None


def is_settable(key: str, value: str) -> bool:
    """A node may set this variable, and the kernel takes it."""
    return (
        bool(key)
        and not is_reserved(key)
        and "=" not in key
        and "\0" not in key + value
        and key == "".join(key.split())
    )


def is_python_file(node: Node) -> bool:
    """The node is run by a Python interpreter."""
    return node.path.endswith(".py") or node.is_runtime


def download_path(node: Node, working_dir: Path) -> Path:
    """Where the file of a node whose `path` is a URL is kept."""
    folder = working_dir / DOWNLOADS
    return (folder / node.path_sha256.lower() if node.path_sha256 else folder) / _name_in(node.path)


def downloads_of(node: Node, working_dir: Path) -> dict[str, Path]:
    """What is downloaded before the node can start: URL -> where it is kept."""
    found = {node.path: download_path(node, working_dir)} if is_url(node.path) else {}
    for operator in node.operators:
        if is_url(operator.source):
            folder = working_dir / DOWNLOADS / str(node.id) / operator.id
            found.setdefault(operator.source, folder / _name_in(operator.source))
    return found


def _name_in(url: str) -> str:
    return url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2] or "download"


def interpreter_for(
    node: Node, working_dir: Path, *, managed_env: Path | None, environ: Mapping[str, str]
) -> Interpreter:
    """The Python of a node.

    Raises:
        DescriptorError: its environment has no interpreter.
    """
    if managed_env is not None:
        return Interpreter(_python_of(managed_env, node, "its managed environment", "run: dora build --uv"))
    own = stated_python(node, working_dir, environ)
    if own is not None:
        return Interpreter(own.path)
    stated = node.env.get("VIRTUAL_ENV")
    if stated:
        return Interpreter(_python_of(working_dir / stated, node, "VIRTUAL_ENV of its `env`", "create it first"))
    active, note = environ.get("VIRTUAL_ENV"), ""
    if active:
        python = os.path.join(active, "bin", "python")
        if has_our_dora(active, environ.get("PYTHONPATH", "")):
            return Interpreter(python)
        note = f"  (not {python}: no dora of ours is installed there)"
    if sys.executable:
        return Interpreter(sys.executable, note)
    found = on_path("python", environ) or on_path("python3", environ)
    if found is None:
        raise _problem(node, "there is no Python to run it with", "install python3, or put it on PATH")
    return Interpreter(found, note)


def _usable_interpreter(
    node: Node, working_dir: Path, managed_env: Path | None, environ: Mapping[str, str]
) -> Interpreter:
    """The Python of a node, which has our dora if the node states it."""
    found = interpreter_for(node, working_dir, managed_env=managed_env, environ=environ)
    stated = stated_python(node, working_dir, environ) if managed_env is None else None
    if stated is not None:
        check_dora(node, stated, environ, lambda: _installable(environ, working_dir))
    return found


def _installable(environ: Mapping[str, str], working_dir: Path) -> str:
    from dora.runner.own_wheel import cache_dir, own_wheel  # for this message only, and 15 ms to import

    try:
        return str(own_wheel(cache_dir(environ, working_dir / FOLDER / "cache")))
    except (ResourceError, OSError):
        return "dora-rs"


def _file_of(node: Node, working_dir: Path, managed_env: Path | None, environ: Mapping[str, str]) -> str:
    """The absolute file that `path` names."""
    if is_url(node.path):
        return str(_downloaded(node, node.path, working_dir))
    search = base_environment(node, working_dir, managed_env=managed_env, environ=environ)
    if managed_env is None and not is_python_file(node):
        own = os.path.dirname(sys.executable)  # a program installed beside dora, though its environment is not active
        search["PATH"] = os.pathsep.join(filter(None, (search.get("PATH", os.defpath), own)))
    found = find_program(node.path, working_dir, search)
    if found is None:
        raise _problem(node, f"no file or program '{node.path}' in {working_dir} or on PATH", "")
    if os.path.isdir(found):
        raise _problem(node, f"expected a script or program, found the directory '{node.path}'", "")
    if is_python_file(node):
        return str(found)
    if not os.access(found, os.X_OK):
        raise _problem(node, f"'{node.path}' is not executable", f"run: chmod +x {shlex.quote(str(found))}")
    is_ambient_python = node.path in _PYTHON_NAMES and found.parent != working_dir
    if is_ambient_python and not has_our_dora(str(found.parent.parent), environ.get("PYTHONPATH", "")):
        return _usable_interpreter(node, working_dir, managed_env, environ).path
    return str(found)


def _downloaded(node: Node, url: str, working_dir: Path) -> Path:
    file = downloads_of(node, working_dir)[url]
    if not os.path.exists(file):
        raise _problem(node, f"{url} has not been downloaded", "run: dora build")
    return file


def _runtime_command(
    node: Node, working_dir: Path, managed_env: Path | None, environ: Mapping[str, str]
) -> tuple[tuple[str, ...], str]:
    """The process that hosts the operators; each is named as `<operator>=<file>`."""
    note = ""
    if node.conda_env is not None:
        conda = on_path("conda", environ)
        if conda is None:
            raise _problem(node, "'conda_env' needs the program conda, which is not on PATH", "install it, or use --uv")
        python: tuple[str, ...] = (conda, "run", "--no-capture-output", "-n", node.conda_env, "python")
    else:
        interpreter = _usable_interpreter(node, working_dir, managed_env, environ)
        python, note = (interpreter.path,), interpreter.note
    files = [f"{operator.id}={_operator_file(node, operator, working_dir)}" for operator in node.operators]
    argv = (*python, "-u", "-c", RUNTIME_CODE, *files)
    return argv, shlex.join(argv) + note


def _operator_file(node: Node, operator: Operator, working_dir: Path) -> Path:
    if is_url(operator.source):
        return _downloaded(node, operator.source, working_dir)
    file = Path(os.path.abspath(working_dir / operator.source))
    if not os.path.isfile(file):
        raise _problem(node, f"operator '{operator.id}': no Python file '{operator.source}' in {working_dir}", "")
    return file


def _shell_command(node: Node, environ: Mapping[str, str]) -> tuple[str, ...]:
    if environ.get(SHELL_ALLOWED) != "true":
        hint = f"use --allow-shell-nodes, or set {SHELL_ALLOWED}=true, if you trust this dataflow"
        raise _problem(node, "`path: shell` is not allowed", hint)
    if not node.args:
        raise _problem(node, "`path: shell` needs the command line as `args`", "")
    return ("/bin/sh", "-c", *node.args)


def _python_of(environment: Path, node: Node, what: str, hint: str) -> str:
    python = environment / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise _problem(node, f"{what} has no interpreter {python}", hint)
    return str(python)


def _problem(node: Node, text: str, hint: str) -> DescriptorError:
    where = f"line {node.line}: " if node.line else ""
    return DescriptorError([f"{where}node '{node.id}': {text}" + (f"; {hint}" if hint else "")])
