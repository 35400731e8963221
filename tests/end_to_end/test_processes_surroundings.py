"""What a node finds around it, and where `dora run` works at all (dataflow-yaml.md, sections 4 to 6 and 24)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from end_to_end.node_sources import add_pair
from end_to_end.running import Flow, wait_until

pytestmark = pytest.mark.slow

READ_ONLY = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && exec "$@"',
    "--",
)
"""in front of a command: the current directory cannot be written to, not even by root"""
SHOW = "import json, os, sys\nprint(json.dumps({}))\n"


@pytest.fixture(scope="module")
def shown(flows: Callable[[], Flow]) -> Flow:
    """The end of a run of nodes that print a Python expression each."""
    flow = flows()
    env = {"A": "$HOME", "B": "${NOPE:-d}", "C": "$$HOME", "D": True, "E": 1.50, "F": "007"}
    flow.environment["HOME"] = str(flow.folder)
    flow.keys["env"] = {"A": "root", "B": "root", "C": "root"}
    flow.node("args", SHOW.format("sys.argv[1:]"), args="--a 'x y' \"$HOME\" b\\ c *.py")
    flow.node("own-env", SHOW.format("{key: os.environ[key] for key in 'ABCDEF'}"), env=env)
    flow.node("env", SHOW.format("[os.environ[key] for key in 'ABCD']"), env={"C": "node"})
    place = "[os.getcwd(), sys.path[0], sys.executable, os.environ['PYTHONUNBUFFERED'], sys.stdin.read()]"
    flow.node("place", SHOW.format(place))
    ended = flow.run("--env", "B=command line", "--env", "C=command line", "--env", "D=$HOME=x")
    assert ended.code == 0, ended
    return flow


def test_args_are_split_like_a_shell_does_and_nothing_is_expanded(shown: Flow) -> None:
    assert shown.figures("args") == ["--a", "x y", "$HOME", "b c", "*.py"]


def test_env_of_a_node_is_expanded_where_it_is_not_escaped(shown: Flow) -> None:
    folder = str(shown.folder)
    expected = {"A": folder, "B": "d", "C": "$HOME", "D": "true", "E": "1.5", "F": "007"}
    assert shown.figures("own-env") == expected


def test_env_of_the_command_line_beats_the_file_and_loses_against_the_node(shown: Flow) -> None:
    assert shown.figures("env") == ["root", "command line", "node", "$HOME=x"]


def test_node_runs_in_the_directory_of_the_file_with_the_python_of_dora(shown: Flow) -> None:
    folder = str(shown.folder)
    assert shown.figures("place") == [folder, folder, sys.executable, "1", ""]


def test_dataflow_in_a_folder_with_spaces_and_umlauts(flow: Flow) -> None:
    folder = flow.folder / "Käse & Brötchen $HOME"
    folder.mkdir()
    odd = Flow(folder)
    add_pair(odd)
    run = odd.start()
    run.wait_said("sink", "INPUT in")
    run.signal(signal.SIGINT)
    assert run.wait().code == 0, run.wait()
    assert odd.leftovers() == []


def test_runtime_directory_with_a_path_too_long_for_a_socket(flow: Flow) -> None:
    flow.environment["DORA_HOME"] = str(flow.folder / ("long" * 40))
    add_pair(flow)
    run = flow.start()
    run.wait_said("sink", "INPUT in")
    run.signal(signal.SIGINT)
    assert run.wait().code == 0, run.wait()
    assert list((flow.folder / ("long" * 40)).iterdir()) == []


def test_run_without_home_and_terminal(flow: Flow) -> None:
    add_pair(flow)
    away = [f"--unset={name}" for name in ("HOME", "USER", "TERM", "XDG_RUNTIME_DIR", "TMPDIR", "LANG")]
    run = flow.start(prefix=("env", *away))
    run.wait_said("sink", "INPUT in")
    run.signal(signal.SIGINT)
    ended = run.wait()
    assert ended.code == 0, ended
    assert "warning" not in ended.stderr


def test_run_under_nohup_outlives_its_terminal(flow: Flow) -> None:
    add_pair(flow)
    run = flow.start(prefix=("nohup",))
    run.wait_said("sink", "INPUT in")
    run.signal(signal.SIGHUP)
    count = len(run.said("sink"))
    wait_until(lambda: len(run.said("sink")) > count + 10, what="more messages")
    run.signal(signal.SIGTERM)
    assert run.wait(5).code == 0, run.wait()


def test_read_only_folder_costs_the_log_files_and_one_warning(flow: Flow) -> None:
    add_pair(flow)
    run = flow.start(prefix=READ_ONLY)
    wait_until(lambda: "sink: INPUT in" in run.stdout(), what="a message")
    run.signal(signal.SIGINT)
    ended = run.wait()
    assert ended.code == 0, ended
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("log file")]
    assert len(warnings) == 1, ended
    assert "Read-only file system" in warnings[0]
    assert "lines are missing in the log files: the disk refused them" in ended.stderr


def test_full_disk_costs_the_log_files_and_one_warning(flow: Flow) -> None:
    small = 'mkdir out && mount -t tmpfs -o size=64k tmpfs out && exec "$@"'
    for name in ("one", "two"):
        flow.node(name, "for number in range(5000):\n    print(number, 'x' * 50)")
    ended = flow.run(prefix=("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", small, "--"))
    assert ended.code == 0, ended
    assert ended.stdout.count(" one: ") == ended.stdout.count(" two: ") == 5000
    assert ended.stderr.count("No space left on device") == 1, ended
