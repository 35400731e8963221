"""Saved files are told once, however they were saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dora.node.file_watch import FileWatch


class Watch:
    """A watch of one file, and its clock."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.file.write_text("1")
        self.now_s = 0.0
        self.watch = FileWatch([str(file)], 0.1, clock=lambda: self.now_s)
        self._stamp = file.stat().st_mtime_ns

    def look(self, times: int = 2) -> list[str]:
        """Look that often, a period apart; what was told in all."""
        found = []
        for _ in range(times):
            self.now_s += 0.1
            found += self.watch.changed()
        return found

    def save(self, text: str, target: Path | None = None) -> None:
        """Write the file, a moment later than before."""
        target = target or self.file
        target.write_text(text)
        self._stamp += 1
        os.utime(target, ns=(self._stamp, self._stamp))


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A file of one character that nobody has touched yet."""
    return Watch(tmp_path / "op.py")


def test_untouched_file_is_never_told(watch: Watch) -> None:
    assert watch.look(5) == []


def test_file_saved_in_place_is_told_once(watch: Watch) -> None:
    watch.save("2")
    assert watch.look(5) == [str(watch.file)]


def test_file_replaced_by_a_rename_is_told_once_even_with_the_same_time(watch: Watch) -> None:
    other = watch.file.with_suffix(".tmp")
    other.write_text("2")
    stamp = watch.file.stat().st_mtime_ns
    os.utime(other, ns=(stamp, stamp))
    other.rename(watch.file)
    assert watch.look(5) == [str(watch.file)]


def test_file_that_is_moved_away_and_written_anew_is_told_once(watch: Watch) -> None:
    watch.file.rename(watch.file.with_suffix(".bak"))
    assert watch.look(3) == []
    watch.save("2")
    assert watch.look(5) == [str(watch.file)]


def test_file_that_is_still_being_written_is_told_when_it_rests(watch: Watch) -> None:
    for text in ("2", "22", "222"):
        watch.save(text)
        assert watch.look(1) == []
    assert watch.look(1) == [str(watch.file)]


def test_file_that_comes_back_as_it_was_has_not_changed(watch: Watch) -> None:
    away = watch.file.with_suffix(".bak")
    watch.file.rename(away)
    watch.look(2)
    away.rename(watch.file)
    assert watch.look(5) == []


def test_files_are_looked_at_once_a_period_only(watch: Watch) -> None:
    watch.save("2")
    watch.look(1)
    assert [watch.watch.changed() for _ in range(3)] == [[], [], []]
    assert watch.look(1) == [str(watch.file)]
