"""Which lines of stderr say why a node failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dora.runner.stderr_excerpt import excerpt

TRACEBACK = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "ValueError: bad"]


def stderr_of(tmp_path: Path, source: str) -> list[str]:
    """What Python prints when it runs `source`."""
    script = tmp_path / "node.py"
    script.write_text(source)
    done = subprocess.run([sys.executable, str(script)], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    return done.stderr.splitlines()


def test_traceback_is_taken_from_its_first_line() -> None:
    assert excerpt(["noise"] * 20 + TRACEBACK) == TRACEBACK


def test_last_of_two_tracebacks_is_taken() -> None:
    other = [*TRACEBACK[:2], "KeyError: 'x'"]
    assert excerpt([*TRACEBACK, "went on", *other]) == other


@pytest.mark.parametrize(
    "source", ["try: 1/0\nexcept Exception: {}[1]", "try: 1/0\nexcept Exception as e: raise KeyError from e"]
)
def test_chained_tracebacks_stay_together(tmp_path: Path, source: str) -> None:
    lines = stderr_of(tmp_path, source)
    assert any("ZeroDivisionError" in line for line in lines)
    assert excerpt(["noise", *lines]) == lines


def test_syntax_error_of_the_script_is_taken_whole(tmp_path: Path) -> None:
    lines = stderr_of(tmp_path, "def (:\n")
    assert lines[0].startswith("  File ")
    assert excerpt(["noise"] * 20 + lines) == lines


def test_syntax_error_of_an_imported_module_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n")
    lines = stderr_of(tmp_path, "import broken")
    assert lines[0].startswith("Traceback")
    assert excerpt(["noise", *lines]) == lines


@pytest.mark.parametrize(
    "start",
    ["Error: no camera", "thread 'main' panicked at src/main.rs:3:5:", "Fatal Python error: Segmentation fault"],
)
def test_other_beginnings_of_an_error_count_too(start: str) -> None:
    assert excerpt(["noise", start, "more"]) == [start, "more"]


def test_warning_ends_the_excerpt() -> None:
    assert excerpt([*TRACEBACK, "Warning: a leak", "more"]) == TRACEBACK


def test_without_an_error_the_last_ten_lines_are_taken() -> None:
    assert excerpt([str(number) for number in range(12)]) == ["[...]", *map(str, range(2, 12))]
    assert excerpt(["one", "two", ""]) == ["one", "two"]


def test_nothing_on_stderr_gives_nothing() -> None:
    assert excerpt([]) == []
    assert excerpt(["", "  "]) == []


def test_long_traceback_is_cut_in_the_middle() -> None:
    lines = [TRACEBACK[0], *[f"  frame {number}" for number in range(400)], "RecursionError: too deep"]
    shown = excerpt(lines)
    assert len(shown) == 61
    assert (shown[0], shown[15], shown[-1]) == (lines[0], "[...]", lines[-1])
