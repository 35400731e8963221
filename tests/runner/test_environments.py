"""Managed environments with the real uv.

dora's own dependencies come from the index or from uv's cache, everything else from wheels that the tests make; where
there is neither index nor cache, the tests that need an environment are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wheels import make_wheel

import dora
from dora.dataflow.descriptor import Dataflow, Interpreter, Node
from dora.errors import NodeError
from dora.runner import environments
from dora.runner.builds import build_all
from dora.runner.built import Listener
from dora.runner.environments import Environment, environments_of
from dora.runner.interpreter import CONSTRAINTS, OVERRIDES, command_for, environment_for
from dora.runner.options import BuildOptions

SHOW = 'python -c "import sys, dora; print(sys.prefix, dora.__file__)"; command -v python; type -P pip'
USUAL = BuildOptions(uses_uv=True)


class Folder:
    """A dataflow's folder, and what its builds printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[str, str]] = []

    def dataflow(self, *nodes: Node) -> Dataflow:
        return Dataflow(path=self.path / "dataflow.yml", working_dir=self.path, nodes=nodes)

    def build(self, *nodes: Node, options: BuildOptions = USUAL) -> dict[str, Path]:
        """Build with `--uv`; returns the environments."""
        self.lines = []
        listener = Listener(lambda node, text: self.lines.append((node, text)), lambda node, state: None)
        return dict(build_all(self.dataflow(*nodes), options, listener).managed_envs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One folder for all tests here, with a name that is not easy: an environment takes seconds to make."""
    return Folder(tmp_path_factory.mktemp("ein Fluß"))


@pytest.fixture(scope="module")
def shared(folder: Folder) -> Node:
    """A node whose environment is made once; skips where its packages cannot be had."""
    node = Node("shared", "shared.py", build="# nothing\n" + SHOW)
    try:
        folder.build(node)
    except NodeError as error:
        if any(word in str(error) for word in ("client error", "dns error", "were not found", "network was disabled")):
            pytest.skip("no index, and uv's cache has not what dora needs")
        raise
    return node


def run_node(node: Node, folder: Folder, env: Path, code: str = "") -> str:
    if code:
        (folder.path / node.path).write_text(code)
    argv, _ = command_for(node, folder.path, managed_env=env, environ=os.environ)
    variables = environment_for(node, folder.path, config="{}", managed_env=env, environ=os.environ)
    return subprocess.run(argv, env=variables, cwd=folder.path, text=True, stdout=subprocess.PIPE, check=True).stdout


def packages(env: Path) -> set[str]:
    return {path.name for path in env.glob("lib/python3*/site-packages/*.dist-info")}


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
            Node("a", "stated.py", build="pip install x", interpreter=Interpreter("python", "python3")),
            Node("a", "venv.py", build="pip install x", interpreter=Interpreter("venv", ".venv")),
        )
    }
    assert [path for path, is_managed in found.items() if is_managed] == ["script.py", "dora-yolo", "stated.py"]


def test_without_uv_there_is_one_clear_message(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uv.find_uv_bin", lambda: (_ for _ in ()).throw(FileNotFoundError))
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(NodeError, match="--uv needs the program uv, which is not there; run: pip install uv"):
        folder.build(Node("a", "a.py", build="true"))


def test_node_without_a_build_gets_no_environment(tmp_path: Path) -> None:
    assert Folder(tmp_path).build(Node("a", "a.py")) == {}
    assert list(tmp_path.iterdir()) == []


def test_cache_that_cannot_be_written_is_replaced_by_one_beside_the_dataflow(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = environments.uv_settings({"XDG_CACHE_HOME": str(tmp_path / "file")}, tmp_path)
    assert settings["UV_CACHE_DIR"] == str(tmp_path / ".dora" / "cache" / "uv")
    assert "UV_CACHE_DIR" not in environments.uv_settings({"XDG_CACHE_HOME": str(tmp_path)}, tmp_path)


@pytest.mark.slow
def test_build_and_node_share_an_environment_with_our_dora_and_pip(folder: Folder, shared: Node) -> None:
    shown = [text for _, text in folder.lines]
    env = folder.build(shared)["shared"]
    assert env == folder.path / ".dora" / "python-envs" / "shared"
    (package,) = env.glob("lib/python3*/site-packages/dora/__init__.py")
    assert shown == [f"{env} {package}", f"{env}/bin/python", f"{env}/bin/pip"]
    code = "import subprocess\nsubprocess.run(['bash', '-c', '''" + SHOW + "'''], check=True)"
    assert run_node(shared, folder, env, code).splitlines() == shown


@pytest.mark.slow
def test_unchanged_environments_are_not_touched(folder: Folder, shared: Node) -> None:
    first = folder.build(shared)
    assert folder.build(shared) == first
    assert folder.lines == []


@pytest.mark.slow
def test_what_is_active_later_changes_nothing(
    folder: Folder, shared: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = folder.build(shared)["shared"]
    stamp = (env / environments.STAMP).read_text()
    (tmp_path / "bin").mkdir()
    other = tmp_path / "bin" / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(other))
    folder.build(shared)
    assert (folder.lines, (env / environments.STAMP).read_text()) == ([], stamp)
    assert run_node(shared, folder, env, "import sys; print(sys.prefix)") == f"{env}\n"


@pytest.mark.slow
def test_pip_of_a_node_and_what_it_installs_stay_inside_whatever_is_set_around(
    folder: Folder, shared: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.path / "leak").mkdir()
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.setenv(name, str(folder.path / "leak"))
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("UV_SYSTEM_PYTHON", "1")
    env = folder.build(shared)["shared"]
    wheel = make_wheel(folder.path / "wheels", "my-tool", "1.0")
    install = ["pip", "install", "--quiet", "--no-index", "--no-deps", "--upgrade", str(wheel), "dora-rs"]
    code = f"import subprocess\nsubprocess.run({install!r}, check=True)\nsubprocess.run(['my-tool'], check=True)\n"
    assert run_node(shared, folder, env, code) == f"1.0 {env}\n"
    assert {"my_tool-1.0.dist-info", f"dora_rs-{dora.__version__}.dist-info"} <= packages(env)
    assert list((folder.path / "leak").iterdir()) == []


@pytest.mark.slow
def test_environment_that_is_broken_is_made_again_and_built_again(folder: Folder, shared: Node) -> None:
    env = folder.build(shared)["shared"]
    (env / "bin" / "python").unlink()
    folder.build(shared)
    assert folder.lines[0][1].startswith(str(env))


@pytest.mark.slow
def test_another_build_is_another_environment(folder: Folder, shared: Node) -> None:
    one = make_wheel(folder.path / "wheels", "one", "1.0")
    two = make_wheel(folder.path / "wheels", "two", "1.0")
    install = "pip install --no-index ./wheels/{} && two"
    with pytest.raises(NodeError, match="two: command not found"):
        folder.build(Node("b", "b.py", build=install.format(one.name)))
    env = folder.build(Node("b", "b.py", build=install.format(two.name)))["b"]
    assert folder.lines[-1] == ("b", f"1.0 {env}")
    assert "two-1.0.dist-info" in packages(env)
    assert "one-1.0.dist-info" not in packages(env)


@pytest.mark.slow
def test_new_dora_is_put_into_an_environment_that_stays(
    folder: Folder, shared: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = folder.build(shared)["shared"]
    stamp = json.loads((env / environments.STAMP).read_text())
    (env / environments.STAMP).write_text(json.dumps({**stamp, "dora": "old"}))
    folder.build(shared)
    assert folder.lines == []
    assert json.loads((env / environments.STAMP).read_text()) == stamp


@pytest.mark.slow
def test_published_nodes_do_not_replace_our_dora(folder: Folder, shared: Node) -> None:
    make_wheel(folder.path / "wheels", "open-node", "1.0", requires="dora-rs>=0.3.9")
    make_wheel(folder.path / "wheels", "pinned-node", "1.0", requires="dora-rs==0.3.5")
    build = f"""pip install ./wheels/open_node-1.0-py3-none-any.whl
        {uv_folder()}/uv pip install ./wheels/pinned_node-1.0-py3-none-any.whl
        open-node && pinned-node"""
    env = folder.build(Node("c", "pinned-node", build=build))["c"]
    assert folder.lines[-2:] == [("c", f"1.0 {env}")] * 2
    assert f"dora_rs-{dora.__version__}.dist-info" in packages(env)


@pytest.mark.slow
def test_dora_that_a_build_replaced_all_the_same_is_put_back(folder: Folder, shared: Node) -> None:
    wheel = make_wheel(folder.path / "wheels", "dora-rs", "0.3.5", module="dora")
    build = f"env -u UV_OVERRIDE {uv_folder()}/uv pip install --no-deps ./wheels/{wheel.name}"
    env = folder.build(Node("d", "d.py", build=build))["d"]
    assert "warning: the build put another dora-rs into the environment; this dora goes back over it" in [
        text for _, text in folder.lines
    ]
    infos = {name for name in packages(env) if name.startswith("dora_rs-")}
    assert infos == {f"dora_rs-{dora.__version__}.dist-info"}
    node = Node("d", "d.py", build=build)
    assert run_node(node, folder, env, "import dora; print(dora.Node.__name__)") == "Node\n"


FAKE_UV = """#!/bin/sh
echo "$@" >>"$0.calls"
case "$*" in
    *--seed*) mkdir "$7"; exit 2 ;;
    venv*) mkdir -p "$7/bin" && cp "$0.python" "$7/bin/python" ;;
esac
"""


def test_pip_comes_out_of_python_itself_where_there_is_no_index(tmp_path: Path) -> None:
    for name, text in (("uv", FAKE_UV), ("uv.python", f'#!/bin/sh\necho "$@" >>{tmp_path}/python.calls\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    command = Environment(tmp_path / "env", "python3", "recipe").create_command(
        str(tmp_path / "uv"), tmp_path, is_forced=False
    )
    subprocess.run(command, check=True)
    assert (tmp_path / "python.calls").read_text() == "-m ensurepip --default-pip\n"
    calls = (tmp_path / "uv.calls").read_text().splitlines()
    assert [call.split()[:2] for call in calls] == [["venv", "--quiet"], ["venv", "--quiet"], ["pip", "install"]]


def test_environment_says_which_dora_pip_and_uv_are_to_keep(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "env", "python3", "recipe")
    environment.folder.mkdir()
    environment.finish(None, tmp_path / "cache")
    version = dora.__version__
    wheel = f"{environment.folder.as_uri()}/dora_rs-{version}-py3-none-any.whl"
    assert (environment.folder / CONSTRAINTS).read_text() == f"dora-rs=={version}\n"
    assert (environment.folder / OVERRIDES).read_text() == f"dora-rs @ {wheel}\n"


def test_environment_is_made_from_the_python_that_the_node_states(folder: Folder, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    plain = Node("a", "a.py", build="true")
    stated = Node("b", "b.py", build="true", interpreter=Interpreter("python", str(python)))
    found = environments_of(folder.dataflow(plain, stated), os.environ)
    assert (found["a"].python, found["b"].python) == (sys.executable, str(python))
    assert found["a"].recipe != found["b"].recipe


def uv_folder() -> str:
    return os.path.dirname(environments.find_uv(os.environ))
