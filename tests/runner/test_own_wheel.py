from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dora
from dora.runner.own_wheel import cache_dir, own_version, own_wheel

INFO = f"dora_rs-{dora.__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_wheel(tmp_path_factory.mktemp("cache"))


def test_user_whom_the_system_does_not_know_has_a_cache_beside_the_dataflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what Python does without HOME and entry in passwd
    assert cache_dir({}, tmp_path / "instead") == tmp_path / "instead"
    assert cache_dir({"XDG_CACHE_HOME": "relative"}, tmp_path / "instead") == tmp_path / "instead"
    assert list(tmp_path.iterdir()) == []


def test_wheel_is_of_the_version_that_runs(wheel: Path) -> None:
    assert own_version() == dora.__version__
    assert wheel.name == f"dora_rs-{dora.__version__}-py3-none-any.whl"


def test_wheel_holds_the_package_its_metadata_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert "dora = dora.__main__:main" in archive.read(f"{INFO}/entry_points.txt").decode()
        assert "Requires-Dist: pyarrow" in archive.read(f"{INFO}/METADATA").decode()
    assert {"dora/__init__.py", "dora/py.typed", "dora/runner/minder.py"} <= names
    assert not any("__pycache__" in name for name in names)


def test_record_lists_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        record = csv.reader(archive.read(f"{INFO}/RECORD").decode().splitlines())
        assert [row[0] for row in record] == archive.namelist()


def test_wheel_is_made_once(wheel: Path) -> None:
    before = wheel.stat().st_mtime_ns
    assert own_wheel(wheel.parent.parent.parent) == wheel
    assert wheel.stat().st_mtime_ns == before


@pytest.mark.slow
def test_wheel_can_be_installed_by_pip(wheel: Path, tmp_path: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*install, str(wheel)], check=True)
    shown = subprocess.run(
        [sys.executable, "-c", "import dora; print(dora.__file__)"],
        env={"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == str(tmp_path / "dora" / "__init__.py")
