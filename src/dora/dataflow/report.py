"""Collects what is wrong with a dataflow file, so that all of it is said at once.

Strategy: readers and checks say `error` or `warn` with the place they looked at and go on with
something harmless; `load.py` asks at the end.  Every line is `file:line:column: text`, in file order;
a problem of a whole file has no line.
Nothing here takes long however broken the file is: suggestions stop after some hundred problems.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from dora.errors import DescriptorError

WARNING: Final = "warning: "
"""Starts the text of a warning that stands among errors."""

MAX_LINES: Final = 100
_MAX_SUGGESTIONS: Final = 200
_MAX_CANDIDATES: Final = 400
_MAX_WORD: Final = 64
_MAX_SHOWN: Final = 60
_MAX_LISTED: Final = 8


class Place(NamedTuple):
    """A position in a file, both numbers 1-based.

    Attributes:
        file: the module file, as messages name it; empty for the dataflow's own file.
    """

    line: int
    column: int
    file: str = ""


NOWHERE: Final = Place(0, 0)
"""The file as a whole: messages name no line."""


class Report:
    """Errors and warnings of one file."""

    def __init__(self, file: str) -> None:
        self.file: Final = file
        self._errors: list[tuple[Place, str]] = []
        self._warnings: list[tuple[Place, str]] = []
        self._type_warnings: list[tuple[Place, str]] = []
        self._suggestions = 0

    def error(self, at: Place, text: str, hint: str = "") -> None:
        """Note something that stops the dataflow from running."""
        self._errors.append((at, f"{text}; {hint}" if hint else text))

    def warn(self, at: Place, text: str, hint: str = "") -> None:
        """Note something that is probably not meant, but can be lived with."""
        self._warnings.append((at, f"{text}; {hint}" if hint else text))

    def warn_type(self, at: Place, text: str, hint: str = "") -> None:
        """Note something about types that does not fit: a warning, or an error where types are strict."""
        self._type_warnings.append((at, f"{text}; {hint}" if hint else text))

    def fatal(self, at: Place, text: str, hint: str = "") -> DescriptorError:
        """The error to raise when reading cannot go on."""
        self.error(at, text, hint)
        return DescriptorError(self.error_lines())

    def suggest(self, word: str, candidates: Iterable[str], *, name: str = "has") -> str:
        """A hint that names what `word` was probably meant to be, or what there is to choose from.

        Returns: `did you mean 'image'?`, else `has: image, info` (with `name` for `has`), else nothing.
        """
        self._suggestions += 1
        if self._suggestions > _MAX_SUGGESTIONS:
            return ""
        fit = {known for known in candidates if known.isprintable() and 0 < len(known) <= _MAX_WORD}
        known = sorted(fit)[:_MAX_CANDIDATES]
        from dora.hints import did_you_mean  # needed for mistakes only

        meant = did_you_mean(word, known, "'") if len(word) <= _MAX_WORD else ""
        if meant:
            return meant
        if not known:
            return ""
        more = ", ..." if len(known) > _MAX_LISTED else ""
        return f"{name}: {', '.join(known[:_MAX_LISTED])}{more}"

    def error_lines(self) -> list[str]:
        """All errors in file order, at most `MAX_LINES`."""
        return self._lines(self._errors)

    def warning_lines(self) -> list[str]:
        """All warnings in file order, at most `MAX_LINES`; those about types are among them."""
        return self._lines(self._warnings + self._type_warnings)

    def type_warning_lines(self) -> list[str]:
        """The warnings about types in file order, at most `MAX_LINES`."""
        return self._lines(self._type_warnings)

    def check(self, *, is_strict: bool = False, has_strict_types: bool = False) -> None:
        """Raise `DescriptorError` if there is any error (or, when strict, any warning or any about types).

        Warnings come along, marked: a mistyped key is often the cause of the errors after it.
        """
        errors = self._errors + (self._warnings if is_strict else [])
        errors += self._type_warnings if is_strict or has_strict_types else []
        if errors:
            marked = [(at, f"{WARNING}{text}") for at, text in self._warnings + self._type_warnings]
            known = {text for _, text in errors}
            marked = [entry for entry in marked if entry[1].removeprefix(WARNING) not in known]
            raise DescriptorError(self._lines(errors + marked))

    def _lines(self, found: list[tuple[Place, str]]) -> list[str]:
        ordered = list(dict.fromkeys(sorted(found, key=_in_file_order)))
        lines = [f"{self._where(at)}: {text}" for at, text in ordered[:MAX_LINES]]
        if len(ordered) > MAX_LINES:
            lines.append(f"{self._where(ordered[MAX_LINES][0])}: and {len(ordered) - MAX_LINES} more problems")
        return lines

    def _where(self, at: Place) -> str:
        file = at.file or self.file
        return f"{file}:{at.line}:{at.column}" if at.line else file


def _in_file_order(entry: tuple[Place, str]) -> tuple[str, int, int]:
    """The dataflow's own file first, then module files by name."""
    at = entry[0]
    return at.file, at.line, at.column


def shown(text: str) -> str:
    """`text` quoted for a message: one line, not too long."""
    short = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return repr(short)
