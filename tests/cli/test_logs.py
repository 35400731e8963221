"""`dora logs --local`: what it shows of the files in `out`, and its errors."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.cli.main import run_command
from dora.logs.places import file_of, lock_run
from dora.runner.log_files import LogFile

Capture = pytest.CaptureFixture[str]
ID = "01a10000-0000-7000-8000-00000000000a"
NOON_NS = 1_769_860_800_000_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log folder of a run of two nodes, below the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    folder = tmp_path / "out" / ID
    for node, second in (("camera", 1), ("plot", 2)):
        file = LogFile(file_of(folder, node))
        file.append_plain(NOON_NS + second * 1_000_000_000, node, "stdout", [f"{node} says hi"])
        file.close()
    return folder


def shown(capsys: Capture, *options: str) -> list[str]:
    assert run_command(["logs", "--local", *options]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("folder")
def test_all_nodes_of_the_last_run_are_shown_by_time(capsys: Capture) -> None:
    assert shown(capsys) == ["12:00:01 stdout camera: camera says hi", "12:00:02 stdout plot: plot says hi"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--node", "plot"], ["12:00:02 stdout plot: plot says hi"]),
        (["--tail", "1", "--format", "compact"], ["12:00:02 STDOUT plot: plot says hi"]),
        (["--since", "2026-01-31T12:00:02Z"], ["12:00:02 stdout plot: plot says hi"]),
        (["--until", "2026-01-31T12:00:01Z", ID[:6]], ["12:00:01 stdout camera: camera says hi"]),
        (["--since", "10m"], []),
        (["--grep", "CAMERA"], ["12:00:01 stdout camera: camera says hi"]),
        (["--level", "info"], []),
        (["--log-filter", "camera=info", ID], ["12:00:02 stdout plot: plot says hi"]),
    ],
)
def test_options_choose_what_is_shown(capsys: Capture, options: list[str], expected: list[str]) -> None:
    assert shown(capsys, *options) == expected


@pytest.mark.usefixtures("folder")
def test_json_lines_name_the_dataflow(capsys: Capture) -> None:
    first, _ = [json.loads(line) for line in shown(capsys, "--log-format", "json")]
    assert (first["dataflow_id"], first["node_id"], first["message"]) == (ID, "camera", "camera says hi")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--node", "camra"], 1, "error: no node 'camra' in the logs of"),
        (["nothing"], 1, "error: no logs of a dataflow 'nothing' in out"),
        (["--log-filter", "camera"], 1, "error: log filter 'camera': expected NODE=LEVEL"),
        ([ID, "camera"], 2, "error: unexpected 'camera': name a node with `--node camera`"),
        (["--all-nodes", "--node", "plot"], 2, "error: --all-nodes and --node exclude each other"),
        (["--follow", "--until", "1m"], 2, "error: --follow and --until exclude each other"),
        (["--since", "yesterday"], 2, "'yesterday' is not a duration such as 30, 500ms"),
        (["--tail", "-1"], 2, "-1 is not in the range x>=0"),
    ],
)
def test_mistakes_are_explained(capsys: Capture, options: list[str], code: int, text: str) -> None:
    assert run_command(["logs", "--local", *options]) == code
    assert text in capsys.readouterr().err


def test_without_logs_it_says_where_they_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["logs"]) == 1
    assert capsys.readouterr().err.startswith("error: no logs in out: no dataflow has been run in this directory")


def test_damaged_lines_are_left_out_with_a_warning(folder: Path, capsys: Capture) -> None:
    file_of(folder, "camera").write_text('{"torn')
    file_of(folder, "plot").write_text("rubbish\n")
    assert run_command(["logs"]) == 0
    assert capsys.readouterr() == ("", "warning: 1 lines in the log of plot are no log entries and are left out\n")


class Follower:
    """`dora logs --follow` as a process, following a run that goes on until `end_run`."""

    def __init__(self, folder: Path) -> None:
        file_of(folder, "dora").touch()
        self._mark = lock_run(folder)
        command = [sys.executable, "-m", "dora", "logs", "--local", "--follow", "--tail", "1", "--format", "compact"]
        self.process = subprocess.Popen(
            command, cwd=folder.parent.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().partition(": ")[2].rstrip("\n")

    def end_run(self) -> None:
        fcntl.flock(self._mark, fcntl.LOCK_UN)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)
        os.close(self._mark)


@pytest.fixture
def follower(folder: Path) -> Iterator[Follower]:
    follower = Follower(folder)
    yield follower
    follower.close()


@pytest.mark.slow
def test_following_shows_what_comes_across_rotation_and_ends_at_ctrl_c(folder: Path, follower: Follower) -> None:
    assert follower.line() == "plot says hi"
    file = LogFile(file_of(folder, "plot"), max_size_bytes=300, max_rotated_files=9)
    for number in range(8):
        file.append_plain(NOON_NS, "plot", "stdout", [f"number {number} {'x' * 50}"])
    file.close()
    assert [follower.line()[:8] for _ in range(8)] == [f"number {number}" for number in range(8)]
    follower.process.send_signal(signal.SIGINT)
    assert follower.process.communicate(timeout=10) == ("", "")
    assert follower.process.returncode == 0


@pytest.mark.slow
def test_following_ends_when_the_run_is_over(follower: Follower) -> None:
    assert follower.line() == "plot says hi"
    follower.end_run()
    assert follower.process.communicate(timeout=10) == ("", "")
    assert follower.process.returncode == 0
