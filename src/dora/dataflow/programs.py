"""What a node's `path` means: a script, a program, a URL, or a word with a meaning of its own.

Strategy: everything that looks at the disk is here and is asked after the file has been read
(`check_sources`), because a build may create what is missing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, Node
from dora.dataflow.report import Place, Report, shown

DYNAMIC: Final = "dynamic"
SHELL: Final = "shell"
MAX_ARGS: Final = 262_144
"""A program takes hardly more, and splitting takes time."""

EXPANDED_VARIABLES: Final = ("HOME", "USER", "PWD", "DORA_WORKSPACE", "CARGO_MANIFEST_DIR")

_REFERENCE: Final = re.compile(
    r"\$(?:(" + "|".join(EXPANDED_VARIABLES) + r")\b|\{(" + "|".join(EXPANDED_VARIABLES) + r")\})"
)


def is_url(path: str) -> bool:
    """The path is downloaded before the node starts."""
    return path.startswith(("http://", "https://"))


def expand_path(path: str, environ: Mapping[str, str]) -> str:
    """Replace the few variables that a path may contain; unset ones stay as they are."""
    return _REFERENCE.sub(lambda match: environ.get(match[1] or match[2], match[0]), path)


def split_args(text: str) -> tuple[str, ...] | str:
    """Arguments split like a POSIX shell, or what is wrong with the text."""
    if len(text) > MAX_ARGS:
        return f"it is longer than {MAX_ARGS} characters"
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        return str(error)[0].lower() + str(error)[1:]


def find_program(path: str, working_dir: Path, environ: Mapping[str, str]) -> Path | None:
    """The absolute file (or directory) that `path` names: in the working directory, else on PATH; links are kept.

    PATH is searched with the active virtual environment's `bin` first.
    """
    local = Path(os.path.abspath(working_dir / path))
    if local.is_file():
        return local
    search = environ.get("PATH", os.defpath)
    if environ.get("VIRTUAL_ENV"):
        search = os.path.join(environ["VIRTUAL_ENV"], "bin") + os.pathsep + search
    found = shutil.which(path, path=search) if "/" not in path else None
    if found is not None:
        return Path(os.path.abspath(found))
    return local if local.exists() else None


def check_sources(dataflow: Dataflow, environ: Mapping[str, str] | None = None) -> list[str]:
    """Nodes whose script or program does not exist, one `file:line:column: text` each.

    Nodes that are built, cloned, downloaded, started by the user or by a shell are left out: what they need
    may not be there yet.
    """
    report = Report(dataflow.file)
    for node in dataflow.nodes:
        if node.build or node.git is not None:
            continue
        if node.is_runtime:
            _check_operators(node, dataflow.working_dir, report)
        elif not (node.path in (DYNAMIC, SHELL) or is_url(node.path)):
            _check_source(node, dataflow.working_dir, os.environ if environ is None else environ, report)
    return report.error_lines()


def check_local(dataflow: Dataflow) -> list[str]:
    """Nodes that `dora run` cannot run because they ask for a machine (`deploy`)."""
    report = Report(dataflow.file)
    for node in dataflow.nodes:
        if node.deploy is not None:
            text = f"node '{node.id}' has 'deploy': 'dora run' is for this machine"
            report.error(Place(node.line, node.column, node.file), text, "use 'dora start', or remove 'deploy'")
    return report.error_lines()


def _check_source(node: Node, working_dir: Path, environ: Mapping[str, str], report: Report) -> None:
    at = Place(node.path_line or node.line, node.path_column or 1, node.file)
    file = find_program(node.path, working_dir, environ)
    if file is None:
        is_name = "/" not in node.path and not os.path.splitext(node.path)[1]
        looked = f"{working_dir} or on PATH" if is_name else f"{working_dir}"
        text = f"node '{node.id}': no file {shown(node.path)} in {looked}"
        report.error(at, text, _similar_files(node.path, working_dir, report))
    elif file.is_dir():
        report.error(at, f"node '{node.id}': expected a script or program, found the directory {shown(node.path)}")
    elif file.suffix != ".py" and not os.access(file, os.X_OK):
        hint = f"run: chmod +x {shlex.quote(node.path)}"
        report.error(at, f"node '{node.id}': {shown(node.path)} is not executable", hint)


def _check_operators(node: Node, working_dir: Path, report: Report) -> None:
    for operator in node.operators:
        if is_url(operator.source) or (working_dir / operator.source).is_file():
            continue
        at = Place(operator.source_line or node.line, operator.source_column, node.file)
        subject = f"node '{node.id}': operator '{operator.id}'"
        if (working_dir / operator.source).is_dir():
            report.error(at, f"{subject}: expected a Python file, found the directory {shown(operator.source)}")
        else:
            text = f"{subject}: no Python file {shown(operator.source)} in {working_dir}"
            report.error(at, text, _similar_files(operator.source, working_dir, report))


def _similar_files(path: str, working_dir: Path, report: Report) -> str:
    folder, name = os.path.split(path)
    try:
        names = [entry for entry in os.listdir(working_dir / folder) if entry.endswith(".py") or "." not in entry]
    except OSError:
        return ""
    hint = report.suggest(name, names)
    return hint if hint.startswith("did you mean") else ""
