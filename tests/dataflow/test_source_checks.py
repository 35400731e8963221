"""Where a node's program comes from: repositories, and the Python that runs it."""

from __future__ import annotations

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.descriptor import GitSource, Interpreter

URL = "https://github.com/user/repository.git"


@pytest.mark.parametrize("revision", ["branch", "tag", "rev"])
def test_repository_is_taken_at_one_revision(load: Load, revision: str) -> None:
    (node,) = load(f"nodes: [{{id: a, path: a.py, git: '{URL}', {revision}: v1}}]").nodes
    assert node.git == GitSource(URL, **{revision: "v1"})


@pytest.mark.parametrize("url", [URL, "ssh://git@host/x.git", "file:///srv/x", "git://host/x"])
def test_repository_may_be_named_by_any_url(problems: Problems, url: str) -> None:
    assert problems(f"nodes: [{{id: a, path: a.py, git: '{url}'}}]") == []


@pytest.mark.parametrize(
    ("key", "kind", "value"),
    [
        ("python: .venv/bin/python", "python", ".venv/bin/python"),
        ("python: 3.11", "python", "3.11"),
        ("venv: $HOME/envs/a", "venv", "/home/me/envs/a"),
        ("conda: vision", "conda", "vision"),
    ],
)
def test_node_names_its_interpreter(load: Load, key: str, kind: str, value: str) -> None:
    (node,) = load(f"nodes:\n- id: a\n  path: a.py\n  {key}", env={"HOME": "/home/me"}).nodes
    assert node.interpreter == Interpreter(kind, value, 4, len(kind) + 5)


def test_node_with_operators_names_the_interpreter_of_all(load: Load) -> None:
    (node,) = load("nodes: [{id: a, venv: v, operator: {python: a.py, inputs: {t: dora/timer/secs/1}}}]").nodes
    assert node.interpreter == Interpreter("venv", "v", 1, 23)


WRONG = [
    ("path: a.py, branch: main", "1:29: node 'a': 'branch' needs 'git'"),
    (f"path: a.py, git: {URL}, tag: x, rev: y", "node 'a': expected one of branch, tag, rev, found tag and rev"),
    (
        "path: a.py, git: git@h:o/r.git",
        "expected the URL of a repository, found 'git@h:o/r.git'; write ssh://git@h/o/r",
    ),
    ("path: a.py, git: /srv/r", "expected the URL of a repository, found '/srv/r'; write file:///srv/r"),
    ("path: a.py, git: r", "expected the URL of a repository, found 'r'; write for instance https://github.com/"),
    (f"path: dynamic, git: {URL}", "'git' needs a path inside the repository, found 'dynamic'"),
    (f"path: 'http://h/x', git: {URL}", "'git' needs a path inside the repository, found 'http://h/x'"),
    (f"git: {URL}", "expected one of path, operator, operators, module, ros2, hub, found none"),
    (f"git: {URL}, operator: {{python: a.py, inputs: {{t: dora/timer/secs/1}}}}", "'git' cannot be on a node with op"),
    ("path: dora/timer/secs/1, outputs: [t], venv: x", "'venv' cannot be on a timer node: it has no process; remove"),
    ("path: a.py, venv: x, conda: y", "expected one of python, venv, conda, found venv and conda; remove one"),
    ("path: a.py, venv: ''", "node 'a': 'venv': found an empty text; remove it"),
    (
        "venv: x, operator: {python: {source: a.py, conda_env: e}, inputs: {t: dora/timer/secs/1}}",
        "'venv' and the 'conda_env' of operator 'op' exclude each other; remove one",
    ),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_source_is_explained(problems: Problems, fields: str, message: str) -> None:
    (found,) = problems(f"nodes: [{{id: a, {fields}}}]")
    assert message in found


def test_interpreter_of_a_dynamic_node_has_no_effect(warnings: Problems) -> None:
    (found,) = warnings("nodes: [{id: a, path: dynamic, venv: x}]")
    assert "'venv' has no effect on a dynamic node: you start its process" in found
