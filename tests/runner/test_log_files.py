"""Log files: format, rotation, restarts, and disks that refuse."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dora.logs.entry import plain_entries
from dora.runner.log_files import LogFile, first_only


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def messages(path: Path) -> list[str]:
    return [json.loads(line)["msg"] for line in path.read_text().splitlines()] if path.exists() else []


def put(file: LogFile, *lines: str) -> None:
    file.append_plain(0, "n", "stdout", lines)


@contextmanager
def disk_that_is_full_after(size_bytes: int) -> Iterator[None]:
    """No file may grow over that size; the write that would is short, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_file_and_its_folder_exist_from_the_start(tmp_path: Path) -> None:
    LogFile(tmp_path / "out" / "id" / "log_n.jsonl").close()
    assert (tmp_path / "out" / "id" / "log_n.jsonl").read_bytes() == b""


def test_lines_of_both_kinds_are_appended_in_order(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log_n.jsonl")
    put(file, "one", "two")
    file.append(plain_entries(0, "n", "stdout", ["three"]))
    file.close()
    assert messages(file.path) == ["one", "two", "three"]


def test_file_goes_on_after_a_restart(tmp_path: Path) -> None:
    for run in ("first", "second"):
        file = LogFile(tmp_path / "log_n.jsonl")
        put(file, run)
        file.close()
        put(file, f"{run} again")
        file.close()
    assert messages(file.path) == ["first", "first again", "second", "second again"]


def test_file_is_rotated_after_the_line_that_reaches_the_size(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log_n.jsonl", max_size_bytes=200, max_rotated_files=2)
    put(file, *map(str, range(9)))  # a line has about 100 bytes
    file.close()
    found = [messages(tmp_path / name) for name in ("log_n.jsonl", "log_n.1.jsonl", "log_n.2.jsonl", "log_n.3.jsonl")]
    assert found == [["8"], ["6", "7"], ["4", "5"], []]


def test_rotation_counts_what_earlier_runs_wrote(tmp_path: Path) -> None:
    for number in range(3):
        file = LogFile(tmp_path / "log_n.jsonl", max_size_bytes=200)
        put(file, str(number))
        file.close()
    assert messages(tmp_path / "log_n.1.jsonl") == ["0", "1"]
    assert messages(file.path) == ["2"]


def test_zero_rotated_files_keeps_none(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log_n.jsonl", max_size_bytes=200, max_rotated_files=0)
    put(file, "0", "1", "2")
    file.close()
    assert messages(file.path) == ["2"]
    assert [path.name for path in tmp_path.iterdir()] == ["log_n.jsonl"]


def test_full_disk_gives_one_warning_and_whole_lines(tmp_path: Path) -> None:
    warnings: list[str] = []
    file = LogFile(tmp_path / "log_n.jsonl", warn=warnings.append)
    with disk_that_is_full_after(150):
        put(file, "fits")
        put(file, "does", "not")
        put(file, "nor this")
    file.close()
    assert messages(file.path) == ["fits"]
    assert file.lost_lines == 3
    assert warnings == [f"log file {file.path}: File too large; lines are not stored until it works again"]


def test_disk_with_room_again_is_used_again_after_a_second(tmp_path: Path) -> None:
    warnings: list[str] = []
    clock = Clock()
    file = LogFile(tmp_path / "log_n.jsonl", warn=warnings.append, clock=clock)
    with disk_that_is_full_after(10):
        put(file, "lost")
    put(file, "too early")
    clock.now_s = 1.0
    put(file, "stored")
    file.close()
    assert messages(file.path) == ["stored"]
    assert warnings[1:] == [f"log file {file.path}: works again, 2 lines are missing"]


def test_device_without_room_does_not_raise() -> None:
    warnings: list[str] = []
    file = LogFile("/dev/full", warn=warnings.append)
    put(file, "x")
    file.close()
    assert warnings == ["log file /dev/full: No space left on device; lines are not stored until it works again"]


def test_folder_that_cannot_be_made_gives_one_warning(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    warnings: list[str] = []
    file = LogFile(tmp_path / "out" / "log_n.jsonl", warn=warnings.append)
    put(file, "x")
    assert len(warnings) == 1
    assert file.lost_lines == 1


@pytest.mark.parametrize("limit", [1, 10, 150])
def test_line_larger_than_the_size_is_stored_whole(tmp_path: Path, limit: int) -> None:
    file = LogFile(tmp_path / "log_n.jsonl", max_size_bytes=limit, max_rotated_files=9)
    put(file, "x" * 1000, "y" * 1000)
    file.close()
    assert messages(tmp_path / "log_n.2.jsonl") + messages(tmp_path / "log_n.1.jsonl") == ["x" * 1000, "y" * 1000]


def test_only_the_first_of_many_warnings_is_passed_on() -> None:
    warnings: list[str] = []
    warn = first_only(warnings.append)
    warn("one")
    warn("two")
    assert warnings == ["one"]
