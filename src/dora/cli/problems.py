"""Shows what is wrong with a dataflow file: each problem with its line of the file and a mark under the place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TextIO

_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+):(?P<column>[0-9]+): ")
_WARNING: Final = "warning: "
_MAX_WIDTH: Final = 160
_MAX_BYTES: Final = 4 * 1024 * 1024


class Problem(NamedTuple):
    """One line of the form `file:line:column: text`; line and column are 0 where it is about the whole file."""

    file: str
    line: int
    column: int
    severity: str
    text: str


def parse_problem(line: str, severity: str) -> Problem:
    """Take a line apart.

    Args:
        severity: `error` or `warning`; a text that starts with "warning: " is one in any case.
    """
    place = _PLACE.match(line)
    file, number, column, text = ("", "0", "0", line) if place is None else (*place.groups(), line[place.end() :])
    is_warning = place is not None and text.startswith(_WARNING)
    found = "warning" if is_warning else severity
    return Problem(file, int(number), int(column), found, text.removeprefix(_WARNING) if is_warning else text)


def print_problems(problems: Iterable[str], severity: str, stream: TextIO) -> None:
    """Print lines of the form `file:line:column: text`, each with its line of the file; arguments as above."""
    files: dict[str, tuple[str, ...]] = {}
    for line in problems:
        problem = parse_problem(line, severity)
        where = f"{problem.file}:{problem.line}:{problem.column}: " if problem.file else ""
        print(f"{problem.severity}: {where}{problem.text}", *_excerpt(problem, files), sep="\n", file=stream)


def _excerpt(problem: Problem, files: dict[str, tuple[str, ...]]) -> list[str]:
    file, number, column = problem[:3]
    if not file:
        return []
    if file not in files:
        files[file] = _lines(file)
    lines = files[file]
    if number > len(lines) or column > min(len(lines[number - 1]), _MAX_WIDTH):
        return []
    margin = f"{number:5} | "
    text = lines[number - 1][:_MAX_WIDTH]
    indent = re.sub(r"[^\t]", " ", text[: column - 1])
    return [f"{margin}{text}", f"{' ' * (len(margin) - 2)}| {indent}^"]


def _lines(file: str) -> tuple[str, ...]:
    try:
        with open(file, encoding="utf-8-sig", errors="replace") as source:
            text = source.read(_MAX_BYTES)
    except (OSError, ValueError):
        return ()
    return tuple("".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in text.split("\n"))
