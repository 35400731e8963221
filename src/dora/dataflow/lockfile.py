"""The lock file of a dataflow: which commits and which bytes its nodes came from (dora dataflow-yaml, section 12.3).

    version: 2
    descriptor_fingerprint: "..."
    git_sources:
      camera: {repo: "https://host/camera.git", ref: "branch main", commit_hash: "..."}
    url_sources:
      "https://host/tool": "<sha256>"

Strategy: a lock fits a dataflow when it has each of its repositories with the same branch, tag or revision, and each
of its URLs.  `ref` and `url_sources` are ours; where a file of dora-rs has no `ref`, the repository decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, GitSource
from dora.dataflow.document import YamlMap, YamlScalar, YamlValue, parse_document
from dora.dataflow.programs import is_url
from dora.dataflow.report import NOWHERE, Report
from dora.errors import DescriptorError

VERSION: Final = 2
READABLE_VERSIONS: Final = ("1", "2", "3")
SUFFIX: Final = ".dora-lock.yaml"

_COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class LockedCommit:
    """The commit of one node.

    Attributes:
        ref: what was asked for, as `ref_text` gives it; None: the file does not say.
    """

    repo: str
    commit: str
    ref: str | None


@dataclass(frozen=True)
class Lock:
    """What a lock file says.

    Attributes:
        commits: by node.
        checksums: SHA-256 by URL.
    """

    commits: Mapping[str, LockedCommit] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)


def lock_path(dataflow: Dataflow) -> Path:
    """Where the lock file is unless one is named."""
    return dataflow.path.with_name(dataflow.path.stem + SUFFIX)


def ref_text(source: GitSource) -> str:
    """What is asked for: `branch main`, `tag v1`, `rev 12ab`, or `HEAD`."""
    for kind, name in (("branch", source.branch), ("tag", source.tag), ("rev", source.rev)):
        if name is not None:
            return f"{kind} {name}"
    return "HEAD"


def urls_of(dataflow: Dataflow) -> list[str]:
    """What is downloaded, in file order."""
    found = [node.path for node in dataflow.nodes if is_url(node.path)]
    found += [operator.source for node in dataflow.nodes for operator in node.operators if is_url(operator.source)]
    return list(dict.fromkeys(found))


def read_lock(path: Path, dataflow: Dataflow) -> Lock:
    """The lock file, which fits the dataflow.

    Raises:
        DescriptorError: it is missing, broken, or of other sources.
    """
    report = Report(str(path))
    rewrite = f"run: dora build --write-lockfile {dataflow.file}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise report.fatal(NOWHERE, "there is no lock file", rewrite) from None
    except (OSError, UnicodeDecodeError) as error:
        raise report.fatal(NOWHERE, f"cannot read the lock file: {error}") from None
    root = parse_document(text, report)
    if not isinstance(root, YamlMap):
        raise report.fatal(NOWHERE, "expected a lock file", rewrite)
    version = _text(root, "version")
    if version not in READABLE_VERSIONS:
        raise report.fatal(NOWHERE, f"expected version {' or '.join(READABLE_VERSIONS)}, found {version}", rewrite)
    lock = Lock(_commits(root, report), _checksums(root))
    report.check()
    problems = [f"{path}: {problem}; {rewrite}" for problem in _differences(lock, dataflow)]
    if problems:
        raise DescriptorError(problems)
    return lock


def write_lock(path: Path, lock: Lock) -> None:
    """Write the file, all of it or nothing."""
    sources = {name: [found.repo, found.ref] for name, found in lock.commits.items()}
    fingerprint = hashlib.sha256(json.dumps([sources, sorted(lock.checksums)]).encode()).hexdigest()
    lines = [f"version: {VERSION}", f"descriptor_fingerprint: {json.dumps(fingerprint)}"]
    lines.append("git_sources:" if lock.commits else "git_sources: {}")
    for name, found in lock.commits.items():
        lines += [f"  {json.dumps(name)}:", f"    repo: {json.dumps(found.repo)}"]
        lines += [f"    ref: {json.dumps(found.ref)}", f"    commit_hash: {json.dumps(found.commit)}"]
    if lock.checksums:
        lines.append("url_sources:")
        lines += [f"  {json.dumps(url)}: {json.dumps(checksum)}" for url, checksum in lock.checksums.items()]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.rename(path)


def _commits(root: YamlMap, report: Report) -> dict[str, LockedCommit]:
    found: dict[str, LockedCommit] = {}
    for name, value in _entries(root, "git_sources").items():
        repo, commit = _text(value, "repo"), _text(value, "commit_hash")
        if repo is None or commit is None or not _COMMIT.fullmatch(commit):
            report.error(value.place, f"git source '{name}': expected repo and a full commit_hash")
        else:
            found[name] = LockedCommit(repo, commit.lower(), _text(value, "ref"))
    return found


def _checksums(root: YamlMap) -> dict[str, str]:
    entries = _entries(root, "url_sources").items()
    return {url: value.text.lower() for url, value in entries if isinstance(value, YamlScalar)}


def _entries(root: YamlMap, key: str) -> dict[str, YamlValue]:
    entry = root.entries.get(key)
    if entry is None or not isinstance(entry.value, YamlMap):
        return {}
    return {name: found.value for name, found in entry.value.entries.items()}


def _text(value: YamlValue, key: str) -> str | None:
    entry = value.entries.get(key) if isinstance(value, YamlMap) else None
    return entry.value.text if entry is not None and isinstance(entry.value, YamlScalar) else None


def _differences(lock: Lock, dataflow: Dataflow) -> list[str]:
    """What the dataflow asks for and the lock does not have; more than that in the lock does no harm."""
    found: list[str] = []
    for node in dataflow.nodes:
        if node.git is None:
            continue
        locked = lock.commits.get(node.id)
        if locked is None:
            found.append(f"node '{node.id}' is not locked")
        elif locked.repo != node.git.url:
            found.append(f"node '{node.id}' is locked to {locked.repo}, the dataflow has {node.git.url}")
        elif locked.ref is not None and locked.ref != ref_text(node.git):
            found.append(f"node '{node.id}' is locked to {locked.ref}, the dataflow has {ref_text(node.git)}")
    for url in urls_of(dataflow):
        if not _SHA256.fullmatch(lock.checksums.get(url, "")):
            found.append(f"{url} is not locked")
    return found
