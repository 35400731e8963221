"""Names of log files, and which run is meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dora.ids import new_dataflow_id
from dora.logs.places import LogsNotFoundError, choose_run, file_of, files_of_nodes, find_runs, is_going_on, lock_run


def make_run(base: Path, name: str = "", identity: str | None = None) -> str:
    identity = identity or new_dataflow_id()
    folder = base / "out" / identity
    folder.mkdir(parents=True)
    fields = f'{{"name":"{name}","file":"sub/{name}.yml"}}'
    (folder / "log_dora.jsonl").write_text(f'{{"msg":"running","fields":{fields}}}\n' if name else "")
    return identity


def test_no_two_ids_share_a_file_with_rotation(tmp_path: Path) -> None:
    ids = ["cam", "cam.1", "cam.1.2", "cam.x", "cam.", "1", "a.1b"]
    files = {file_of(tmp_path, node, number): (node, number) for node in ids for number in (0, 1, 12)}
    assert len(files) == 3 * len(ids)
    for file in files:
        file.touch()
    assert files_of_nodes(tmp_path) == dict.fromkeys(ids, 12)


def test_file_of_an_ordinary_node_is_named_as_in_dora_rs(tmp_path: Path) -> None:
    assert file_of(tmp_path, "cam").name == "log_cam.jsonl"
    assert file_of(tmp_path, "cam", 2).name == "log_cam.2.jsonl"


def test_runs_are_found_latest_first_and_other_folders_are_none(tmp_path: Path) -> None:
    older = make_run(tmp_path, identity="01a00000-0000-7000-8000-000000000000")
    newer = make_run(tmp_path, identity="01a20000-0000-7000-8000-000000000000")
    (tmp_path / "out" / "pictures").mkdir()
    os.utime(tmp_path / "out" / older)
    assert [run.id for run in find_runs(tmp_path)] == [newer, older]


@pytest.mark.parametrize("wanted", ["plot", "plot.yml", "sub/plot.yml", "01A10000-0000-7000-8000-00000000000A", "01a1"])
def test_a_run_is_known_by_name_file_id_and_beginning_of_the_id(tmp_path: Path, wanted: str) -> None:
    make_run(tmp_path, "plot", "01a10000-0000-7000-8000-00000000000a")
    make_run(tmp_path, "other", "01a20000-0000-7000-8000-00000000000a")
    assert choose_run(find_runs(tmp_path), wanted, tmp_path).name == "plot"


def test_the_latest_run_of_a_name_is_meant(tmp_path: Path) -> None:
    make_run(tmp_path, "plot", "01a10000-0000-7000-8000-00000000000a")
    latest = make_run(tmp_path, "plot", "01a20000-0000-7000-8000-00000000000a")
    assert choose_run(find_runs(tmp_path), "plot", tmp_path).id == latest


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("polt", "no logs of a dataflow 'polt' in {out}; did you mean 'plot'?; there are:\n  {id}  plot"),
        ("../../etc", "no logs of a dataflow '../../etc' in {out}; there are:\n  {id}  plot"),
        ("", "no logs of a dataflow '' in {out}; there are:\n  {id}  plot"),
    ],
)
def test_unknown_run_is_an_error_that_lists_the_runs(tmp_path: Path, wanted: str, text: str) -> None:
    identity = make_run(tmp_path, "plot")
    with pytest.raises(LogsNotFoundError) as raised:
        choose_run(find_runs(tmp_path), wanted, tmp_path)
    assert str(raised.value) == text.format(out=tmp_path / "out", id=identity)


def test_node_named_as_a_dataflow_is_told_its_option(tmp_path: Path) -> None:
    (tmp_path / "out" / make_run(tmp_path, "plot") / "log_camera.jsonl").touch()
    with pytest.raises(LogsNotFoundError, match="'camera' is a node, not a dataflow; name it with `--node camera`"):
        choose_run(find_runs(tmp_path), "camera", tmp_path)


def test_beginning_of_several_ids_is_an_error_that_lists_them(tmp_path: Path) -> None:
    ids = [make_run(tmp_path, identity=f"01a10000-0000-7000-8000-00000000000{digit}") for digit in "ba"]
    with pytest.raises(LogsNotFoundError, match="'01a1' is the beginning of 2 dataflow ids:") as raised:
        choose_run(find_runs(tmp_path), "01a1", tmp_path)
    assert all(identity in str(raised.value) for identity in ids)


def test_no_runs_at_all_say_where_logs_would_lie(tmp_path: Path) -> None:
    with pytest.raises(LogsNotFoundError, match="no dataflow has been run in this directory"):
        choose_run(find_runs(tmp_path), None, tmp_path)


def test_first_line_that_is_damaged_costs_the_name_only(tmp_path: Path) -> None:
    identity = make_run(tmp_path)
    (tmp_path / "out" / identity / "log_dora.jsonl").write_bytes(b"\xff[1]\n")
    assert choose_run(find_runs(tmp_path), identity, tmp_path).name == ""


def test_run_goes_on_while_its_folder_is_locked(tmp_path: Path) -> None:
    folder = tmp_path / "out" / make_run(tmp_path)
    assert is_going_on(folder) is False
    mark = lock_run(folder)
    assert is_going_on(folder) is True
    os.close(mark)
    assert is_going_on(folder) is False


@pytest.mark.slow
def test_run_whose_process_was_killed_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "out" / make_run(tmp_path)
    code = f"from dora.logs.places import lock_run; import os; lock_run({str(folder)!r}); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert is_going_on(folder) is False


def test_nobody_knows_whether_the_run_of_another_program_goes_on(tmp_path: Path) -> None:
    assert is_going_on(tmp_path) is None
    assert is_going_on(tmp_path / "removed") is False
