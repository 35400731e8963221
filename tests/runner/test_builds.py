from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from process_probes import wait_for, wait_gone

from dora.dataflow.descriptor import Dataflow, Node
from dora.errors import NodeError, ResourceError
from dora.runner.builds import build_all
from dora.runner.built import Listener
from dora.runner.options import BuildOptions


class Folder:
    """A dataflow's folder, and what its builds printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[str, str]] = []
        self.states: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def build(self, *nodes: Node, is_forced: bool = False) -> list[tuple[str, str]]:
        """Build; returns the lines that were printed."""
        self.lines, self.states, self.notes = [], [], []
        dataflow = Dataflow(path=self.path / "dataflow.yml", working_dir=self.path, nodes=nodes)
        listener = Listener(self.on_line, self.on_state, self.notes.append)
        built = build_all(dataflow, BuildOptions(is_forced=is_forced), listener)
        assert built.managed_envs == {}
        return self.lines

    def on_line(self, node: str, text: str) -> None:
        self.lines.append((node, text))

    def on_state(self, node: str, state: str) -> None:
        self.states.append((node, state))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Nothing is left behind: no process, no runtime directory."""
    (tmp_path / "home").mkdir()
    (tmp_path / "flow").mkdir()
    monkeypatch.setenv("DORA_HOME", str(tmp_path / "home"))
    yield Folder(tmp_path / "flow")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which it is served."""
    root = tmp_path / "served"
    root.mkdir()
    handler = partial(QuietHandler, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def test_lines_of_a_build_are_told_as_they_come(folder: Folder) -> None:
    assert folder.build(Node("a", "a.py", build="echo one\nprintf 'two\\nthree'")) == [
        ("a", "one"),
        ("a", "two"),
        ("a", "three"),
    ]
    assert folder.states == [("a", "running its build"), ("a", "")]


def test_build_is_a_script_for_a_real_shell(folder: Folder) -> None:
    script = "X=1 && echo $X | cat\nif true; then\n  echo 'a  b' \\\n    c\nfi"
    assert folder.build(Node("a", "a.py", build=script)) == [("a", "1"), ("a", "a  b c")]


def test_build_runs_in_the_folder_of_the_dataflow_with_the_nodes_env(folder: Folder) -> None:
    lines = folder.build(Node("a", "a.py", env={"KIND": "arm"}, build='pwd; echo "$KIND"'))
    assert lines == [("a", str(folder.path)), ("a", "arm")]


def test_progress_bar_is_shown_as_its_last_state(folder: Folder) -> None:
    assert folder.build(Node("a", "a.py", build=r"printf '10%%\r50%%\r100%%\r\n'")) == [("a", "100%")]


def test_failed_command_ends_the_build_and_is_named_with_the_last_lines(folder: Folder) -> None:
    with pytest.raises(NodeError) as error:
        folder.build(Node("a", "a.py", build="echo before\nls /no/such/file\necho after"))
    assert str(error.value) == (
        "node 'a': build command `ls /no/such/file` returned exit status 2:\n"
        "  before\n"
        "  ls: cannot access '/no/such/file': No such file or directory"
    )


@pytest.mark.parametrize(
    ("printed", "hint"),
    [
        ("error: externally-managed-environment", "use --uv (an environment per node), or run dora from a virtual"),
        ("No module named pip", "there is no pip for this Python; use --uv"),
        ("write failed: No space left on device", "the disk is full: free space; `uv cache clean` empties uv's cache"),
    ],
)
def test_failures_that_are_known_come_with_a_hint(folder: Folder, printed: str, hint: str) -> None:
    with pytest.raises(NodeError) as error:
        folder.build(Node("a", "a.py", build=f"echo '{printed}'; false"))
    assert f"\nhint: {hint}" in str(error.value)


def test_build_that_dies_by_a_signal_is_named(folder: Folder) -> None:
    with pytest.raises(NodeError, match="build command `kill -9 \\$\\$` was ended by SIGKILL"):
        folder.build(Node("a", "a.py", build="kill -9 $$"))


def test_failure_ends_the_builds_beside_it(folder: Folder) -> None:
    nodes = [Node("a", "a.py", build="sleep 1000"), Node("b", "b.py", build="false"), Node("c", "c.py", build="echo c")]
    with pytest.raises(NodeError, match="node 'b'"):
        folder.build(*nodes)
    assert ("c", "c") not in folder.lines


def test_failure_says_what_became_of_the_other_builds(folder: Folder) -> None:
    processors = len(os.sched_getaffinity(0))
    beside = [Node(f"n{number}", "a.py", build=f"sleep 100{number}") for number in range(processors - 1)]
    done, late = Node("done", "a.py", build="echo done"), Node("late", "a.py", build="echo late")
    with pytest.raises(NodeError) as error:
        folder.build(done, *beside, Node("bad", "a.py", build="test -e .dora/no"), late)
    ended = f"{', '.join(node.id for node in beside)} (ended with it); " if beside else ""
    assert str(error.value).splitlines() == [
        "node 'bad': build command `test -e .dora/no` returned exit status 1",
        f"other builds: done (done); {ended}late (not started)",
    ]


def test_unchanged_build_is_not_repeated(folder: Folder) -> None:
    node = Node("a", "a.py", build="echo built >> log")
    assert folder.build(node) == folder.build(node) == []
    assert (folder.path / "log").read_text() == "built\n"


def test_what_is_not_built_again_is_said(folder: Folder) -> None:
    nodes = [Node("a", "a.py", build="echo a"), Node("b", "b.py", build="echo b")]
    folder.build(*nodes)
    assert folder.notes == []
    folder.build(*nodes)
    assert folder.notes == ["unchanged, not built again: a, b"]
    folder.build(nodes[0], Node("b", "b.py", build="echo other"))
    assert folder.notes == ["unchanged, not built again: a"]
    assert folder.lines == [("b", "other")]


def test_of_many_unchanged_builds_some_are_named(folder: Folder) -> None:
    nodes = [Node(f"n{number}", "a.py", build="true") for number in range(10)]
    folder.build(*nodes)
    folder.build(*nodes)
    assert folder.notes == ["unchanged, not built again: n0, n1, n2, n3, n4, n5, n6, n7 and 2 more"]


def test_forced_build_is_repeated(folder: Folder) -> None:
    node = Node("a", "a.py", build="echo built")
    folder.build(node)
    assert folder.build(node, is_forced=True) == [("a", "built")]


def test_failed_build_is_repeated(folder: Folder) -> None:
    node = Node("a", "a.py", build="echo try; test -e ready")
    with pytest.raises(NodeError):
        folder.build(node)
    (folder.path / "ready").touch()
    assert folder.build(node) == [("a", "try")]


def test_success_beside_a_failure_is_remembered(folder: Folder) -> None:
    good = Node("a", "a.py", build="echo good")
    with pytest.raises(NodeError):
        folder.build(
            good, Node("b", "b.py", build="while ! test -e .dora/x; do :; done; false", env={"A": "1"}), slow(folder)
        )
    assert folder.build(good) == []


def slow(folder: Folder) -> Node:
    """Lets the failing build fail only after the good one has ended."""
    return Node("c", "c.py", build="touch .dora/x; sleep 1000")


@pytest.mark.parametrize(
    "changed",
    [Node("a", "a.py", build="echo other"), Node("a", "a.py", build="echo built", env={"X": "1"})],
    ids=["text", "env"],
)
def test_changed_build_is_repeated(folder: Folder, changed: Node) -> None:
    folder.build(Node("a", "a.py", build="echo built"))
    assert folder.build(changed) != []


def test_same_build_of_several_nodes_runs_once(folder: Folder) -> None:
    assert folder.build(Node("a", "a.py", build="echo x"), Node("b", "b.py", build="echo x")) == [("a", "x")]
    assert folder.build(Node("b", "b.py", build="echo x")) == []


def test_builds_run_side_by_side(folder: Folder) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors")
    meet = "touch {}; while ! test -e {}; do :; done; echo met"
    nodes = [Node("a", "a.py", build=meet.format("x", "y")), Node("b", "b.py", build=meet.format("y", "x"))]
    assert sorted(folder.build(*nodes)) == [("a", "met"), ("b", "met")]


def test_builds_that_install_into_one_environment_run_one_after_the_other(folder: Folder) -> None:
    alone = "mkdir lock; echo 'not really pip' {}; rmdir lock"
    folder.build(*(Node(name, f"{name}.py", build=alone.format(name)) for name in "abcd"))
    assert [name for name, _ in folder.lines] == ["a", "b", "c", "d"]


def test_background_process_of_a_build_is_gone_at_its_end(folder: Folder) -> None:
    ((_, grouped), (_, detached)) = folder.build(
        Node("a", "a.py", build="sleep 1000 & echo $!\nsetsid sleep 1000 & echo $!")
    )
    wait_gone(int(grouped), int(detached))


def test_nothing_to_build_creates_nothing(folder: Folder) -> None:
    assert folder.build(Node("a", "a.py")) == []
    assert list(folder.path.iterdir()) == []


def test_nothing_but_the_state_of_builds_is_created_in_a_project(folder: Folder) -> None:
    (folder.path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    folder.build(Node("a", "a.py", build="true"), Node("b", "b.py"))
    assert sorted(path.name for path in folder.path.iterdir()) == [".dora", "out", "pyproject.toml"]
    assert sorted(path.name for path in (folder.path / ".dora").iterdir()) == [".gitignore", "build.lock", "builds"]


def test_build_state_is_kept_out_of_version_control(folder: Folder) -> None:
    folder.build(Node("a", "a.py", build="true"))
    assert (folder.path / ".dora" / ".gitignore").read_text() == "*\n"
    assert (folder.path / "out" / ".gitignore").read_text() == "/dataflow.dora-session.yaml\n"


def test_environment_that_the_build_makes_may_be_stated(folder: Folder) -> None:
    make = "mkdir -p own/bin; printf '#!/bin/sh\\n' > own/bin/python; chmod +x own/bin/python; echo made"
    node = Node("a", "a.py", env={"VIRTUAL_ENV": "own"}, build=make)
    assert folder.build(node) == [("a", "made")]
    assert folder.build(node) == []


BUILDER = """
import sys
from pathlib import Path
from dora.dataflow.descriptor import Dataflow, Node
from dora.runner.builds import build_all
from dora.runner.built import Listener
from dora.runner.options import BuildOptions
folder = Path(sys.argv[1])
nodes = tuple(Node(name, name + ".py", build="setsid sleep 1000 & echo $!; sleep 1000; echo " + name) for name in "ab")
dataflow = Dataflow(path=folder / "dataflow.yml", working_dir=folder, nodes=nodes)
try:
    listener = Listener(on_line=lambda node, text: print(text, flush=True), on_state=lambda node, state: None)
    build_all(dataflow, BuildOptions(), listener)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_build_that_is_ended(folder: Folder, number: int) -> None:
    command = [sys.executable, "-c", BUILDER, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        pids = [int(builder.stdout.readline()) for _ in range(min(2, len(os.sched_getaffinity(0))))]
        builder.send_signal(number)
        rest = builder.stdout.read()
    wait_gone(*pids, timeout_s=2)
    assert rest == ("interrupted\n" if number == signal.SIGINT else "")
    wait_for(lambda: list((folder.path.parent / "home").iterdir()) == [])


def test_second_build_waits_for_the_first_and_finds_it_done(folder: Folder) -> None:
    node = Node("a", "a.py", build="echo built >> log; while ! test -e go; do :; done")
    second = Folder(folder.path)
    first_thread = threading.Thread(target=folder.build, args=(node,))
    first_thread.start()
    wait_for(lambda: (folder.path / "log").exists())
    second_thread = threading.Thread(target=second.build, args=(node,))
    second_thread.start()
    wait_for(lambda: bool(second.states))
    (folder.path / "go").touch()
    first_thread.join()
    second_thread.join()
    assert second.states == [("a", "waiting for another build in this folder")]
    assert (folder.path / "log").read_text() == "built\n"


@pytest.mark.slow
def test_url_is_downloaded_once_made_executable_and_named_unchecked(folder: Folder, served: tuple[Path, str]) -> None:
    root, url = served
    (root / "tool").write_text("#!/bin/sh\n")
    node = Node("a", f"{url}/tool")
    assert folder.build(node) == [
        ("a", f"warning: {url}/tool is used unchecked; give its 'path_sha256'"),
        ("a", f"downloaded {url}/tool"),
    ]
    assert os.access(folder.path / "build" / "tool", os.X_OK)
    assert folder.build(node) == []


@pytest.mark.slow
def test_download_with_a_checksum_is_verified_each_time(folder: Folder, served: tuple[Path, str]) -> None:
    root, url = served
    (root / "tool").write_text("right")
    checksum = hashlib.sha256(b"right").hexdigest()
    node = Node("a", f"{url}/tool", path_sha256=checksum.upper())
    assert folder.build(node) == [("a", f"downloaded {url}/tool")]
    (folder.path / "build" / checksum / "tool").write_text("tampered with")
    assert folder.build(node) == [("a", f"downloaded {url}/tool")]


@pytest.mark.slow
def test_download_with_a_wrong_checksum_is_an_error_and_leaves_no_file(
    folder: Folder, served: tuple[Path, str]
) -> None:
    root, url = served
    (root / "tool").write_text("wrong")
    with pytest.raises(NodeError, match=r"node .a.: download of http.* failed:\n.*expected sha256 00"):
        folder.build(Node("a", f"{url}/tool", path_sha256="00" * 32))
    assert list((folder.path / "build" / ("00" * 32)).iterdir()) == []


@pytest.mark.slow
def test_url_that_is_not_there_is_an_error(folder: Folder, served: tuple[Path, str]) -> None:
    with pytest.raises(NodeError, match=r"failed:\n  cannot download http://.*/none.py: HTTP Error 404"):
        folder.build(Node("a", f"{served[1]}/none.py"))


def test_folder_that_cannot_be_written_is_named(folder: Folder) -> None:
    (folder.path / ".dora").touch()
    with pytest.raises(ResourceError, match=f"cannot keep the state of builds in {folder.path}: "):
        folder.build(Node("a", "a.py", build="true"))
