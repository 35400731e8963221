"""Types of the public API: what user code may write, and which mistakes type checkers find (`tests/typing/`)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "typing"
MYPY_LINE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: ", re.MULTILINE)


def marked_lines() -> set[tuple[str, int]]:
    """The lines that must be errors, each with its file."""
    lines = [(path, number, text) for path in FOLDER.glob("*.py") for number, text in enumerate(open_lines(path), 1)]
    return {(path.name, number) for path, number, text in lines if "# wrong: " in text}


def open_lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.slow
def test_mypy_in_strict_mode_accepts_user_code_and_finds_mistakes() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", FOLDER.relative_to(ROOT)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    found = {(Path(match["file"]).name, int(match["line"])) for match in MYPY_LINE.finditer(said.stdout)}
    assert found == marked_lines(), said.stdout + said.stderr


@pytest.mark.slow
def test_pyright_accepts_user_code_and_finds_mistakes() -> None:
    pyright = shutil.which("pyright", path=f"{Path(sys.executable).parent}:{ROOT / 'node_modules' / '.bin'}")
    pyright = pyright or shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed (npm install pyright, or pip install pyright)")
    command = [pyright, "--outputjson", "--pythonpath", sys.executable, FOLDER]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    problems = json.loads(said.stdout)["generalDiagnostics"]
    found = {(Path(problem["file"]).name, problem["range"]["start"]["line"] + 1) for problem in problems}
    assert found == marked_lines(), said.stdout
