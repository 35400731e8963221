"""Shows what is wrong with a dataflow file: each problem with its line of the file and a mark under the place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TextIO

_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+):(?P<column>[0-9]+): ")
_MAX_WIDTH: Final = 160
_MAX_BYTES: Final = 4 * 1024 * 1024


def print_problems(problems: Iterable[str], severity: str, stream: TextIO) -> None:
    """Print lines of the form `file:line:column: text`.

    Args:
        severity: `error` or `warning`; a text that starts with "warning: " is one in any case.
    """
    files: dict[str, tuple[str, ...]] = {}
    for problem in problems:
        place = _PLACE.match(problem)
        is_warning = place is not None and problem.startswith("warning: ", place.end())
        line = problem.replace(": warning: ", ": ", 1) if is_warning else problem
        print(f"{'warning' if is_warning else severity}: {line}", *_excerpt(place, files), sep="\n", file=stream)


def _excerpt(place: re.Match[str] | None, files: dict[str, tuple[str, ...]]) -> list[str]:
    if place is None:
        return []
    file = place["file"]
    if file not in files:
        files[file] = _lines(file)
    lines, number, column = files[file], int(place["line"]), int(place["column"])
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
