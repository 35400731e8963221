"""The samples of docs/deployment.md are what systemd expects."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "deployment.md").read_text()
UNITS = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)


def test_page_has_a_unit_for_a_user_and_one_for_the_machine() -> None:
    assert ["WantedBy=default.target" in unit for unit in UNITS] == [True, False]


def test_dataflow_that_outlived_a_crash_of_the_service_does_not_fail_its_restart() -> None:
    """`dora start` fails then, for its name is taken: without the dash systemd would end the service again."""
    commands = re.findall(r"^ExecStartPost=(.*)$", PAGE, re.MULTILINE)
    assert commands
    assert all(command.startswith("-") for command in commands)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize(("manager", "number"), [("--user", 0), ("--system", 1)])
def test_systemd_finds_no_fault_in_the_units(manager: str, number: int, tmp_path: Path) -> None:
    runnable = re.sub(r"[^\s=]+/bin/dora", shutil.which("true") or "/bin/true", UNITS[number].replace("=-", "="))
    file = tmp_path / "dora.service"
    file.write_text(runnable.replace("User=robot", "User=root"))
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["systemd-analyze", manager, "verify", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
