from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dora
from dora.runner.environments import find_uv
from dora.runner.pip_guard import guard_of_pip

pytestmark = pytest.mark.slow

NOWHERE = {"HOME": "/no/such", "XDG_CONFIG_DIRS": "/no/such", "PIP_CONFIG_FILE": "/dev/null"}


def published(folder: Path, name: str, bound: str) -> None:
    """A wheel that wants dora-rs within a bound."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: dora-rs{bound}\n"
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def pip_install(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `pip install` would do under the guard; nothing is installed."""
    stated = NOWHERE | {"PIP_FIND_LINKS": tmp_path.as_uri()}
    environ = os.environ | stated | guard_of_pip(tmp_path / "cache", stated)
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--dry-run", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


def test_package_that_takes_ours_is_installed_alone(tmp_path: Path) -> None:
    published(tmp_path, "modest", ">=0.3.9")
    result = pip_install(tmp_path, "modest")
    assert result.stdout.splitlines()[-1] == "Would install modest-1.0", result.stderr


def test_package_that_wants_another_dora_is_refused_with_both_versions(tmp_path: Path) -> None:
    published(tmp_path, "stubborn", "==0.3.5")
    result = pip_install(tmp_path, "stubborn")
    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert "stubborn 1.0 depends on dora-rs==0.3.5" in said
    assert f"The user requested (constraint) dora-rs=={dora.__version__}" in said


def test_environment_without_dora_gets_ours(tmp_path: Path) -> None:
    result = pip_install(tmp_path, "--ignore-installed", "--no-deps", "dora-rs>=0.3.9")
    assert result.stdout.splitlines()[-1] == f"Would install dora-rs-{dora.__version__}", result.stderr


def test_uv_is_guarded_too(tmp_path: Path) -> None:
    published(tmp_path, "stubborn", "==0.3.5")
    environ = os.environ | guard_of_pip(tmp_path / "cache", {**NOWHERE, "UV_FIND_LINKS": str(tmp_path)})
    command = ["uv", "pip", "install", "-q", "--dry-run", "--no-index", "--python", sys.executable, "stubborn"]
    result = subprocess.run(command, env=environ, executable=find_uv(os.environ), capture_output=True, text=True)
    assert result.returncode == 1
    assert f"dora-rs=={dora.__version__}" in result.stderr


def test_constraints_and_places_of_the_user_stay(tmp_path: Path) -> None:
    stated = NOWHERE | {"PIP_CONSTRAINT": "/mine.txt", "PIP_FIND_LINKS": "/a /b"}
    guard = guard_of_pip(tmp_path, stated)
    assert guard["PIP_CONSTRAINT"].startswith("/mine.txt file:///")
    assert guard["PIP_FIND_LINKS"].startswith("/a /b file:///")
