"""Managed environments with the real uv; the packages come from the index or from uv's cache."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import dora
from dora.dataflow.descriptor import Dataflow, Node
from dora.errors import NodeError
from dora.runner import environments
from dora.runner.builds import build_all
from dora.runner.built import Listener
from dora.runner.interpreter import command_for, environment_for
from dora.runner.options import BuildOptions

SHOW = 'python -c "import sys, dora; print(sys.prefix, dora.__file__)"; command -v python; type -P pip'
NEEDS_DORA = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "published-node"
version = "1"
dependencies = ["dora-rs{bound}"]
[project.scripts]
published-node = "published_node:main"
"""


class Folder:
    """A dataflow's folder, and what its builds printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[str, str]] = []

    def build(self, *nodes: Node) -> dict[str, Path]:
        """Build with `--uv`; returns the environments."""
        self.lines = []
        dataflow = Dataflow(path=self.path / "dataflow.yml", working_dir=self.path, nodes=nodes)
        listener = Listener(lambda node, text: self.lines.append((node, text)), lambda node, state: None)
        return dict(build_all(dataflow, BuildOptions(uses_uv=True), listener).managed_envs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One folder for all tests here: an environment takes seconds to make."""
    return Folder(tmp_path_factory.mktemp("a flow"))


def run_node(node: Node, folder: Folder, env: Path) -> str:
    argv, _ = command_for(node, folder.path, managed_env=env, environ=os.environ)
    variables = environment_for(node, config="{}", managed_env=env, environ=os.environ)
    return subprocess.run(argv, env=variables, cwd=folder.path, text=True, stdout=subprocess.PIPE, check=True).stdout


def test_nodes_with_an_environment_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "local").touch()
    found = {
        node.path: environments.managed_env_of(node, tmp_path) is not None
        for node in (
            Node("a", "script.py", build="make"),
            Node("a", "bare.py"),
            Node("a", "dora-yolo", build="pip install dora-yolo"),
            Node("a", "native", build="make"),
            Node("a", "local", build="pip install x"),
            Node("a", "target/release/node", build="pip install x"),
            Node("a", "dynamic", build="pip install x"),
            Node("a", "shell", build="pip install x"),
        )
    }
    assert [path for path, is_managed in found.items() if is_managed] == ["script.py", "dora-yolo"]


def test_without_uv_there_is_one_clear_message(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uv.find_uv_bin", lambda: (_ for _ in ()).throw(FileNotFoundError))
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(NodeError, match="--uv needs the program uv, which is not there; run: pip install uv"):
        folder.build(Node("a", "a.py", build="true"))


def test_node_without_a_build_gets_no_environment(tmp_path: Path) -> None:
    assert Folder(tmp_path).build(Node("a", "a.py")) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_build_and_node_share_an_environment_with_our_dora_and_pip(folder: Folder) -> None:
    node = Node("a", "a.py", build=SHOW)
    (folder.path / "a.py").write_text(
        "import subprocess\nsubprocess.run(['bash', '-c', '''" + SHOW + "'''], check=True)"
    )
    env = folder.build(node)["a"]
    assert env == folder.path / ".dora" / "python-envs" / "a"
    (package,) = env.glob("lib/python3*/site-packages/dora/__init__.py")
    shown = [f"{env} {package}", f"{env}/bin/python", f"{env}/bin/pip"]
    assert [text for _, text in folder.lines] == shown
    assert run_node(node, folder, env).splitlines() == shown


@pytest.mark.slow
def test_unchanged_environments_run_no_command(folder: Folder) -> None:
    nodes = [Node("a", "a.py", build=SHOW), Node("b", "b.py", build="true")]
    first = folder.build(*nodes)
    assert folder.build(*nodes) == first
    assert folder.lines == []


@pytest.mark.slow
def test_environment_that_is_broken_is_made_again_and_built_again(folder: Folder) -> None:
    node = Node("b", "b.py", build="echo built")
    env = folder.build(node)["b"]
    (env / "bin" / "python").unlink()
    folder.build(node)
    assert folder.lines == [("b", "built")]


@pytest.mark.slow
@pytest.mark.parametrize("bound", [">=0.3.9", "==0.3.5"])
@pytest.mark.parametrize("install", ["pip install --upgrade --no-build-isolation", "uv pip install"])
def test_published_node_does_not_replace_our_dora(folder: Folder, bound: str, install: str) -> None:
    package = folder.path / "published"
    package.mkdir(exist_ok=True)
    (package / "pyproject.toml").write_text(NEEDS_DORA.format(bound=bound))
    (package / "published_node.py").write_text("import dora\ndef main(): print(dora.__version__)\n")
    build = f"pip install setuptools\n{install} ./published"
    node = Node("c", "published-node", build=build, env={"PATH": f"{Path(uv_folder())}:{os.environ['PATH']}"})
    env = folder.build(node)["c"]
    assert run_node(node, folder, env) == f"{dora.__version__}\n"


@pytest.mark.slow
def test_pip_itself_keeps_our_dora(folder: Folder) -> None:
    env = folder.build(Node("b", "b.py", build="python -m pip install --quiet --no-deps --upgrade dora-rs"))["b"]
    (info,) = env.glob("lib/python3*/site-packages/dora_rs-*.dist-info")
    assert info.name == f"dora_rs-{dora.__version__}.dist-info"


@pytest.mark.slow
def test_ambient_python_path_does_not_leak_in(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.path / "leak").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder.path / "leak"))
    folder.build(Node("b", "b.py", build="python -c 'import sys; print([p for p in sys.path if \"leak\" in p])'"))
    assert folder.lines == [("b", "[]")]


def uv_folder() -> str:
    return os.path.dirname(environments.find_uv(os.environ))
