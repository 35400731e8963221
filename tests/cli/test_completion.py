"""`dora completion`: the scripts, and the words they ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from daemon.conftest import StartRun
from daemon.conftest import start_run as start_run
from dora.cli import completion
from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]
Complete = Callable[..., list[str]]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime directory."""
    monkeypatch.setenv("DORA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def complete(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What the last of the words may become."""

    def call(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        assert run_command(["complete-words", "--", "dora", *words]) == 0
        return capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sta"], ["start", "status"]),
        (["complete-"], []),
        (["node", "re"], ["remove", "replace", "restart"]),
        (["node", "list", "--q"], ["--quiet"]),
        (["list", "--format", ""], ["table", "json"]),
        (["list", "--format", "j"], ["json"]),
        (["completion", ""], ["bash", "elvish", "fish", "powershell", "zsh"]),
        (["completion", "f"], ["fish"]),
        (["no-such-command", ""], []),
        (["node", "no-such-command", ""], []),
        (["--v"], []),
    ],
)
def test_words_are_completed_from_the_commands_themselves(
    complete: Complete, words: list[str], expected: list[str]
) -> None:
    assert sorted(complete(*words)) == sorted(expected)


@pytest.mark.parametrize("words", [["stop", ""], ["logs", "ar"], ["node", "list", "-d", ""], ["restart", "a"]])
def test_names_of_dataflows_are_completed_where_one_is_expected(
    complete: Complete, start_run: StartRun, words: list[str]
) -> None:
    start_run("arm")
    assert complete(*words) == ["arm"]


@pytest.mark.parametrize(
    ("parent", "shell", "found"),
    [("zsh", "/bin/bash", "zsh"), ("python", "/usr/bin/fish", "fish"), ("pwsh", "/bin/bash", "powershell")],
)
def test_the_shell_is_that_of_the_terminal_else_that_of_the_user(
    parent: str, shell: str, found: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(completion, "_parent_name", lambda: parent)
    monkeypatch.setenv("SHELL", shell)
    assert run_command(["completion"]) == 0
    assert capsys.readouterr().out == completion._SCRIPTS[found]


def test_a_shell_that_is_not_known_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(completion, "_parent_name", lambda: "tcsh")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert run_command(["completion"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: cannot tell which shell this is: name it (bash, elvish, fish, powershell, zsh)"
    )


def test_another_shell_is_refused_by_name(capsys: Capture) -> None:
    assert run_command(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.startswith("error: invalid value for '[SHELL]': 'tcsh' is not one of 'bash', ")


_COMPLETES: Final = {
    "bash": 'COMP_WORDS=(dora vali); COMP_CWORD=1; _dora_complete; echo "${COMPREPLY[@]}"',
    "elvish": "$edit:completion:arg-completer[dora] dora vali | each $echo~",
    "fish": "complete -C 'dora vali'",
    "pwsh": "(TabExpansion2 'dora vali' 9).CompletionMatches.CompletionText",
}
_ELVISH_EDITOR: Final = "var edit: = (ns [&'completion:'=(ns [&arg-completer=[&]]) &'complete-filename~'=$nop~])\n"


@pytest.mark.parametrize("shell", _COMPLETES)
def test_shell_completes_with_the_script(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell) or pytest.skip(f"{shell} is not installed")
    (tmp_path / "dora").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dora "$@"\n')
    (tmp_path / "dora").chmod(0o755)
    script = f"{completion._SCRIPTS[completion._PROGRAMS[shell]]}\n{_COMPLETES[shell]}\n"
    done = subprocess.run(
        [program, "-c", (_ELVISH_EDITOR if shell == "elvish" else "") + script],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("validate\n", "")
