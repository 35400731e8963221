"""What a node's `path` means: a script, a program, a URL, or a word with a meaning of its own.

Strategy: everything that looks at the disk is here and is asked after the file has been read
(`check_sources`), because a build may create what is missing.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dora.dataflow.descriptor import Dataflow, Node
from dora.dataflow.report import Place, Report, shown

DYNAMIC: Final = "dynamic"
SHELL: Final = "shell"
MAX_ARGS: Final = 262_144
"""A program takes hardly more, and splitting takes time."""

ONE_MACHINE: Final = "this dora runs all nodes on this machine"
"""What stands in the way of `deploy`."""

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
    if os.path.isfile(local):
        return local
    search = environ.get("PATH", os.defpath)
    if environ.get("VIRTUAL_ENV"):
        search = os.path.join(environ["VIRTUAL_ENV"], "bin") + os.pathsep + search
    found = _which(path, search) if "/" not in path else None
    if found is not None:
        return Path(os.path.abspath(found))
    return local if os.path.exists(local) else None


def _which(program: str, search: str) -> str | None:
    import shutil  # most dataflows name no program on PATH, and each `dora validate` would pay for it

    return shutil.which(program, path=search)


class Program(NamedTuple):
    """What a node, or one of its operators, is started from.

    Attributes:
        subject: how messages name the node or operator.
        path: `$HOME` and the like are replaced.
        at: where the file states it.
    """

    subject: str
    path: str
    at: Place
    is_operator: bool = False


def check_sources(dataflow: Dataflow, environ: Mapping[str, str] | None = None) -> list[str]:
    """Nodes whose script or program does not exist, one `file:line:column: text` each.

    Nodes that are built, cloned, downloaded, started by the user or by a shell are left out: what they need
    may not be there yet.
    """
    report = Report(dataflow.file)
    for node in dataflow.nodes:
        if node.build or node.git is not None:
            continue
        for text, at, hint in missing(
            _programs(node), dataflow.working_dir, os.environ if environ is None else environ
        ):
            report.error(at, text, hint)
    return report.error_lines()


def missing(
    programs: Iterable[Program], working_dir: Path, environ: Mapping[str, str]
) -> Iterator[tuple[str, Place, str]]:
    """Those that cannot be started as they are: what is wrong with each, where, and a hint."""
    for program in programs:
        if program.is_operator:
            found = _operator_fault(program, working_dir)
        elif program.path in (DYNAMIC, SHELL) or is_url(program.path):
            found = None
        else:
            found = _program_fault(program.path, working_dir, environ)
        if found is not None:
            yield f"{program.subject}: {found[0]}", program.at, found[1]


def check_local(dataflow: Dataflow) -> list[str]:
    """Nodes that cannot be run because they ask for a machine (`deploy`)."""
    report = Report(dataflow.file)
    for node in dataflow.nodes:
        if node.deploy is not None:
            text = f"node '{node.id}' has 'deploy', but {ONE_MACHINE}"
            report.error(Place(node.line, node.column, node.file), text, "remove 'deploy'")
    return report.error_lines()


def _programs(node: Node) -> Iterator[Program]:
    if not node.is_runtime:
        at = Place(node.path_line or node.line, node.path_column or 1, node.file)
        yield Program(f"node '{node.id}'", node.path, at)
    for operator in node.operators:
        at = Place(operator.source_line or node.line, operator.source_column, node.file)
        yield Program(f"node '{node.id}': operator '{operator.id}'", operator.source, at, is_operator=True)


def _program_fault(path: str, working_dir: Path, environ: Mapping[str, str]) -> tuple[str, str] | None:
    file = find_program(path, working_dir, environ)
    if file is None:
        link = working_dir / path
        if os.path.islink(link):
            return f"{shown(path)} is a link to {shown(os.readlink(link))}, which is not there", ""
        if path.startswith("~"):
            return f"no file {shown(path)} in {working_dir}", "'~' is not replaced here: write $HOME"
        is_name = "/" not in path and not os.path.splitext(path)[1]
        looked = f"{working_dir} or on PATH" if is_name else f"{working_dir}"
        return f"no file {shown(path)} in {looked}", _similar_file(path, working_dir)
    if os.path.isdir(file):
        return f"expected a script or program, found the directory {shown(path)}", ""
    if file.suffix != ".py" and not os.access(file, os.X_OK):
        return f"{shown(path)} is not executable", f"run: chmod +x {shlex.quote(path)}"
    return None


def _operator_fault(program: Program, working_dir: Path) -> tuple[str, str] | None:
    path = program.path
    if is_url(path) or os.path.isfile(working_dir / path):
        return None
    if os.path.isdir(working_dir / path):
        return f"expected a Python file, found the directory {shown(path)}", ""
    return f"no Python file {shown(path)} in {working_dir}", _similar_file(path, working_dir)


def _similar_file(path: str, working_dir: Path) -> str:
    folder, name = os.path.split(path)
    try:
        names = [entry for entry in os.listdir(working_dir / folder) if entry.endswith(".py") or "." not in entry]
    except (OSError, ValueError):
        return ""
    hint = Report("").suggest(name, names)
    return hint if hint.startswith("did you mean") else ""
