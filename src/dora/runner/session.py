"""The session file of a dataflow: what the last build made, for the commands that start it without building.

Strategy: `out/<stem>.dora-session.yaml` as dora-rs writes it (dora dataflow-yaml, section 12.4), in the part of YAML
that is JSON.  It holds absolute paths and may be deleted at any time; one that cannot be read is written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dora.dataflow.descriptor import Dataflow
from dora.ids import new_dataflow_id
from dora.runner.build_state import write_file
from dora.runner.built import Built

FOLDER: Final = "out"
SUFFIX: Final = ".dora-session.yaml"


def write_session(dataflow: Dataflow, built: Built, commits: Mapping[str, str]) -> None:
    """Note a build that succeeded.

    Args:
        commits: of the nodes that come from a repository.
    """
    path = dataflow.working_dir / FOLDER / (dataflow.path.stem + SUFFIX)
    repositories = {str(node.id): node.git.url for node in dataflow.nodes if node.git is not None}
    made = {
        "git_sources": {name: {"repo": repositories[name], "commit_hash": commit} for name, commit in commits.items()},
        "local_build": {
            "node_working_dirs": {name: str(folder) for name, folder in built.working_dirs.items()},
            "python_env_dirs": {name: str(env) for name, env in built.managed_envs.items()},
            "confined_nodes": [],
        },
        "build_fingerprint": _fingerprint(dataflow),
    }
    former = _read(path)
    if all(former.get(key) == value for key, value in made.items()):
        return
    session = {"build_id": new_dataflow_id(), "session_id": former.get("session_id") or new_dataflow_id(), **made}
    write_file(path, json.dumps(session, indent=2) + "\n")
    _ignore(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fingerprint(dataflow: Dataflow) -> str:
    """Changes when a build is stated differently."""
    stated = [[node.id, node.path, node.build, sorted(node.env.items()), repr(node.git)] for node in dataflow.nodes]
    return hashlib.sha256(json.dumps(stated).encode()).hexdigest()


def _ignore(path: Path) -> None:
    """One line in `out/.gitignore`."""
    ignore = path.parent / ".gitignore"
    line = f"/{path.name}"
    known = ignore.read_text().splitlines() if ignore.exists() else []
    if line not in known:
        ignore.write_text("\n".join([*known, line]) + "\n")
