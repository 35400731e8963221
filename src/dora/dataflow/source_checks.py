"""Checks of where a node's program comes from: a repository (`git`), a bridge, the hub; and the Python that runs it."""

from __future__ import annotations

import re
from typing import Final

from dora.dataflow.fields import Fields
from dora.dataflow.nodes import RUNTIME, NodeDraft
from dora.dataflow.programs import DYNAMIC, SHELL, is_url
from dora.dataflow.report import Report, shown
from dora.dataflow.ros2 import check_ros2
from dora.dataflow.schema import GIT_REVISION_KEYS, HUB_EXCLUDES, INTERPRETER_KEYS

_GIT_URL: Final = re.compile(r"(?:https?|ssh|git|git\+ssh|file)://[^\s/]*/[^\s]+")
_SCP: Final = re.compile(r"(?P<host>[^\s/:]+@[^\s/:]+):(?P<path>[^\s]+)")
_PACKAGE: Final = re.compile(r"(?:[a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*(?:@[0-9^~<>=*][0-9A-Za-z^~<>=*.,+ -]*)?")
_EXAMPLE: Final = "https://github.com/user/repository.git"


def check_git(draft: NodeDraft, report: Report) -> None:
    """`git` is a URL, and at most one of `branch`, `tag` and `rev` stands beside it."""
    stated = [key for key in GIT_REVISION_KEYS if key in draft.fields.stated]
    if "git" not in draft.fields.stated:
        for key in stated:
            report.error(draft.fields.key_at(key), f"{draft.subject}: '{key}' needs 'git'")
        return
    if len(stated) > 1:
        text = f"{draft.subject}: expected one of {', '.join(GIT_REVISION_KEYS)}, found {' and '.join(stated)}"
        report.error(draft.fields.key_at(stated[1]), text, "remove one")
    _check_git_url(draft, report)
    if draft.kind == RUNTIME:
        report.error(draft.fields.key_at("git"), f"{draft.subject}: 'git' cannot be on a node with operators")
    elif draft.path in (DYNAMIC, SHELL) or is_url(draft.path):
        text = f"{draft.subject}: 'git' needs a path inside the repository, found {shown(draft.path)}"
        report.error(draft.fields.value_at("path"), text)


def _check_git_url(draft: NodeDraft, report: Report) -> None:
    url = draft.fields.get("git")
    if _GIT_URL.fullmatch(url):
        return
    scp = _SCP.fullmatch(url)
    hint = f"write ssh://{scp['host']}/{scp['path']}" if scp else f"write for instance {_EXAMPLE}"
    if url.startswith("/"):
        hint = f"write file://{url}"
    text = f"{draft.subject}: 'git': expected the URL of a repository, found {shown(url)}"
    report.error(draft.fields.value_at("git"), text, hint)


def check_interpreter(draft: NodeDraft, report: Report) -> None:
    """At most one key says which Python a node is started with, and the node has a process of its own."""
    stated = [key for key in INTERPRETER_KEYS if key in draft.fields.stated]
    if len(stated) > 1:
        text = f"{draft.subject}: expected one of {', '.join(INTERPRETER_KEYS)}, found {' and '.join(stated)}"
        report.error(draft.fields.key_at(stated[1]), text, "remove one")
    for key in stated:
        if not draft.fields.get(key).strip():
            report.error(draft.fields.value_at(key), f"{draft.subject}: '{key}': found an empty text", "remove it")
    environment = next((operator for operator in draft.operators if operator.conda_env), None)
    if stated and environment is not None:
        other = f"the 'conda_env' of operator {shown(environment.id)}"
        text = f"{draft.subject}: '{stated[0]}' and {other} exclude each other"
        report.error(draft.fields.key_at(stated[0]), text, "remove one")


def check_bridge(draft: NodeDraft, report: Report) -> None:
    """A node that bridges to ROS 2 is stated rightly; that there is nothing to run it with is said, too."""
    ros2: Fields = draft.fields.get("ros2")
    check_ros2(ros2, draft.subject, (len(draft.inputs), len(draft.outputs)), report)
    hint = "write a node with rclpy"
    report.error(
        draft.fields.key_at("ros2"), f"{draft.subject}: 'ros2' cannot run: this dora has no ROS 2 bridge", hint
    )


def check_hub(draft: NodeDraft, report: Report) -> None:
    """A node of the hub is stated rightly; that there is no hub to ask is said, too."""
    package = draft.fields.get("hub")
    at = draft.fields.value_at("hub")
    if not _PACKAGE.fullmatch(package):
        text = f"{draft.subject}: 'hub': expected [namespace/]name[@version], found {shown(package)}"
        report.error(at, text, "write for instance dora-rs/camera@^1.2")
    for key in HUB_EXCLUDES:
        if key in draft.fields.stated:
            report.error(
                draft.fields.key_at(key), f"{draft.subject}: 'hub' and '{key}' exclude each other", "remove one"
            )
    text = f"{draft.subject}: 'hub' cannot be resolved: this dora has no index of packages"
    report.error(draft.fields.key_at("hub"), text, "name its repository with `git:` and `path:`")
