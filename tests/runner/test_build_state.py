from __future__ import annotations

from pathlib import Path

import pytest

from dora.dataflow.descriptor import Node
from dora.runner.build_state import fingerprint, forget, is_only_installing, remember, remembered


def state(folder: Path, build: str, interpreter: str = "python") -> str:
    return fingerprint(Node("a", "a.py", build=build), folder, [interpreter])


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "build",
    [
        "pip install numpy",
        "pip3 install -r requirements.txt\n\npip install -e .[dev]",
        "# comment\npython -m pip install x \\\n  y",
        "uv pip install x",
        "/usr/bin/python3 -m pip install x",
    ],
)
def test_build_of_pip_lines_is_only_installing(build: str) -> None:
    assert is_only_installing(build)


@pytest.mark.parametrize(
    "build",
    ["make", "pip install x && make", "pip install x; ./gen", "cargo build", "pip install $(cat x)", "pip list"],
)
def test_any_other_build_is_not(build: str) -> None:
    assert not is_only_installing(build)


def test_other_interpreter_is_another_build(tmp_path: Path) -> None:
    assert state(tmp_path, "pip install x", "python-a") != state(tmp_path, "pip install x", "python-b")


@pytest.mark.parametrize(
    ("build", "file"),
    [
        ("pip install -r requirements.txt", "requirements.txt"),
        ("pip install -rrequirements.txt", "requirements.txt"),
        ("pip install --requirement=requirements.txt", "requirements.txt"),
        ("pip install './pkg'", "pkg/pyproject.toml"),
        ("pip install ./pkg", "pkg/module.py"),
        ("pip install -e ./pkg[extra]", "pkg/pyproject.toml"),
        ("pip install -e pkg", "pkg/native.cpp"),
        ("./generate.py", "generate.py"),
        ("make", "Makefile"),
        ("make", "native/deep/file.cpp"),
        ("cargo build --release", "src/main.rs"),
    ],
)
def test_change_of_an_input_is_another_build(tmp_path: Path, build: str, file: str) -> None:
    write(tmp_path / file, "one")
    before = state(tmp_path, build)
    assert state(tmp_path, build) == before
    write(tmp_path / file, "another")
    assert state(tmp_path, build) != before


def test_file_that_a_requirements_file_includes_counts(tmp_path: Path) -> None:
    write(tmp_path / "requirements.txt", "-r more/base.txt\n")
    write(tmp_path / "more" / "base.txt", "-r ../requirements.txt\n-c constraints.txt\nnumpy\n")
    before = state(tmp_path, "pip install -r requirements.txt")
    write(tmp_path / "more" / "constraints.txt", "numpy<2\n")
    assert state(tmp_path, "pip install -r requirements.txt") != before


@pytest.mark.parametrize(
    ("build", "file"),
    [
        ("pip install numpy", "native/file.cpp"),
        ("pip install -e .", "module.py"),
        ("make", "node.py"),
        ("make", "recording.bin"),
        ("make", "out/log_a.jsonl"),
        ("make", "target/generated.rs"),
        ("make", ".git/config.toml"),
    ],
)
def test_what_the_build_does_not_read_does_not_count(tmp_path: Path, build: str, file: str) -> None:
    before = state(tmp_path, build)
    write(tmp_path / file, "new")
    assert state(tmp_path, build) == before


def test_fingerprint_is_remembered_per_node(tmp_path: Path) -> None:
    remember(tmp_path, "a", "1")
    remember(tmp_path, "b", "2")
    assert (remembered(tmp_path, "a"), remembered(tmp_path, "b")) == ("1", "2")


def test_forgotten_fingerprint_is_gone(tmp_path: Path) -> None:
    remember(tmp_path, "a", "1")
    forget(tmp_path, "a")
    forget(tmp_path, "a")
    assert remembered(tmp_path, "a") is None


def test_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    remember(tmp_path, "a", "1")
    (tmp_path / ".dora" / "builds" / "a.json").write_text("\0\0\0")
    assert remembered(tmp_path, "a") is None
