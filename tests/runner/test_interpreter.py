from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dora.dataflow.descriptor import Node
from dora.errors import DescriptorError
from dora.runner.interpreter import command_for, download_path, environment_for
from dora.runner.stated_python import has_our_dora, imports_our_dora

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}


@pytest.fixture(autouse=True)
def script(tmp_path: Path) -> Path:
    has_our_dora.cache_clear()
    imports_our_dora.cache_clear()
    path = tmp_path / "node.py"
    path.touch()
    return path


def make_env(path: Path, *, has_dora: bool) -> Path:
    """Looks like a virtual environment; its python is a link to ours, without a site directory of its own."""
    (path / "bin").mkdir(parents=True)
    python = path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    package = path / "lib" / "python3.10" / "site-packages" / "dora" / "runner"
    package.mkdir(parents=True)
    if has_dora:
        (package / "minder.py").touch()
    return path


def command(
    node: Node, working_dir: Path, environ: dict[str, str] | None = None, managed: Path | None = None
) -> tuple[str, ...]:
    return command_for(node, working_dir, managed_env=managed, environ=ENVIRON | (environ or {}))[0]


def environment(node: Node, environ: dict[str, str], managed: Path | None = None) -> dict[str, str]:
    return environment_for(node, Path("/flow"), config="{}", managed_env=managed, environ=environ)


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_python_file_runs_with_the_interpreter_that_runs_dora(tmp_path: Path) -> None:
    argv, described = command_for(Node("a", "node.py", ("--x", "a b")), tmp_path, managed_env=None, environ=ENVIRON)
    assert argv == (sys.executable, "-u", f"{tmp_path}/node.py", "--x", "a b")
    assert described == f"{sys.executable} -u {tmp_path}/node.py --x 'a b'"


def test_managed_environment_comes_first(tmp_path: Path) -> None:
    managed = make_env(tmp_path / "managed", has_dora=True)
    active = make_env(tmp_path / "active", has_dora=True)
    argv = command(Node("a", "node.py"), tmp_path, {"VIRTUAL_ENV": str(active)}, managed)
    assert argv[0] == str(managed / "bin" / "python")


def test_managed_environment_without_interpreter_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DescriptorError, match=r"node 'a': its managed environment has no interpreter .*dora build --uv"
    ):
        command(Node("a", "node.py"), tmp_path, managed=tmp_path / "none")


def test_environment_stated_in_env_is_used(tmp_path: Path) -> None:
    stated = make_env(tmp_path / "venv-a", has_dora=False)
    argv = command(Node("a", "node.py", env={"VIRTUAL_ENV": "venv-a"}), tmp_path)
    assert argv[0] == str(stated / "bin" / "python")


def test_active_environment_with_our_dora_is_used_by_its_own_name(tmp_path: Path) -> None:
    active = make_env(tmp_path / "active", has_dora=True)
    (tmp_path / "link").symlink_to(active)
    argv = command(Node("a", "node.py"), tmp_path, {"VIRTUAL_ENV": str(tmp_path / "link")})
    assert argv[0] == f"{tmp_path}/link/bin/python"


def test_active_environment_without_our_dora_is_passed_over_and_named(tmp_path: Path) -> None:
    active = make_env(tmp_path / "active", has_dora=False)
    argv, described = command_for(
        Node("a", "node.py"), tmp_path, managed_env=None, environ=ENVIRON | {"VIRTUAL_ENV": str(active)}
    )
    assert argv[0] == sys.executable
    assert described.endswith(f"(not {active}/bin/python: no dora of ours is installed there)")


def test_active_environment_that_finds_dora_another_way_is_used(tmp_path: Path) -> None:
    active = make_env(tmp_path / "active", has_dora=False)
    import dora

    source = str(Path(dora.__file__).parent.parent)
    argv = command(Node("a", "node.py"), tmp_path, {"VIRTUAL_ENV": str(active), "PYTHONPATH": source})
    assert argv[0] == str(active / "bin" / "python")


def test_dora_of_another_project_is_not_ours(tmp_path: Path) -> None:
    active = make_env(tmp_path / "active", has_dora=False)
    (tmp_path / "peer" / "dora").mkdir(parents=True)
    (tmp_path / "peer" / "dora" / "__init__.py").touch()
    assert not has_our_dora(str(active), str(tmp_path / "peer"))


def test_environment_that_runs_dora_has_our_dora() -> None:
    assert has_our_dora(sys.prefix)


def test_local_file_is_found_in_the_working_directory_and_its_link_kept(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "real")
    (tmp_path / "tool").symlink_to("bin/real")
    assert command(Node("a", "./tool"), tmp_path) == (f"{tmp_path}/tool",)


def test_program_is_looked_up_on_path(tmp_path: Path) -> None:
    found = program(tmp_path / "programs" / "camera-node")
    argv = command(Node("a", "camera-node", ("-v",)), tmp_path, {"PATH": f"/bin:{found.parent}"})
    assert argv == (str(found), "-v")


def test_program_of_the_managed_environment_comes_before_path(tmp_path: Path) -> None:
    managed = make_env(tmp_path / "managed", has_dora=True)
    found = program(managed / "bin" / "camera-node")
    program(tmp_path / "programs" / "camera-node")
    environ = {"PATH": str(tmp_path / "programs")}
    assert command(Node("a", "camera-node"), tmp_path, environ, managed) == (str(found),)


def test_program_beside_the_interpreter_of_dora_is_found_without_activation(tmp_path: Path) -> None:
    beside = next(Path(sys.executable).parent.glob("pytest"))
    assert command(Node("a", "pytest"), tmp_path) == (str(beside),)


def test_python_as_program_is_one_that_has_dora(tmp_path: Path) -> None:
    bare = make_env(tmp_path / "bare", has_dora=False)
    argv = command(Node("a", "python", ("-m", "pkg")), tmp_path, {"PATH": str(bare / "bin")})
    assert argv == (sys.executable, "-m", "pkg")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError) as error:
        command(Node("a", "nope.py", line=7), tmp_path)
    assert error.value.problems == [f"line 7: node 'a': no file or program 'nope.py' in {tmp_path} or on PATH"]


def test_file_that_is_not_executable_comes_with_advice(tmp_path: Path) -> None:
    (tmp_path / "tool").touch()
    with pytest.raises(DescriptorError, match=r"'tool' is not executable; run: chmod \+x "):
        command(Node("a", "tool"), tmp_path)


def test_shell_node_needs_permission(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match="DORA_ALLOW_SHELL_NODES=true"):
        command(Node("a", "shell", ("echo hi",)), tmp_path)


def test_shell_node_runs_its_line_in_a_shell(tmp_path: Path) -> None:
    argv = command(Node("a", "shell", ("echo $HOME | cat",)), tmp_path, {"DORA_ALLOW_SHELL_NODES": "true"})
    assert argv == ("/bin/sh", "-c", "echo $HOME | cat")


@pytest.mark.parametrize(
    ("url", "checksum", "file"),
    [
        ("https://host/a/camera.py", None, "build/camera.py"),
        ("https://host/a/camera.py?x=1#y", None, "build/camera.py"),
        ("https://host/tool", "AB" * 32, f"build/{'ab' * 32}/tool"),
        ("https://host/", None, "build/host"),
    ],
)
def test_download_is_kept_in_build(tmp_path: Path, url: str, checksum: str | None, file: str) -> None:
    assert download_path(Node("a", url, path_sha256=checksum), tmp_path) == tmp_path / file


def test_downloaded_python_file_runs_with_an_interpreter(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "camera.py").touch()
    argv = command(Node("a", "https://host/camera.py"), tmp_path)
    assert argv == (sys.executable, "-u", f"{tmp_path}/build/camera.py")


def test_url_that_was_not_downloaded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match=r"https://host/camera.py has not been downloaded; run: dora build"):
        command(Node("a", "https://host/camera.py"), tmp_path)


def test_environment_is_inherited_with_the_nodes_own_on_top() -> None:
    env = environment(Node("a", "x.py", env={"B": "2", "PATH": "/p"}), {"A": "1", "B": "1", "PATH": "/bin"})
    assert env == {"A": "1", "B": "2", "PATH": "/p", "DORA_NODE_CONFIG": "{}", "PYTHONUNBUFFERED": "1"}


def test_what_dora_sets_cannot_be_overridden() -> None:
    env = environment(Node("a", "x.py", env={"DORA_NODE_CONFIG": "x", "PYTHONUNBUFFERED": "", "LD_PRELOAD": "x"}), {})
    assert env == {"DORA_NODE_CONFIG": "{}", "PYTHONUNBUFFERED": "1"}


def test_loader_injection_and_secrets_are_not_inherited_but_library_paths_are() -> None:
    inherited = {
        name: "x" for name in ("LD_PRELOAD", "DORA_AUTH_TOKEN", "DORA_ALLOW_SHELL_NODES", "ZENOH_CONFIG", "LD_AUDIT")
    }
    env = environment(Node("a", "x.py"), inherited | {"LD_LIBRARY_PATH": "/lib"})
    assert env == {"LD_LIBRARY_PATH": "/lib", "DORA_NODE_CONFIG": "{}", "PYTHONUNBUFFERED": "1"}


def test_names_that_no_environment_can_hold_are_dropped() -> None:
    env = environment(Node("a", "x.py", env={"": "1", "A=B": "1", "A B": "1", "C": "x\0"}), {})
    assert set(env) == {"DORA_NODE_CONFIG", "PYTHONUNBUFFERED"}


def test_managed_environment_is_active_and_nothing_else_leaks_in() -> None:
    inherited = {"PATH": "/bin", "PYTHONPATH": "/x", "PYTHONHOME": "/x", "PIP_TARGET": "/x", "VIRTUAL_ENV": "/other"}
    env = environment(Node("a", "x.py"), inherited, Path("/envs/a"))
    assert env == {
        "PATH": "/envs/a/bin:/bin",
        "VIRTUAL_ENV": "/envs/a",
        "PYTHONNOUSERSITE": "1",
        "PIP_USER": "0",
        "PIP_CONSTRAINT": "file:///envs/a/dora-constraints.txt",
        "UV_OVERRIDE": "/envs/a/dora-overrides.txt",
        "DORA_NODE_CONFIG": "{}",
        "PYTHONUNBUFFERED": "1",
    }


def test_path_of_the_node_follows_its_managed_environment() -> None:
    env = environment(Node("a", "x.py", env={"PATH": "/mine"}), {"PATH": "/bin"}, Path("/envs/a"))
    assert env["PATH"] == "/envs/a/bin:/mine"


@pytest.mark.slow
def test_real_virtual_environment_with_a_path_file_is_recognised(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    assert not has_our_dora(str(tmp_path / "venv"))
    import dora

    (site,) = (tmp_path / "venv").glob("lib/python3*/site-packages")
    (site / "dora.pth").write_text(os.path.dirname(os.path.dirname(dora.__file__)) + "\n")
    has_our_dora.cache_clear()
    imports_our_dora.cache_clear()
    assert has_our_dora(str(tmp_path / "venv"))
