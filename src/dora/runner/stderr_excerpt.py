"""The part of a node's last stderr lines that says why it failed (dora dataflow-yaml, section 19).

From the last line that begins an error (a Python traceback, `Error:`, a Rust panic, the `File` line of a
SyntaxError) to the end, or to a line that begins with `Warning:`; without such a line the last ten.  Chained
tracebacks stay together, because the first of them is usually the cause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LAST_LINES: Final = 10
MOST_LINES: Final = 60
CUT: Final = "[...]"

_TRACEBACK: Final = "Traceback (most recent call last):"
_SYNTAX_ERROR_FILE: Final = re.compile(r"  File \".*\", line \d+$")
_START: Final = re.compile(
    r"Traceback \(most recent call last\):|Error:|Fatal Python error:|thread '.*' .*panicked at|"
    + _SYNTAX_ERROR_FILE.pattern
)
_CHAINS: Final = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


def excerpt(tail: Sequence[str]) -> list[str]:
    """The telling part of `tail`, with `[...]` where lines were left out; [] when it is empty."""
    lines = [line.rstrip() for line in tail]
    while lines and not lines[-1]:
        lines.pop()
    start = _start(lines)
    if start is None:
        return ([CUT] if len(lines) > LAST_LINES else []) + lines[-LAST_LINES:]
    end = next((at for at in range(start + 1, len(lines)) if lines[at].startswith("Warning:")), len(lines))
    return _shorten(lines[start:end])


def _start(lines: Sequence[str]) -> int | None:
    start = _last(lines, len(lines), _START)
    if start is None:
        return None
    if _SYNTAX_ERROR_FILE.match(lines[start]):
        start = _traceback_around(lines, start)
    while lines[start] == _TRACEBACK and start > 2 and any(line in _CHAINS for line in lines[start - 2 : start]):
        earlier = _last(lines, start, re.compile(re.escape(_TRACEBACK)))
        if earlier is None:
            break
        start = earlier
    return start


def _last(lines: Sequence[str], before: int, pattern: re.Pattern[str]) -> int | None:
    return next((at for at in range(before - 1, -1, -1) if pattern.match(lines[at])), None)


def _traceback_around(lines: Sequence[str], file_line: int) -> int:
    """Where the traceback begins that ends in a SyntaxError of an imported module; else `file_line`."""
    at = file_line
    while at > 0 and lines[at].startswith(" "):
        at -= 1
    return at if lines[at] == _TRACEBACK else file_line


def _shorten(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return lines
    head = MOST_LINES // 4
    return [*lines[:head], CUT, *lines[len(lines) - (MOST_LINES - head) :]]
