"""What is wrong with a text that is no YAML, in words that help to mend it.

Strategy: PyYAML says where it could not go on; the mistake is often a line above.  So what is never closed or has no
`:` is reported where it begins, and a few common mistakes are recognised by their lines.
"""

from __future__ import annotations

import re
from typing import Any, Final

from dora.dataflow.report import Place, Report
from dora.errors import DescriptorError

_BEGINS: Final = ("while scanning a simple key", "while scanning a quoted scalar")
"""What is reported where it begins, not where the reader noticed."""

_HINTS: Final = {
    "mapping values are not allowed": "check the indentation, or quote the text if it contains ': '",
    "could not find expected ':'": "is a ':' missing after the key?",
    "did not find expected ',' or": "is the closing bracket missing, or a text with brackets or commas not quoted?",
    "did not find expected key": "check the indentation of this line and the one before",
    "did not find expected '-' indicator": "check the indentation of this line and the one before",
    "did not find expected node content": "is a closing ']' or '}' missing?",
    "cannot start any token": "quote the text",
    "unexpected end of stream": "is the closing quote missing?",
}
_VALUE: Final = re.compile(r"(?P<indent>\s*(?:- +)*)[^\s#'\"][^#]*:\s+[^\s#|>&]")
_NO_SPACE: Final = re.compile(r"\s*(?:- +)*[\w-]+:[^\s/]")


def syntax_error(error: Any, text: str, report: Report, file: str) -> DescriptorError:
    """The error to raise.

    Args:
        error: a `yaml.MarkedYAMLError`.
        file: the name of a module file, empty for the dataflow's own.
    """
    problem = error.problem or error.context or "not valid YAML"
    context = error.context if error.context != problem else ""
    mark = error.problem_mark or error.context_mark
    if context in _BEGINS and error.context_mark is not None:
        mark = error.context_mark
    at = Place(mark.line + 1, mark.column + 1, file) if mark is not None else Place(1, 1, file)
    lines = text.splitlines()
    line = _line(lines, at.line)
    if "\t" in line[: at.column] and not line[: at.column].strip():
        return report.fatal(at, "indented with a tab", "YAML wants spaces")
    if context and context not in _BEGINS and error.context_mark is not None and error.context_mark.line < mark.line:
        context += f" that begins in line {error.context_mark.line + 1}"
    about = f" ({context})" if context else ""
    return report.fatal(at, f"not valid YAML: {problem}{about}", _hint(problem, lines, at))


def _hint(problem: str, lines: list[str], at: Place) -> str:
    if "mapping values are not allowed" in problem:
        above = _value_above(lines, at.line)
        if above:
            return f"line {above} has a value already, so nothing can stand below it; indent both lines alike"
    if "could not find expected ':'" in problem and _NO_SPACE.match(_line(lines, at.line)):
        return "write a space after the ':'"
    return next((hint for part, hint in _HINTS.items() if part in problem), "")


def _value_above(lines: list[str], number: int) -> int:
    """The line above, if it is `key: value` and the line `number` is indented below it; else 0."""
    indent = len(_line(lines, number)) - len(_line(lines, number).lstrip())
    above = next((at for at in range(number - 1, 0, -1) if _line(lines, at).strip()), 0)
    found = _VALUE.match(_line(lines, above)) if above else None
    return above if found and indent > len(found["indent"]) else 0


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""
