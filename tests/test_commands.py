"""`dora.run` and `dora.build` as functions: what they return and raise, from where they may be called, what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import dora
from end_to_end.running import TOKEN, Run, wait_until

HELLO = "from dora import Node\nprint('hello from', Node().next(0.0)['type'])\n"
UNTIL_STOP = (
    "from dora import Node\nprint('started')\nfor event in Node():\n    if event['type'] == 'STOP':\n        break\n"
)
CALL = "import dora\ntry:\n    dora.run('dataflow.yml')\nexcept KeyboardInterrupt:\n    print('interrupted')\n"


def write_dataflow(folder: Path, code: str, **keys: Any) -> Path:
    """A dataflow of one node that runs this code."""
    (folder / "node.py").write_text(code)
    file = folder / "dataflow.yml"
    file.write_text(yaml.safe_dump({"nodes": [{"id": "talker", "path": "node.py", **keys}]}))
    return file


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Run]:
    """A process that is in the middle of `dora.run`; nothing of it may be left."""
    write_dataflow(tmp_path, UNTIL_STOP)
    (tmp_path / "home").mkdir()
    token = uuid.uuid4().hex
    environment = {**os.environ, TOKEN: token, "DORA_HOME": str(tmp_path / "home")}
    run = Run(tmp_path, [sys.executable, "-c", CALL], environment, token)
    try:
        run.wait_said("talker", "started")
        yield run
    finally:
        left = run.end()
    assert not left
    assert not os.listdir(tmp_path / "home")


@pytest.mark.slow
def test_run_shows_what_the_nodes_print_each_time_it_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_dataflow(tmp_path, HELLO)
    for _ in range(2):
        dora.run(str(file))
        assert "hello from ERROR" in capsys.readouterr().out


@pytest.mark.slow
def test_run_accepts_a_path_object_and_stops_after_the_given_time(tmp_path: Path) -> None:
    assert dora.run(write_dataflow(tmp_path, UNTIL_STOP), stop_after=0.1) is None


@pytest.mark.slow
def test_run_raises_the_report_of_a_failed_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_dataflow(tmp_path, "from dora import Node\nNode()\nraise SystemExit(3)\n")
    with pytest.raises(RuntimeError, match=r"(?s)Dataflow failed:.*Node `talker` failed: exited with code 3"):
        dora.run(file)
    assert "Dataflow failed" not in capsys.readouterr().err


@pytest.mark.slow
def test_run_works_in_a_thread_while_another_one_runs(tmp_path: Path) -> None:
    file = write_dataflow(tmp_path, HELLO)
    failures: list[BaseException] = []

    def call() -> None:
        try:
            dora.run(file)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.slow
def test_run_works_inside_a_running_event_loop(tmp_path: Path) -> None:
    file = write_dataflow(tmp_path, HELLO)

    async def cell() -> None:
        dora.run(file)

    asyncio.run(cell())


def test_run_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match=r"failed to build dataflow before run: failed to read dataflow at `.*nope.yml`"
    ):
        dora.run(tmp_path / "nope.yml")


@pytest.mark.slow
def test_run_raises_every_problem_of_a_wrong_file(tmp_path: Path) -> None:
    file = write_dataflow(tmp_path, HELLO, inputs={"a": "ghost/x", "b": "talker/y"})
    with pytest.raises(RuntimeError, match=r"(?s)Dataflow could not be validated\..*'ghost'.*'y'"):
        dora.run(file)


@pytest.mark.slow
def test_run_names_a_wrong_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_LOG_LEVEL", "loud")
    with pytest.raises(RuntimeError, match="'loud' is not one of"):
        dora.run(write_dataflow(tmp_path, HELLO))


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_run_refuses_an_impossible_stop_after(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(RuntimeError, match="invalid stop_after"):
        dora.run(write_dataflow(tmp_path, HELLO), stop_after=seconds)


@pytest.mark.parametrize("path", [5, None, b"dataflow.yml"])
def test_run_says_which_paths_it_takes(path: Any) -> None:
    with pytest.raises(TypeError, match=r"dataflow_path must be a str or os.PathLike, not (int|NoneType|bytes)"):
        dora.run(path)


def test_run_says_which_times_it_takes(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="stop_after must be a number of seconds or None, not str"):
        dora.run(tmp_path, stop_after="3")  # type: ignore[arg-type]


@pytest.mark.slow
def test_interrupted_run_raises_keyboard_interrupt_after_the_nodes_have_stopped(caller: Run) -> None:
    caller.signal(signal.SIGINT)
    ended = caller.wait(10)
    assert (ended.code, ended.stdout.splitlines()[-1]) == (0, "interrupted")
    assert not caller.pids()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_killed_caller_leaves_nothing(caller: Run, signum: int) -> None:
    caller.signal(signum)
    assert caller.wait(10).code == -signum
    wait_until(lambda: not caller.pids(), 4.0)


@pytest.mark.slow
def test_exception_from_a_signal_handler_stops_the_dataflow(tmp_path: Path) -> None:
    file = write_dataflow(tmp_path, UNTIL_STOP)

    def give_up(signum: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(TimeoutError):
            dora.run(file)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.slow
def test_build_runs_the_build_lines_and_nothing_else(tmp_path: Path) -> None:
    file = write_dataflow(tmp_path, "raise SystemExit(1)\n", build="touch built")
    assert dora.build(file) is None
    assert (tmp_path / "built").exists()


@pytest.mark.slow
def test_build_and_run_name_the_node_whose_build_fails(tmp_path: Path) -> None:
    file = write_dataflow(tmp_path, HELLO, build="false")
    with pytest.raises(RuntimeError, match=r"^failed to build node 'talker': build command `false`"):
        dora.build(str(file))
    with pytest.raises(RuntimeError, match=r"^failed to build dataflow before run: node 'talker'"):
        dora.run(file)


def test_build_refuses_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="invalid coordinator_addr"):
        dora.build(write_dataflow(tmp_path, HELLO), coordinator_addr="nowhere")


def test_build_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"failed to read dataflow at `.*`: it is a directory"):
        dora.build(tmp_path)


def test_runtime_outside_a_dataflow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DORA_NODE_CONFIG", raising=False)
    with pytest.raises(RuntimeError, match=r"^Dora Runtime raised an error"):
        dora.start_runtime()


@pytest.mark.slow
def test_run_finds_its_own_dora_beside_a_folder_of_that_name(tmp_path: Path) -> None:
    write_dataflow(tmp_path, HELLO)
    (tmp_path / "here" / "dora").mkdir(parents=True)
    (tmp_path / "here" / "dora" / "__init__.py").write_text("raise ImportError\n")
    code = f"import os, dora\nos.chdir({str(tmp_path / 'here')!r})\ndora.run('../dataflow.yml')\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=30)
