"""The `dora` command itself: version, overview, mistakes, exit codes."""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest

import dora
from dora.cli import main
from dora.cli.main import COMMANDS, Command, run_command
from dora.errors import DescriptorError, DoraError

Capture = pytest.CaptureFixture[str]

OVERVIEW = "Usage: dora COMMAND [ARGUMENTS]...\n\nTo begin:\n  new  "


def test_version_is_that_of_the_distribution(capsys: Capture) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"dora {dora.__version__}\n"
    assert importlib.metadata.version("dora-rs") == dora.__version__


def test_dora_alone_shows_the_overview_on_stderr_and_exits_2(capsys: Capture) -> None:
    assert run_command([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(OVERVIEW)


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_shows_the_overview_on_stdout(capsys: Capture, word: str) -> None:
    assert run_command([word]) == 0
    assert capsys.readouterr().out.startswith(OVERVIEW)


KILLED_RUN = """
import os, signal
from dora.runner.runtime_dir import create_runtime_dir

print(create_runtime_dir(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("capsys")
def test_command_about_runs_removes_what_is_left_of_one_that_was_killed() -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN], stdout=subprocess.PIPE, text=True)
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    assert run_command(["list"]) == 0
    assert not left.exists()


MISTAKES = [
    ("vaildate", "error: there is no command 'vaildate'; did you mean 'validate'?"),
    ("fly", "error: there is no command 'fly'"),
    ("flow.yml", "error: there is no command 'flow.yml'; did you mean 'dora run flow.yml'?"),
    ("--versoin", "error: there is no option '--versoin'; did you mean '--version'?"),
]


@pytest.mark.parametrize(("word", "message"), MISTAKES)
def test_mistyped_command_is_answered_with_a_suggestion_and_2(capsys: Capture, word: str, message: str) -> None:
    assert run_command([word]) == 2
    usage = "Usage: dora COMMAND [ARGUMENTS]...\nFor more information, try 'dora --help'.\n"
    assert capsys.readouterr().err == f"{message}\n{usage}"


def test_wrong_option_is_answered_with_the_usage_and_2(capsys: Capture) -> None:
    assert run_command(["validate", "--strct", "x.yml"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: no such option '--strct'") or err.startswith("error: no such option: --strct")
    assert err.endswith("Usage: dora validate [OPTIONS] FILE...\nFor more information, try 'dora validate --help'.\n")


@pytest.mark.parametrize("arguments", [["help", "validate"], ["validate", "--help"], ["validate", "-h"]])
def test_help_of_a_command(capsys: Capture, arguments: list[str]) -> None:
    assert run_command(arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: dora validate [OPTIONS] FILE...\n\n  Check dataflow files")


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not command.is_hidden])
def test_help_of_every_command_shows_examples(capsys: Capture, name: str) -> None:
    assert run_command([name, "--help"]) == 0
    assert f"Examples:\n    dora {name}" in capsys.readouterr().out


def test_overview_names_every_command_once_and_the_first_steps(capsys: Capture) -> None:
    run_command(["--help"])
    shown = capsys.readouterr().out
    rows = [line.split()[0] for line in shown.splitlines() if line.startswith("  ") and not line.startswith("  -")]
    commands = [row for row in rows if row != "dora"]
    assert sorted(commands) == sorted(name for name, command in COMMANDS.items() if not command.is_hidden)
    assert "First steps:\n  dora new " in shown


@pytest.mark.parametrize("name", ["node", "topic", "self", "system", "inspect"])
def test_group_alone_says_which_commands_it_has(capsys: Capture, name: str) -> None:
    assert run_command([name]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith(f"error: `dora {name}` needs one of its commands: ")
    assert err[1:] == [f"Usage: dora {name} COMMAND [ARGUMENTS]...", f"For more information, try 'dora {name} --help'."]


def test_wrong_option_of_a_command_in_a_group_points_to_its_own_help(capsys: Capture) -> None:
    assert run_command(["node", "list", "--wat"]) == 2
    assert capsys.readouterr().err.endswith("For more information, try 'dora node list --help'.\n")


def test_overview_of_commands_names_existing_modules() -> None:
    for name, command in COMMANDS.items():
        assert isinstance(getattr(importlib.import_module(command.module), command.attribute), click.Command), name


@pytest.fixture
def run_body(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], int]:
    """Runs `dora probe`, a command made of the given function."""

    def run(body: Callable[[], object]) -> int:
        module = ModuleType("probe")
        module.command = click.command()(body)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "probe", module)
        monkeypatch.setitem(main.COMMANDS, "probe", Command("probe", "command", "probe"))
        return run_command(["probe"])

    return run


def raising(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


OUTCOMES = [
    (
        DescriptorError(["f.yml:1:2: wrong", "f.yml:3:4: warning: odd"]),
        1,
        "error: f.yml:1:2: wrong\nwarning: f.yml:3:4: odd\n",
    ),
    (DoraError("no daemon"), 1, "error: no daemon\n"),
    (click.ClickException("no"), 1, "error: no\n"),
    (
        click.UsageError("No way."),
        2,
        "error: no way\nUsage: dora probe [OPTIONS]\nFor more information, try 'dora probe --help'.\n",
    ),
    (click.Abort(), 130, ""),
]


def os_error(number: int, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), file)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_file_that_the_machine_denies_is_named_in_one_line(
    run_body: Callable[..., int], capsys: Capture, number: int
) -> None:
    assert run_body(raising(os_error(number, "/etc/x"))) == 1
    assert capsys.readouterr().err == f"error: /etc/x: {os.strerror(number)}\n"


@pytest.mark.parametrize("error", [os_error(errno.ENOENT, "x"), os_error(errno.EACCES), os_error(errno.EBADF, "x")])
def test_mistake_of_ours_keeps_its_traceback(run_body: Callable[..., int], error: OSError) -> None:
    with pytest.raises(type(error), match=str(error.strerror)):
        run_body(raising(error))


def test_current_folder_that_was_removed_is_said_to_be(
    run_body: Callable[..., int], capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run_body(lambda: os.getcwd()) == 1
    assert capsys.readouterr().err.startswith("error: the current folder has been removed; go to one that exists")


@pytest.mark.parametrize(("error", "code", "text"), OUTCOMES, ids=[type(error).__name__ for error, _, _ in OUTCOMES])
def test_error_of_a_command_becomes_an_exit_code_and_a_line(
    run_body: Callable[..., int], capsys: Capture, error: Exception, code: int, text: str
) -> None:
    assert run_body(raising(error)) == code
    assert capsys.readouterr().err == text


def test_exit_code_of_a_command_is_what_it_returns(run_body: Callable[..., int]) -> None:
    assert [run_body(lambda: 3), run_body(lambda: None)] == [3, 0]


def test_ctrl_c_ends_without_a_traceback(run_body: Callable[..., int]) -> None:
    assert run_body(raising(KeyboardInterrupt())) == 130


def loaded_after(argument: str) -> set[str]:
    """The modules that `dora ARGUMENT` loads."""
    program = f"import sys; from dora.cli.main import run_command; run_command([{argument!r}]); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize("argument", ["--version", "--help", "fly"])
def test_version_and_overview_load_no_library(argument: str) -> None:
    assert not loaded_after(argument) & {"click", "rich", "yaml", "pyarrow", "msgspec", "dora.dataflow", "dora.runner"}


@pytest.mark.slow
def test_full_disk_is_an_error_without_a_traceback() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "dora", "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: the disk is full; free some space, then run the command again\n"


def test_too_few_descriptors_are_an_error_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(argv: list[str]) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(main, "_dispatch", refuse)
    assert main.run_command([]) == 1
    assert (
        capsys.readouterr().err
        == "error: too many open files; raise the limit (`ulimit -n`), then run the command again\n"
    )


def test_reader_that_closes_the_pipe_ends_dora_quietly() -> None:
    command = [sys.executable, "-m", "dora", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 1
