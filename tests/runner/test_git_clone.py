"""Clones of nodes' repositories, with the real git and bare repositories of our own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from repositories import Repository

from dora.runner import git_clone

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "served" / "camera.git")


class Clones:
    """The clones of one repository."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url

    def take(self, kind: str = "", name: str = "", former: str = "") -> str:
        """Have a clone; returns its commit."""
        result = self.root.parent / "result.json"
        request = {"url": self.url, "kind": kind, "name": name, "root": str(self.root), "result": str(result)}
        git_clone.take({**request, "former": former})
        return str(json.loads(result.read_text())["commit"])

    def text(self, commit: str) -> str:
        return (self.root / commit / "node.py").read_text()


@pytest.fixture
def clones(tmp_path: Path, repository: Repository) -> Clones:
    return Clones(tmp_path / "flow" / "clones", repository.url)


def test_head_is_taken_when_nothing_is_stated(repository: Repository, clones: Clones, capsys: Capture) -> None:
    commit = repository.commit("one")
    assert clones.take() == commit
    assert clones.text(commit) == "one"
    assert capsys.readouterr().out == f"cloned {repository.url} at {commit[:12]}\n"


def test_clone_that_another_build_has_just_made_is_taken(
    repository: Repository, clones: Clones, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit("one")
    rename = Path.rename

    def late(made: Path, target: Path) -> Path:
        if made.is_dir():
            shutil.copytree(made, target)
        return rename(made, target)

    monkeypatch.setattr(Path, "rename", late)
    assert clones.take("branch", "main") == commit
    assert clones.text(commit) == "one"
    assert os.listdir(clones.root) == [commit]


def test_branch_that_moved_is_a_clone_beside_the_old_one(repository: Repository, clones: Clones) -> None:
    first = repository.commit("one", branch="dev")
    assert clones.take("branch", "dev") == first
    second = repository.commit("two", branch="dev")
    assert clones.take("branch", "dev") == second
    assert (clones.text(first), clones.text(second)) == ("one", "two")


def test_branch_that_did_not_move_is_not_cloned_again(repository: Repository, clones: Clones, capsys: Capture) -> None:
    commit = repository.commit("one")
    clones.take("branch", "main")
    (clones.root / commit / "built").touch()
    capsys.readouterr()
    assert clones.take("branch", "main", former=commit) == commit
    assert (clones.root / commit / "built").exists()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("options", [[], ["-a", "-m", "annotated"]], ids=["lightweight", "annotated"])
def test_tag_is_the_commit_it_points_to(repository: Repository, clones: Clones, options: list[str]) -> None:
    commit = repository.commit("one")
    repository.git("tag", *options, "v1", commit)
    repository.commit("two")
    assert clones.take("tag", "v1") == commit


@pytest.mark.parametrize("length", [7, 40])
def test_rev_may_be_a_commit(repository: Repository, clones: Clones, length: int) -> None:
    commit = repository.commit("one")
    repository.commit("two")
    kind = "rev" if length < 40 else "commit"
    assert clones.take(kind, commit[:length]) == commit


def test_rev_may_be_the_name_of_a_ref(repository: Repository, clones: Clones) -> None:
    commit = repository.commit("one", branch="dev")
    assert clones.take("rev", "dev") == commit


def test_commit_that_is_on_no_branch_is_fetched(repository: Repository, clones: Clones) -> None:
    commit = repository.commit("one")
    repository.git("update-ref", "refs/hidden/x", commit)
    repository.git("update-ref", "-d", "refs/heads/main")
    repository.commit("two")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    assert clones.take("commit", commit) == commit


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        ("branch", "mian", "{url} has no branch 'mian' (has: dev, main)"),
        ("tag", "v2", "{url} has no tag 'v2' (has: v1)"),
        ("rev", "no-such", "{url} has no rev 'no-such' (has: dev, main, v1)"),
        ("rev", "dead", "{url} has no commit 'dead'"),
        ("commit", "0" * 40, "{url} has no commit '" + "0" * 40 + "'"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(
    repository: Repository, clones: Clones, kind: str, name: str, problem: str
) -> None:
    repository.commit("one")
    repository.commit("one", branch="dev")
    repository.git("tag", "v1", "main")
    with pytest.raises(git_clone.Problem) as error:
        clones.take(kind, name)
    assert str(error.value) == problem.format(url=repository.url)
    assert not clones.root.exists() or list(clones.root.iterdir()) == []


def test_empty_repository_has_no_head(clones: Clones) -> None:
    with pytest.raises(git_clone.Problem, match=r"camera.git has no HEAD \(is it empty\?\); state a 'branch'"):
        clones.take()


def test_repository_that_is_not_there_is_an_error_with_what_git_says(repository: Repository, clones: Clones) -> None:
    shutil.rmtree(repository.folder)
    with pytest.raises(git_clone.Unreachable, match=r"cannot reach file:.*camera.git:\n.*not appear to be a git"):
        clones.take("branch", "main")


def test_remote_that_cannot_be_reached_any_more_leaves_the_last_commit(
    repository: Repository, clones: Clones, capsys: Capture
) -> None:
    repository.commit("one")
    commit = clones.take("branch", "main")
    shutil.rmtree(repository.folder)
    capsys.readouterr()
    assert clones.take("branch", "main", former=commit) == commit
    told = capsys.readouterr().out
    assert told.startswith(f"warning: cannot reach {repository.url}:\n")
    assert told.endswith(f"using commit {commit[:12]} of the last build\n")


def test_submodules_are_cloned_too(
    tmp_path: Path, repository: Repository, clones: Clones, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Repository(tmp_path / "served" / "inner.git")
    commit = inner.commit("inner")
    modules = repository.git(
        "hash-object", "-w", "--stdin", text=f'[submodule "deep"]\n\tpath = deep\n\turl = {inner.url}\n'
    )
    tree = repository.git("mktree", text=f"100644 blob {modules}\t.gitmodules\n160000 commit {commit}\tdeep\n")
    repository.git("update-ref", "refs/heads/main", repository.git("commit-tree", tree, "-m", "outer"))
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    for name, value in settings.items():  # git forbids submodules by path, unless asked
        monkeypatch.setenv(name, value)
    assert (clones.root / clones.take() / "deep" / "node.py").read_text() == "inner"


def test_names_with_spaces_and_umlauts_work(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "mein Gerät.git")
    commit = repository.commit("eins", branch="größer")
    clones = Clones(tmp_path / "Fluß" / "a b", repository.url)
    assert clones.take("branch", "größer") == commit
    assert os.listdir(clones.root) == [commit]
