"""`python:`, `venv:` and `conda:` of a node: the interpreter, its variables, and what is said when it is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dora.dataflow.descriptor import Dataflow, Interpreter, Node
from dora.errors import DescriptorError
from dora.runner.builds import build_all
from dora.runner.built import Listener
from dora.runner.interpreter import command_for, environment_for
from dora.runner.options import BuildOptions
from dora.runner.stated_python import has_our_dora, imports_our_dora, located


@pytest.fixture(autouse=True)
def script(tmp_path: Path) -> None:
    has_our_dora.cache_clear()
    imports_our_dora.cache_clear()
    (tmp_path / "node.py").touch()


def make_env(root: Path, *, has_dora: bool = True, marker: str = "pyvenv.cfg") -> Path:
    """Looks like an environment: `bin/python` is ours without its site directory, `bin/pip` tells its place."""
    (root / "bin").mkdir(parents=True)
    for name, text in (("python", f'exec "{sys.executable}" -S "$@"'), ("pip", "echo pip of $0")):
        (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (root / "bin" / name).chmod(0o755)
    (root / marker).mkdir() if marker == "conda-meta" else (root / marker).touch()
    package = root / "lib" / "python3.11" / "site-packages" / "dora" / "runner"
    package.mkdir(parents=True)
    if has_dora:
        (package / "minder.py").touch()
    return root


def stating(kind: str, value: str, **keys: str) -> Node:
    return Node("a", "node.py", interpreter=Interpreter(kind, value, line=4), **keys)


def command(node: Node, folder: Path, **environ: str) -> list[str]:
    return list(command_for(node, folder, managed_env=None, environ={"PATH": "/usr/bin:/bin", **environ})[0])


def variables(node: Node, folder: Path, **environ: str) -> dict[str, str]:
    found = environment_for(
        node, folder, config="{}", managed_env=None, environ={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environ}
    )
    return {
        name: value for name, value in found.items() if name not in ("DORA_NODE_CONFIG", "PYTHONUNBUFFERED", "HOME")
    }


def build(node: Node, folder: Path) -> list[str]:
    lines: list[str] = []
    dataflow = Dataflow(path=folder / "dataflow.yml", working_dir=folder, nodes=(node,), file="dataflow.yml")
    build_all(dataflow, BuildOptions(), Listener(lambda name, text: lines.append(text), lambda name, state: None))
    return lines


def test_venv_is_a_folder_beside_the_dataflow(tmp_path: Path) -> None:
    env = make_env(tmp_path / ".venv-a")
    assert command(stating("venv", ".venv-a"), tmp_path) == [f"{env}/bin/python", "-u", f"{tmp_path}/node.py"]


def test_venv_is_active_for_the_node(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env")
    found = variables(stating("venv", "env"), tmp_path, VIRTUAL_ENV="/other", PYTHONHOME="/x", CONDA_PREFIX="/c")
    assert found == {"VIRTUAL_ENV": str(env), "PATH": f"{env}/bin:/usr/bin:/bin"}


def test_venv_that_is_last_on_path_comes_first(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env")
    assert variables(stating("venv", "env"), tmp_path, PATH=f"/bin:{env}/bin")["PATH"] == f"{env}/bin:/bin"


def test_program_of_the_venv_is_found(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env")
    node = Node("a", "pip", interpreter=Interpreter("venv", "env"))
    assert command(node, tmp_path) == [f"{env}/bin/pip"]


def test_python_may_be_a_file(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env")
    node = stating("python", "env/bin/python")
    assert command(node, tmp_path)[0] == f"{env}/bin/python"
    assert variables(node, tmp_path)["VIRTUAL_ENV"] == str(env)


@pytest.mark.parametrize("value", ["python3.99", "3.99"])
def test_python_may_be_a_name_or_version_on_path(tmp_path: Path, value: str) -> None:
    env = make_env(tmp_path / "env")
    (env / "bin" / "python3.99").symlink_to("python")
    assert command(stating("python", value), tmp_path, PATH=f"{env}/bin:/bin")[0] == f"{env}/bin/python3.99"


def test_conda_may_be_a_folder(tmp_path: Path) -> None:
    env = make_env(tmp_path / "envs" / "robot", marker="conda-meta")
    node = stating("conda", "./envs/robot")
    assert command(node, tmp_path)[0] == f"{env}/bin/python"
    assert variables(node, tmp_path, VIRTUAL_ENV="/x") == {
        "CONDA_PREFIX": str(env),
        "CONDA_DEFAULT_ENV": "./envs/robot",
        "PATH": f"{env}/bin:/usr/bin:/bin",
    }


@pytest.mark.parametrize("how", ["home", "command", "active", "noted"])
def test_conda_environment_is_found_by_its_name(tmp_path: Path, how: str) -> None:
    root = make_env(tmp_path / ("miniforge3" if how == "home" else "somewhere"), marker="conda-meta")
    env = make_env(root / "envs" / "robot", marker="conda-meta")
    (root / "bin" / "conda").symlink_to("python")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"{env}\n" if how == "noted" else "")
    stated = {"command": {"PATH": f"{root}/bin"}, "active": {"CONDA_PREFIX": str(root / "envs" / "other")}}
    environ = {"HOME": str(tmp_path), **stated.get(how, {})}
    assert command(stating("conda", "robot"), tmp_path, **environ)[0] == f"{env}/bin/python"


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        ("venv", ".v", "`venv: .v`: the virtual environment {}/.v does not exist; make it: python3 -m venv {}/.v"),
        (
            "venv",
            "empty",
            "`venv: empty`: the virtual environment {}/empty has no bin/python; make it: python3 -m venv",
        ),
        ("python", "./py", "`python: ./py`: there is no interpreter {}/py"),
        ("python", "./empty", "`python: ./empty`: there is no interpreter {}/empty"),
        ("python", "python3.98", "`python: python3.98`: there is no python3.98 on PATH; install it, or give the path"),
        ("conda", "./none", "`conda: ./none`: {}/none/bin/python does not exist; conda create -p {}/none python"),
        (
            "conda",
            "x",
            "`conda: x`: there is no such conda environment (no conda installation was found); conda create",
        ),
    ],
)
def test_what_is_not_there_is_one_clear_message(tmp_path: Path, kind: str, value: str, problem: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DescriptorError) as error:
        command(stating(kind, value), tmp_path, HOME=str(tmp_path))
    (text,) = error.value.problems
    assert text.startswith(f"line 4: node 'a': {problem.replace('{}', str(tmp_path))}")


def test_conda_environments_that_there_are_are_named(tmp_path: Path) -> None:
    make_env(tmp_path / "miniconda3" / "envs" / "robot", marker="conda-meta")
    (tmp_path / "miniconda3" / "conda-meta").mkdir()
    with pytest.raises(DescriptorError, match=r"there is no such conda environment \(has: base, robot\)"):
        command(stating("conda", "robto"), tmp_path, HOME=str(tmp_path))


def test_environment_without_our_dora_is_an_error_with_the_command_that_mends_it(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env", has_dora=False)
    with pytest.raises(DescriptorError) as error:
        command(stating("venv", "env"), tmp_path)
    (text,) = error.value.problems
    assert text.startswith(
        f"line 4: node 'a': `venv: env`: this dora is not installed for {env}/bin/python; "
        f"run: {env}/bin/python -m pip install "
    )
    assert Path(text.rpartition(" ")[2]).is_file()


def test_environment_without_pip_is_mended_by_uv(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env", has_dora=False)
    (env / "bin" / "pip").unlink()
    with pytest.raises(DescriptorError, match=f"run: {sys.executable} -m uv pip install --python {env}/bin/python /"):
        command(stating("venv", "env"), tmp_path)


def test_dora_on_the_nodes_python_path_is_enough(tmp_path: Path) -> None:
    import dora

    env = make_env(tmp_path / "env", has_dora=False)
    node = stating("venv", "env", env={"PYTHONPATH": str(Path(dora.__file__).parent.parent)})  # type: ignore[arg-type]
    assert command(node, tmp_path)[0] == f"{env}/bin/python"


def test_problem_gets_the_file_in_front() -> None:
    assert located("line 4: node 'a': text", "flow.yml") == "flow.yml:4:1: node 'a': text"
    assert located("node 'a': text", "flow.yml") == "node 'a': text"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("home")
def test_build_uses_the_stated_environment(tmp_path: Path) -> None:
    env = make_env(tmp_path / "env")
    assert build(stating("venv", "env", build="command -v python; echo $VIRTUAL_ENV"), tmp_path) == [
        f"{env}/bin/python",
        str(env),
    ]


@pytest.mark.usefixtures("home")
def test_pip_of_a_build_is_that_of_the_stated_python(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0 $@"\n')
    python.chmod(0o755)
    found = build(stating("python", "./python", build="pip install x\npip3 list"), tmp_path)
    assert found == [f"{python} -m pip install x", f"{python} -m pip list"]


@pytest.mark.usefixtures("home")
def test_build_with_an_environment_that_is_not_there_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match=r"^dataflow.yml:4:1: node 'a': `venv: .v`: the virtual environment"):
        build(stating("venv", ".v", build="touch built"), tmp_path)
    assert not (tmp_path / "built").exists()


@pytest.mark.usefixtures("home")
@pytest.mark.slow
def test_build_may_make_the_stated_environment(tmp_path: Path) -> None:
    make = f"test -e .v || {sys.executable} -m venv --without-pip .v; command -v python"
    build(stating("venv", ".v", build=make), tmp_path)
    assert build(stating("venv", ".v", build=make + " "), tmp_path) == [f"{tmp_path}/.v/bin/python"]
    subprocess.run([tmp_path / ".v" / "bin" / "python", "-c", ""], check=True)
