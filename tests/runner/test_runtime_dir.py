from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from process_probes import TestRun, is_alive, wait_gone

from dora.errors import ResourceError
from dora.runner import minder, runtime_dir
from dora.runner.processes import kill_descendants

VARIABLES = ("DORA_HOME", "XDG_RUNTIME_DIR", "TMPDIR")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every place but /run/user lies in `tmp_path`."""
    for name in VARIABLES:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def start_holder() -> tuple[subprocess.Popen[str], str]:
    """A process that creates a runtime directory and waits."""
    script = "from dora.runner import runtime_dir as r; print(r.create_runtime_dir(), flush=True); import time; "
    script += "time.sleep(1000)"
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    return holder, holder.stdout.readline().strip()


def test_directory_is_private_and_lies_in_dora_home(places: Path) -> None:
    path = runtime_dir.create_runtime_dir()
    assert Path(path).parent == places / "DORA_HOME"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    runtime_dir.release_runtime_dir(path)
    assert not os.path.exists(path)


def test_nothing_is_left_of_a_directory_for_whose_lock_no_descriptor_is_left(places: Path) -> None:
    script = "from dora.runner import runtime_dir as r; r.create_runtime_dir()"
    command = ["sh", "-c", 'ulimit -n 10; exec "$@"', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 1
    assert list((places / "DORA_HOME").iterdir()) == []


def test_dora_home_is_made_with_its_parents(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_HOME", str(places / "a" / "b"))
    path = runtime_dir.create_runtime_dir()
    assert Path(path).parent == places / "a" / "b"
    runtime_dir.release_runtime_dir(path)


def test_xdg_runtime_dir_is_the_second_choice(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DORA_HOME")
    path = runtime_dir.create_runtime_dir()
    assert Path(path).parent == places / "XDG_RUNTIME_DIR" / "dora"
    runtime_dir.release_runtime_dir(path)


def test_order_of_places_is_fixed() -> None:
    environ = {"DORA_HOME": "/h", "XDG_RUNTIME_DIR": "/x", "TMPDIR": "/t"}
    uid = os.geteuid()
    assert runtime_dir.bases(environ) == ["/h", "/x/dora", f"/run/user/{uid}/dora", f"/t/dora-{uid}"]
    assert runtime_dir.bases({}) == [f"/run/user/{uid}/dora", f"/tmp/dora-{uid}"]


def test_xdg_runtime_dir_that_does_not_exist_is_passed_over(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DORA_HOME")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(places / "gone"))
    path = runtime_dir.create_runtime_dir()
    assert not (places / "gone").exists()
    runtime_dir.release_runtime_dir(path)


def test_dora_home_that_cannot_be_used_is_an_error_that_names_it(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "file").touch()
    monkeypatch.setenv("DORA_HOME", str(places / "file"))
    with pytest.raises(ResourceError, match=r"no place for the runtime directory of this run; tried .*/file: "):
        runtime_dir.create_runtime_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another user's directory")
def test_directory_of_another_user_is_passed_over(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DORA_HOME")
    (places / "XDG_RUNTIME_DIR" / "dora").mkdir()
    os.chown(places / "XDG_RUNTIME_DIR" / "dora", 12345, 12345)
    path = runtime_dir.create_runtime_dir()
    assert not path.startswith(str(places / "XDG_RUNTIME_DIR"))
    runtime_dir.release_runtime_dir(path)


def test_sweep_leaves_a_living_run_alone() -> None:
    holder, path = start_holder()
    with holder:
        runtime_dir.sweep_stale()
        assert os.path.exists(path)
        holder.kill()


def test_sweep_leaves_its_own_run_alone() -> None:
    path = runtime_dir.create_runtime_dir()
    runtime_dir.sweep_stale()
    assert os.path.exists(path)
    runtime_dir.release_runtime_dir(path)


def test_sweep_removes_the_directory_of_a_killed_run() -> None:
    holder, path = start_holder()
    with holder:
        holder.kill()
    runtime_dir.sweep_stale()
    assert not os.path.exists(path)


def test_directory_lives_while_the_minder_lives() -> None:
    holder, path = start_holder()
    lock = os.open(os.path.join(path, minder.LOCK_NAME), os.O_RDWR)  # not the same open file: it holds nothing
    with holder:
        holder.kill()
    os.close(lock)
    run = TestRun()
    run.spawn("a", "/bin/true")
    run.exited("a")  # so the minder has only what it is to have
    os.close(runtime_dir._locks.pop(run.directory))  # as if the runner were dead
    runtime_dir.sweep_stale()
    assert os.path.exists(run.directory)
    assert not os.path.exists(path)
    run.close()


def test_sweep_kills_processes_that_still_carry_the_directory() -> None:
    holder, path = start_holder()
    with holder:
        holder.kill()
    env = os.environ | {"DORA_NODE_CONFIG": f'{{"socket": "{path}/nodes.sock", "node": "a"}}'}
    with subprocess.Popen(["/bin/sleep", "1000"], env=env) as left:
        runtime_dir.sweep_stale()
        assert left.wait(10) == -signal.SIGKILL


def test_sweep_waits_for_the_environment_of_a_process_in_execve(monkeypatch: pytest.MonkeyPatch) -> None:
    holder, path = start_holder()
    with holder:
        holder.kill()
    env = os.environ | {"DORA_NODE_CONFIG": f'{{"socket": "{path}/nodes.sock", "node": "a"}}'}
    with subprocess.Popen(["/bin/sleep", "1000"], env=env) as left:
        looks = [b""]
        value = minder.environment_value

        def told(pid: int, name: str) -> bytes | None:
            if pid != left.pid:
                return None
            return looks.pop() if looks else value(pid, name)

        monkeypatch.setattr(minder, "environment_value", told)
        try:
            runtime_dir.sweep_stale()
            assert left.wait(10) == -signal.SIGKILL
        finally:
            left.kill()


def test_sweep_kills_nobody_else() -> None:
    holder, path = start_holder()
    with holder:
        holder.kill()
    env = os.environ | {"DORA_NODE_CONFIG": f'{{"socket": "{path}x/nodes.sock", "node": "a"}}'}
    with subprocess.Popen(["/bin/sleep", "1000"], env=env) as other:
        runtime_dir.sweep_stale()
        assert other.poll() is None
        other.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another user's directory")
def test_sweep_leaves_directories_of_other_users_alone(places: Path) -> None:
    theirs = places / "DORA_HOME" / "run-theirs"
    theirs.mkdir()
    (theirs / minder.LOCK_NAME).touch()
    os.chown(theirs, 12345, 12345)
    runtime_dir.sweep_stale()
    assert theirs.exists()


def test_runner_and_minder_killed_at_once_leave_what_the_sweep_removes(places: Path) -> None:
    script = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from process_probes import TestRun
run = TestRun()
run.shell("a", "setsid sleep 1000 >/dev/null 2>&1 & echo $!; echo $$; sleep 1000")
print(run.directory, run.processes.minder_pid, *run.lines("a", 2), flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        directory, minder_pid, detached, node = runner.stdout.readline().split()
        os.kill(int(minder_pid), signal.SIGSTOP)  # so that it has no time to clean up
        runner.kill()
        os.kill(int(minder_pid), signal.SIGKILL)
    wait_gone(int(node), int(minder_pid))
    assert is_alive(int(detached))
    runtime_dir.sweep_stale()
    wait_gone(int(detached))
    assert not os.path.exists(directory)
    kill_descendants()  # reaps what became ours
