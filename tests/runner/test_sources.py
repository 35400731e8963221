"""Builds of nodes that come from elsewhere: repositories, the lock file, the session file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from repositories import Repository

from dora.dataflow.descriptor import Dataflow, GitSource, Node
from dora.errors import DescriptorError, NodeError
from dora.runner.builds import build_all
from dora.runner.built import Built, Listener
from dora.runner.interpreter import command_for
from dora.runner.options import BuildOptions

pytestmark = pytest.mark.slow
USUAL = BuildOptions()
WRITING = BuildOptions(writes_lock=True)
LOCKED = BuildOptions(is_locked=True)


class Flow:
    """A dataflow's folder, and what its builds said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.notes: list[str] = []

    def build(self, *nodes: Node, options: BuildOptions = USUAL) -> Built:
        self.lines, self.notes = [], []
        file = self.folder / "dataflow.yml"
        dataflow = Dataflow(path=file, working_dir=self.folder, nodes=nodes, file="dataflow.yml")
        listener = Listener(
            lambda node, text: self.lines.append(f"{node}: {text}"), lambda node, state: None, self.notes.append
        )
        return build_all(dataflow, options, listener)

    @property
    def lock(self) -> Path:
        return self.folder / "dataflow.dora-lock.yaml"


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    monkeypatch.setenv("DORA_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "flow").mkdir()
    yield Flow(tmp_path / "flow")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "served" / "camera.git")


def camera(repository: Repository, build: str | None = None, name: str = "camera", **ref: str) -> Node:
    return Node(name, "node.py", build=build, git=GitSource(repository.url, **ref))


def test_clone_is_the_folder_of_build_and_path(flow: Flow, repository: Repository) -> None:
    commit = repository.commit("one")
    node = camera(repository, build="pwd; cat node.py")
    clone = flow.build(node).working_dirs["camera"]
    assert clone == flow.folder / "git" / "localhost" / str(repository.folder).lstrip("/") / commit
    assert flow.lines == [f"camera: cloned {repository.url} at {commit[:12]}", f"camera: {clone}", "camera: one"]
    assert command_for(node, clone, managed_env=None, environ={})[0][2] == str(clone / "node.py")


def test_clones_are_kept_out_of_version_control(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    flow.build(camera(repository))
    assert (flow.folder / "git" / ".gitignore").read_text() == "*\n"


def test_branch_that_did_not_move_is_not_built_again(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    node = camera(repository, build="echo built", branch="main")
    first = flow.build(node)
    assert flow.build(node) == first
    assert (flow.lines, flow.notes) == ([], ["unchanged, not built again: camera"])


def test_branch_that_moved_is_built_in_a_folder_of_its_own(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    node = camera(repository, build="cat node.py", branch="main")
    flow.build(node)
    commit = repository.commit("two")
    assert flow.build(node).working_dirs["camera"].name == commit
    assert flow.lines == [f"camera: cloned {repository.url} at {commit[:12]}", "camera: two"]


def test_tag_is_asked_for_once(flow: Flow, repository: Repository) -> None:
    repository.git("tag", "v1", repository.commit("one"))
    first = flow.build(camera(repository, tag="v1"))
    shutil.rmtree(repository.folder)
    assert flow.build(camera(repository, tag="v1")) == first
    assert flow.lines == []


def test_offline_build_asks_no_repository_that_is_here(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    first = flow.build(camera(repository, branch="main"))
    shutil.rmtree(repository.folder)
    assert flow.build(camera(repository, branch="main"), options=BuildOptions(is_offline=True)) == first
    assert flow.lines == []


def test_nodes_of_one_repository_share_a_clone(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    dirs = flow.build(camera(repository), camera(repository, name="other")).working_dirs
    assert dirs["camera"] == dirs["other"]
    assert len(flow.lines) == 1


def test_source_that_is_not_there_names_node_and_repository(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    with pytest.raises(NodeError) as error:
        flow.build(camera(repository, branch="dev", build="touch built"))
    assert str(error.value) == (
        f"node 'camera': git source {repository.url} failed:\n  {repository.url} has no branch 'dev' (has: main)"
    )


def test_without_git_there_is_one_clear_message(
    flow: Flow, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(NodeError, match=r"git is not installed.* come from a repository: camera, b; install git"):
        flow.build(camera(repository), camera(repository, name="b"))


def test_locked_build_stays_at_its_commit(flow: Flow, repository: Repository) -> None:
    first = repository.commit("one")
    node = camera(repository, branch="main")
    flow.build(node, options=WRITING)
    second = repository.commit("two")
    assert flow.build(node).working_dirs["camera"].name == second
    assert flow.build(node, options=LOCKED).working_dirs["camera"].name == first


def test_locked_build_makes_the_clone_where_there_is_none(flow: Flow, repository: Repository) -> None:
    first = repository.commit("one")
    node = camera(repository, branch="main")
    flow.build(node, options=WRITING)
    repository.commit("two")
    shutil.rmtree(flow.folder / "git")
    shutil.rmtree(flow.folder / ".dora")
    assert flow.build(node, options=LOCKED).working_dirs["camera"].name == first


def test_lock_file_has_the_form_of_dora_rs(flow: Flow, repository: Repository) -> None:
    commit = repository.commit("one")
    flow.build(camera(repository, branch="main"), options=WRITING)
    lock = yaml.safe_load(flow.lock.read_text())
    assert len(lock.pop("descriptor_fingerprint")) == 64
    assert lock == {
        "version": 2,
        "git_sources": {"camera": {"repo": repository.url, "ref": "branch main", "commit_hash": commit}},
    }
    assert flow.notes == [f"wrote {flow.lock}"]


def test_lock_file_of_dora_rs_is_read(flow: Flow, repository: Repository) -> None:
    commit = repository.commit("one")
    repository.commit("two")
    sources = {"camera": {"repo": repository.url, "commit_hash": commit}}
    flow.lock.write_text(yaml.safe_dump({"version": 2, "descriptor_fingerprint": "x", "git_sources": sources}))
    assert flow.build(camera(repository), options=LOCKED).working_dirs["camera"].name == commit


def test_lock_file_may_be_elsewhere(flow: Flow, repository: Repository, tmp_path: Path) -> None:
    repository.commit("one")
    flow.build(camera(repository), options=replace(WRITING, lockfile=tmp_path / "my.lock"))
    flow.build(camera(repository), options=replace(LOCKED, lockfile=tmp_path / "my.lock"))
    assert not flow.lock.exists()


def test_lock_file_that_is_missing_is_an_error(flow: Flow, repository: Repository) -> None:
    with pytest.raises(DescriptorError) as error:
        flow.build(camera(repository), options=LOCKED)
    hint = "run: dora build --write-lockfile dataflow.yml"
    assert error.value.problems == [f"{flow.lock}: there is no lock file; {hint}"]


def test_lock_file_of_other_sources_is_an_error_that_names_each(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    flow.build(camera(repository), camera(repository, name="b", branch="main"), options=WRITING)
    other = Node("camera", "node.py", git=GitSource("file:///other.git"))
    with pytest.raises(DescriptorError) as error:
        flow.build(other, camera(repository, name="b", tag="v1"), camera(repository, name="c"), options=LOCKED)
    hint = "; run: dora build --write-lockfile dataflow.yml"
    assert error.value.problems == [
        f"{flow.lock}: node 'camera' is locked to {repository.url}, the dataflow has file:///other.git{hint}",
        f"{flow.lock}: node 'b' is locked to branch main, the dataflow has tag v1{hint}",
        f"{flow.lock}: node 'c' is not locked{hint}",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a lock file"),
        ("version: 7", "expected version 1 or 2 or 3, found 7"),
        ("{}", "expected version 1 or 2 or 3, found None"),
        ("version: 2\ngit_sources: {camera: {repo: x}}", "'camera': expected repo and a full commit_hash"),
        ("version: [", "not valid YAML"),
    ],
)
def test_lock_file_that_is_broken_is_an_error(flow: Flow, repository: Repository, text: str, problem: str) -> None:
    flow.lock.write_text(text)
    with pytest.raises(DescriptorError) as error:
        flow.build(camera(repository), options=LOCKED)
    assert problem in str(error.value)


def test_commit_of_the_lock_that_is_gone_is_named(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    sources = {"camera": {"repo": repository.url, "commit_hash": "ab" * 20}}
    flow.lock.write_text(yaml.safe_dump({"version": 2, "git_sources": sources}))
    with pytest.raises(NodeError, match=f"has no commit '{'ab' * 20}'"):
        flow.build(camera(repository), options=LOCKED)


def test_session_file_says_what_was_built(flow: Flow, repository: Repository) -> None:
    commit = repository.commit("one")
    built = flow.build(camera(repository))
    session = yaml.safe_load((flow.folder / "out" / "dataflow.dora-session.yaml").read_text())
    assert session["git_sources"] == {"camera": {"repo": repository.url, "commit_hash": commit}}
    folders = {"camera": str(built.working_dirs["camera"])}
    assert session["local_build"] == {"node_working_dirs": folders, "python_env_dirs": {}, "confined_nodes": []}


def test_session_goes_on_when_a_build_changes(flow: Flow, repository: Repository) -> None:
    file = flow.folder / "out" / "dataflow.dora-session.yaml"
    repository.commit("one")
    flow.build(camera(repository))
    first = json.loads(file.read_text())
    repository.commit("two")
    flow.build(camera(repository))
    second = json.loads(file.read_text())
    assert first["session_id"] == second["session_id"]
    assert first["build_id"] != second["build_id"]


def test_session_file_that_is_broken_is_written_anew(flow: Flow, repository: Repository) -> None:
    repository.commit("one")
    (flow.folder / "out").mkdir()
    (flow.folder / "out" / "dataflow.dora-session.yaml").write_text("\0")
    flow.build(camera(repository))
    assert "session_id" in (flow.folder / "out" / "dataflow.dora-session.yaml").read_text()
