"""What users are told about files that are wrong: all those in `broken/`, the exact words in `broken/messages.txt`.

After a message has been made better: `python tests/dataflow/test_broken_files.py` writes the table anew; read its diff.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.cli.main import run_command

FOLDER = Path(__file__).with_name("broken")
TABLE = FOLDER / "messages.txt"
NAMES = sorted(file.name for file in FOLDER.glob("*.yml"))


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """A block whose current directory is another (`contextlib.chdir` of Python 3.11)."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def said(name: str) -> str:
    """The part of the table for one file: exit code of `dora validate` and what it says, without excerpts."""
    errors = io.StringIO()
    with inside(FOLDER), contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = run_command(["validate", name])
    lines = [line for line in errors.getvalue().splitlines() if line.startswith(("error: ", "warning: "))]
    plain = [line.replace(str(FOLDER), "<folder>").replace(f" {name}:", " ", 1) for line in lines]
    return "\n    ".join([f"{name} (exit {code})", *plain]) + "\n"


def expected() -> dict[str, str]:
    """The table, by file."""
    parts = TABLE.read_text(encoding="utf-8").split("\n\n")[1:]
    return {part.split(" ", 1)[0]: part.rstrip("\n") + "\n" for part in parts}


@pytest.mark.parametrize("name", NAMES)
def test_wrong_file_is_answered_with_exactly_these_words(name: str) -> None:
    assert said(name) == expected()[name]


def test_table_and_folder_have_the_same_files() -> None:
    assert list(expected()) == NAMES
    assert len(NAMES) >= 40


def test_file_that_is_too_large_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("huge.yml").write_text("# " + "x" * 4 * 1024 * 1024)
    assert run_command(["validate", "huge.yml"]) == 1
    expected = "error: huge.yml: file is larger than 4194304 bytes; is this the right file?\n"
    assert capsys.readouterr().err == expected


def write_table() -> None:
    """Ask for every message again."""
    intro = "What `dora validate` says about the files of this folder (written by test_broken_files.py).\n"
    os.environ.pop("NO_SUCH_HOST", None)
    TABLE.write_text("\n".join([intro, *(said(name) for name in NAMES)]), encoding="utf-8")


if __name__ == "__main__":
    write_table()
