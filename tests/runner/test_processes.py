from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_probes import TestRun, is_alive, wait_for, wait_gone, zombies_below

from dora.runner import minder
from dora.runner.processes import Exited, MinderGone, Spawned, kill_descendants

SLEEPER = "sleep 1000 & echo $!; wait"
DETACHED = "setsid sleep 1000 >/dev/null 2>&1 & echo $!"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestRun]:
    monkeypatch.setenv("DORA_HOME", str(tmp_path / "home"))
    before = minder.children(os.getpid())
    run = TestRun()
    yield run
    run.close()
    assert set(minder.children(os.getpid())) <= set(before)


def test_process_that_ends_is_reported_with_its_code(run: TestRun) -> None:
    run.shell("a", "echo hello; exit 3")
    pid = run.pid("a")
    assert run.exited("a") == Exited("a", pid, 3, None)
    assert run.output("a") == "hello\n"


def test_process_that_dies_by_a_signal_is_reported_with_its_number(run: TestRun) -> None:
    run.shell("a", "kill -SEGV $$")
    report = run.exited("a")
    assert (report.code, report.signum) == (None, signal.SIGSEGV)


def test_spawned_is_reported_before_exited(run: TestRun) -> None:
    run.spawn("a", "/bin/true")
    run.exited("a")
    assert [type(report) for report in run.seen] == [Spawned]


def test_program_that_does_not_exist_is_named(run: TestRun) -> None:
    run.spawn("a", "/no/such/program")
    report = run.failed("a")
    assert report.errno == errno.ENOENT
    assert report.message == "cannot execute /no/such/program: No such file or directory"


def test_program_is_looked_up_on_the_path_of_its_own_environment(run: TestRun, tmp_path: Path) -> None:
    program = write_program(tmp_path / "hello", "#!/bin/sh\necho found\n")
    run.spawn("a", program.name, env={"PATH": f"{tmp_path}:/bin"})
    assert run.output("a") == "found\n"


def test_file_that_is_not_executable_comes_with_advice(run: TestRun, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    run.spawn("a", str(tmp_path / "data"))
    report = run.failed("a")
    assert report.errno == errno.EACCES
    assert report.message == f"cannot execute {tmp_path}/data: Permission denied (not executable: chmod +x)"


@pytest.mark.parametrize(
    ("content", "number", "hint"),
    [
        ("echo hi\n", errno.ENOEXEC, "(a script needs a first line such as #!/bin/sh)"),
        ("#!/no/such/interpreter\n", errno.ENOENT, "(the interpreter in its first line is missing)"),
    ],
)
def test_script_without_interpreter_comes_with_advice(
    run: TestRun, tmp_path: Path, content: str, number: int, hint: str
) -> None:
    program = write_program(tmp_path / "script", content)
    run.spawn("a", str(program))
    report = run.failed("a")
    assert report.errno == number
    assert report.message.endswith(hint)


def test_directory_that_is_a_file_is_named(run: TestRun, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run.spawn("a", "/bin/true", cwd=str(tmp_path / "file"))
    assert run.failed("a").message.startswith(f"cannot enter the directory {tmp_path}/file: ")


def test_working_directory_is_made_if_missing(run: TestRun, tmp_path: Path) -> None:
    run.shell("a", "pwd", cwd=str(tmp_path / "new" / "folder"))
    assert run.output("a") == f"{tmp_path}/new/folder\n"


def test_process_starts_with_default_signals_and_an_empty_mask(run: TestRun) -> None:
    run.spawn("a", "/bin/sh", "-c", "exec grep -E '^Sig(Blk|Ign):' /proc/self/status")
    blocked, ignored = (int(line.split()[1], 16) for line in run.lines("a", 2))
    assert blocked == 0
    assert [number for number in signal.valid_signals() if ignored >> (number - 1) & 1] == []


def test_process_has_only_the_three_standard_files(run: TestRun) -> None:
    run.python("a", "import os; print(os.listdir('/proc/self/fd'), os.readlink('/proc/self/fd/0'))")
    assert run.output("a") == "['0', '1', '2', '3'] /dev/null\n"  # 3 is the listing itself


def test_process_leads_its_own_group_and_may_open_as_many_files_as_the_limit_lets(run: TestRun) -> None:
    script = "import os, resource; print(os.getpgid(0) == os.getpid(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    run.python("a", script)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert run.output("a") == f"True {min(hard, minder.MAX_OPEN_FILES)} {hard}\n"


def test_runner_may_open_as_many_files_as_its_limit_lets(tmp_path: Path) -> None:
    script = "import resource as r, sys; from dora.runner.processes import Processes; Processes.start(sys.argv[1]); "
    script += "print(r.getrlimit(r.RLIMIT_NOFILE)[0])"
    command = ["sh", "-c", 'ulimit -Sn 64; ulimit -Hn 512; exec "$@"', "sh", sys.executable, "-c", script]
    assert subprocess.check_output([*command, str(tmp_path)], text=True) == "512\n"


def test_minder_is_reaped_where_the_parent_ignores_the_end_of_children(tmp_path: Path) -> None:
    script = "import signal, sys; from dora.runner.processes import Processes; "
    script += "signal.signal(signal.SIGCHLD, signal.SIG_IGN); Processes.start(sys.argv[1]).close(5)"
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_argument_that_is_too_long_comes_with_the_limit(run: TestRun) -> None:
    run.spawn("a", "/bin/true", env={"X": "x" * 200_000})
    assert run.failed("a").message.endswith("Argument list too long (each argument and variable: at most 128 KiB)")


def test_environment_is_exactly_the_requested_one(run: TestRun) -> None:
    run.spawn("a", "/usr/bin/env", env={"PATH": "/bin", "X": "ü\udcff"})
    variables = run.outputs["a"]
    run.exited("a")
    lines = os.read(variables, 4096).splitlines()
    assert sorted(line.partition(b"=")[0] for line in lines) == [b"DORA_NODE_CONFIG", b"PATH", b"X"]
    assert "X=ü".encode() + b"\xff" in lines


def test_request_larger_than_a_datagram_arrives(run: TestRun) -> None:
    words = ["x" * 1000] * 300
    run.python("a", "import sys; print(len(sys.argv))", env={"BIG": "y" * 100_000})
    run.spawn("b", "/bin/sh", "-c", 'echo $# "${#BIG}"', "sh", *words, env={"BIG": "y" * 100_000})
    assert run.output("a") == "1\n"
    assert run.output("b") == "300 100000\n"


def test_cpu_affinity_is_set(run: TestRun) -> None:
    core = min(os.sched_getaffinity(0))
    run.python("a", "import os; print(os.sched_getaffinity(0))", cpu_affinity=(core,))
    assert run.output("a") == f"{{{core}}}\n"


def test_cpu_affinity_that_cannot_be_had_is_a_warning(run: TestRun) -> None:
    run.spawn("a", "/bin/true", cpu_affinity=(1023, 5000))
    assert run.output("a") == ("warning: cpu_affinity [1023, 5000]: no such core here, the node is not pinned\n")


def test_signal_reaches_the_whole_group(run: TestRun) -> None:
    child = "(trap 'echo child; exit' USR1; echo ready; while :; do :; done)"
    run.shell("a", f"trap 'echo parent; wait; exit' USR1; {child} & wait")
    run.lines("a", 1)
    run.processes.signal("a", signal.SIGUSR1)
    assert sorted(run.output("a").split()) == ["child", "parent"]


def test_signal_to_a_process_that_is_just_being_started_is_not_lost(run: TestRun) -> None:
    for turn in range(20):
        run.spawn(f"n{turn}", "/bin/sleep", "1000")
        run.processes.signal(f"n{turn}", signal.SIGTERM)
        assert run.exited(f"n{turn}").signum == signal.SIGTERM


def test_children_in_the_group_are_gone_when_the_exit_is_reported(run: TestRun) -> None:
    run.shell("a", "sleep 1000 & echo $!; exit 0")
    (child,) = run.lines("a", 1)
    run.exited("a")
    assert not is_alive(int(child))


def end_beside(run: TestRun, child: int) -> None:
    """End the node `a`, by a signal to its group, when that child has left the group."""
    wait_for(lambda: os.getsid(child) == child)
    run.processes.signal("a", signal.SIGTERM)
    run.exited("a")


def test_detached_children_are_gone_when_the_exit_is_reported(run: TestRun) -> None:
    run.shell("a", f"{DETACHED}; sleep 1000")
    child = int(run.lines("a", 1)[0])
    end_beside(run, child)
    assert not is_alive(child)


GROUP_MEMBER = """
import os

read, write = os.pipe()
if os.fork() == 0:
    if os.fork():
        os.setpgid(0, 0)
    else:
        print(os.getpid(), flush=True)
    for fd in (1, 2):
        os.dup2(0, fd)
    os.execve("/bin/sleep", ["sleep", "1000"], {})
os.close(write)
os.read(read, 1)  # ends when both are `sleep`
"""


def test_group_is_killed_below_a_process_that_may_be_of_another_node(run: TestRun) -> None:
    run.shell("other", "sleep 1000")
    run.pid("other")
    run.python("a", GROUP_MEMBER)
    (member,) = run.lines("a", 1)
    run.exited("a")
    wait_gone(int(member), timeout_s=2)


class HalfDead(minder.Minder):
    """One node whose process has ended; `looks`: whether anything of it is left, look by look."""

    def __init__(self, *looks: bool) -> None:
        child = minder.Child("a", 1, -1, None, frozenset())
        child.ended_s = time.monotonic()
        self.ending, self.outbox, self.looks = [child], [], list(looks)

    def kill_orphans(self, child: minder.Child) -> bool:
        return self.looks.pop(0)


def test_exit_is_not_reported_while_anything_of_the_node_is_left() -> None:
    half_dead = HalfDead(True, False)
    half_dead.settle()
    assert half_dead.outbox == []
    half_dead.settle()
    assert len(half_dead.outbox) == 1


NAMELESS = "env -i setsid /bin/sleep 1000"


@pytest.mark.parametrize("redirects", ["", "2>/dev/null", ">/dev/null"], ids=["both", "stdout", "stderr"])
def test_detached_children_without_environment_are_known_by_the_pipes_of_their_node(
    run: TestRun, redirects: str
) -> None:
    run.shell("other", "sleep 1000")
    run.pid("other")
    run.shell("a", f"{NAMELESS} {redirects} & echo $! ; sleep 1000")
    child = int(run.lines("a", 1)[0])
    end_beside(run, child)
    assert not is_alive(child)


def test_detached_children_without_environment_and_pipes_go_with_the_last_node(run: TestRun) -> None:
    run.shell("a", f"{NAMELESS} >/dev/null 2>&1 & echo $!; sleep 1000")
    child = int(run.lines("a", 1)[0])
    end_beside(run, child)
    assert not is_alive(child)


def test_detached_children_without_environment_of_another_node_live_on(run: TestRun) -> None:
    run.shell("other", f"({NAMELESS} >/dev/null 2>&1 & echo $!); sleep 1000")
    pid = int(run.lines("other", 1)[0])
    run.shell("a", "true")
    run.exited("a")
    assert is_alive(pid)


def test_detached_children_of_another_node_live_on(run: TestRun) -> None:
    run.shell("other", f"({DETACHED}); sleep 1000")
    child = int(run.lines("other", 1)[0])
    run.shell("a", "exit 0")
    run.exited("a")
    assert is_alive(child)


def test_kill_takes_group_and_detached_descendants(run: TestRun) -> None:
    run.shell("a", f"({DETACHED}); sleep 1000 & echo $!; wait")
    children = [int(pid) for pid in run.lines("a", 2)]
    run.processes.kill("a")
    assert run.exited("a").signum == signal.SIGKILL
    assert [pid for pid in children if is_alive(pid)] == []


def test_name_can_be_used_again_after_the_exit(run: TestRun) -> None:
    for turn in range(3):
        run.shell("a", f"exit {turn}")
        assert run.exited("a").code == turn


def test_orphans_are_reaped_while_their_node_runs(run: TestRun) -> None:
    run.shell("a", "for i in $(seq 200); do (true & ) ; done; echo done; sleep 1000")
    run.lines("a", 1)
    wait_for(lambda: zombies_below(run.processes.minder_pid) == [])


def test_close_kills_what_runs_and_does_not_use_up_its_patience(run: TestRun) -> None:
    for turn in range(10):
        run.shell(f"n{turn}", SLEEPER)
    children = [int(run.lines(f"n{turn}", 1)[0]) for turn in range(10)]
    started_s = time.monotonic()
    run.processes.close(5)
    assert time.monotonic() - started_s < 4
    assert [pid for pid in children if is_alive(pid)] == []


def test_close_ends_a_minder_that_does_not_answer_and_all_below_it(run: TestRun) -> None:
    run.shell("a", f"({DETACHED}); sleep 1000")
    child = int(run.lines("a", 1)[0])
    os.kill(run.processes.minder_pid, signal.SIGSTOP)
    run.processes.close(0.05)
    wait_gone(child)


def test_minder_ignores_the_signals_of_a_terminal(run: TestRun) -> None:
    run.spawn("a", "/bin/sleep", "1000")
    run.pid("a")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        os.kill(run.processes.minder_pid, number)
    run.spawn("b", "/bin/true")
    assert run.exited("b").code == 0


def test_minder_has_a_session_of_its_own_and_no_name_that_pkill_would_take_for_dora_run(run: TestRun) -> None:
    run.spawn("a", "/bin/true")
    run.exited("a")
    pid = run.processes.minder_pid
    assert os.getsid(pid) == pid
    assert b"dora run" not in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")


def test_minder_has_one_thread(run: TestRun) -> None:
    run.spawn("a", "/bin/true")
    run.exited("a")
    assert len(os.listdir(f"/proc/{run.processes.minder_pid}/task")) == 1


def test_death_of_the_minder_is_reported_once(run: TestRun) -> None:
    os.kill(run.processes.minder_pid, signal.SIGKILL)
    run.next_report(MinderGone)
    assert run.processes.reports() == []


def test_request_to_a_dead_minder_is_no_error(run: TestRun) -> None:
    os.kill(run.processes.minder_pid, signal.SIGKILL)
    run.next_report(MinderGone)
    run.spawn("a", "/bin/true")
    run.processes.kill("a")


def test_nodes_die_with_the_minder_and_kill_descendants_takes_the_rest(run: TestRun) -> None:
    run.shell("a", f"({DETACHED}); echo $$; sleep 1000")
    detached, node = (int(pid) for pid in run.lines("a", 2))
    os.kill(run.processes.minder_pid, signal.SIGKILL)
    run.next_report(MinderGone)
    wait_gone(node)
    assert is_alive(detached)
    kill_descendants()
    assert not is_alive(detached)
    assert zombies_below(os.getpid()) in ([], [run.processes.minder_pid])


def test_kill_descendants_spares_what_it_is_told_to(run: TestRun) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as ours:
        kill_descendants(spared=frozenset({ours.pid}))
        assert ours.poll() is None
        ours.kill()


RUNNER = """
import os, sys, time
sys.path.insert(0, {tests!r})
from process_probes import TestRun, wait_for, zombies_below
run = TestRun()
print(os.getpid(), run.processes.minder_pid, flush=True)
for name, script in {scripts!r}.items():
    run.shell(name, script)
    print(*run.lines(name, {lines}), flush=True)
print(run.directory, flush=True)
{end}
"""

STUBBORN = {
    "grandchildren": "trap '' TERM INT HUP; sleep 1000 & echo $!; echo $$; sleep 1000",
    "detached": f"({DETACHED}); echo $$; sleep 1000",
    "without environment": "env -i setsid /bin/sleep 1000 >/dev/null 2>&1 & echo $!; echo $$; sleep 1000",
}


def start_runner(home: Path, *prefix: str) -> tuple[subprocess.Popen[str], list[int], Path]:
    """A runner in a process of its own; returns it, all processes below it, and its runtime directory."""
    script = RUNNER.format(tests=str(Path(__file__).parent), scripts=STUBBORN, lines=2, end="time.sleep(1000)")
    env = os.environ | {"DORA_HOME": str(home)}
    runner = subprocess.Popen([*prefix, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env)
    assert runner.stdout is not None
    lines = [runner.stdout.readline() for _ in range(2 + len(STUBBORN))]
    pids = [int(pid) for line in lines[:-1] for pid in line.split()]
    return runner, pids[1:], Path(lines[-1].strip())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_a_runner_that_is_killed(tmp_path: Path, number: int) -> None:
    runner, pids, directory = start_runner(tmp_path)
    with runner:
        runner.send_signal(number)
    wait_gone(*pids, timeout_s=2)
    wait_for(lambda: not directory.exists(), timeout_s=2)


def test_ctrl_c_in_the_terminal_leaves_the_minder_to_clean_up(tmp_path: Path) -> None:
    runner, pids, directory = start_runner(tmp_path, "setsid")
    with runner:
        os.killpg(runner.pid, signal.SIGINT)
    wait_gone(*pids, timeout_s=2)
    assert not directory.exists()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_thousand_orphans_leave_no_zombie_below_pid_1(tmp_path: Path) -> None:
    script = RUNNER.format(
        tests=str(Path(__file__).parent),
        scripts={"a": "for i in $(seq 1000); do (sleep 0 &) ; done; echo done; sleep 1000"},
        lines=1,
        end="wait_for(lambda: not zombies_below(1) + zombies_below(run.processes.minder_pid)); run.close()",
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    env = os.environ | {"DORA_HOME": str(tmp_path)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, check=True, timeout=60)
    assert done.stdout.startswith("1 ")


def write_program(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
