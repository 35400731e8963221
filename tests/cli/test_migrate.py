"""`dora migrate`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]

OLD = "nodes:\n- id: a\n  custom:\n    source: a.py\n"
NEW = "nodes:\n- id: a\n  path: a.py\n"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataflow of an older version in the current directory."""
    monkeypatch.chdir(tmp_path)
    Path("old.yml").write_text(OLD)
    return Path("old.yml")


def test_file_is_rewritten_and_keeps_its_permissions(file: Path, capsys: Capture) -> None:
    file.chmod(0o640)
    assert run_command(["migrate", "old.yml"]) == 0
    assert file.read_text() == NEW
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    expected = "old.yml:4: 'source' is 'path'\nold.yml:3: the keys of 'custom' are the node's\n"
    assert capsys.readouterr() == (expected, "")
    assert [path.name for path in Path().iterdir()] == ["old.yml"]


def test_file_of_today_is_left_alone(file: Path, capsys: Capture) -> None:
    file.write_text(NEW)
    before = file.stat().st_mtime_ns
    assert run_command(["migrate", "old.yml"]) == 0
    assert file.stat().st_mtime_ns == before
    assert capsys.readouterr().out == "old.yml: nothing to change\n"


def test_check_writes_nothing_and_says_by_its_exit_code(file: Path) -> None:
    assert run_command(["migrate", "--check", "old.yml"]) == 1
    assert file.read_text() == OLD


def test_difference_is_shown_and_nothing_is_written(file: Path, capsys: Capture) -> None:
    assert run_command(["migrate", "--diff", "old.yml"]) == 0
    assert file.read_text() == OLD
    assert "-  custom:\n-    source: a.py\n+  path: a.py\n" in capsys.readouterr().out


def test_what_is_left_is_a_warning_with_its_place(file: Path, capsys: Capture) -> None:
    file.write_text("nodes: [{id: a, custom: {source: a.py}}]")
    assert run_command(["migrate", "old.yml"]) == 1
    assert "warning: old.yml:1:17: write the keys of 'custom' without it\n" in capsys.readouterr().err


def test_file_that_is_not_there_does_not_stop_the_others(file: Path, capsys: Capture) -> None:
    assert run_command(["migrate", "nope.yml", "old.yml"]) == 1
    assert file.read_text() == NEW
    assert "error: nope.yml: file not found" in capsys.readouterr().err


def test_link_stays_a_link(file: Path) -> None:
    Path("link.yml").symlink_to("old.yml")
    assert run_command(["migrate", "link.yml"]) == 0
    assert Path("link.yml").is_symlink()
    assert file.read_text() == NEW
