"""Problems with their line of the file."""

from __future__ import annotations

import io
from pathlib import Path

from dora.cli.problems import print_problems


def printed(problems: list[str], severity: str = "error") -> str:
    stream = io.StringIO()
    print_problems(problems, severity, stream)
    return stream.getvalue()


def test_problem_is_shown_with_its_line_and_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "f.yml"
    file.write_text("nodes:\n  - id: a\n")
    excerpt = "    2 |   - id: a\n      |     ^\n"
    assert printed([f"{file}:2:5: wrong"]) == f"error: {file}:2:5: wrong\n{excerpt}"


def test_mark_stands_under_a_place_after_tabs(tmp_path: Path) -> None:
    file = tmp_path / "f.yml"
    file.write_text("\tx: \x1b[31m\n")
    assert printed([f"{file}:1:2: wrong"]).splitlines()[1:] == ["    1 | \tx: ?[31m", "      | \t^"]


def test_warning_among_errors_is_called_one() -> None:
    assert printed(["f:1:1: wrong", "f:2:1: warning: odd"]) == "error: f:1:1: wrong\nwarning: f:2:1: odd\n"


def test_place_that_the_file_does_not_have_is_shown_without_a_line(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    for place in ("1:1", "9:1"):
        problem = f"{tmp_path / 'f'}:{place}: wrong"
        assert printed([problem], "warning") == f"warning: {problem}\n"


def test_problem_without_a_place_is_shown_as_it_is() -> None:
    assert printed(["--env: expected KEY=VALUE, found 'x'"]) == "error: --env: expected KEY=VALUE, found 'x'\n"
