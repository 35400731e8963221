"""Where log files lie and what they are called (dora dataflow-yaml, section 15.2).

Strategy: `<dir>/out/<dataflow id>/log_<node>.jsonl` is the file of a node that is written now, `log_<node>.1.jsonl` the
newest of those that were rotated away.  A node whose id itself ends like that (`camera.1`) has its last dot written as
`%2E`, which stands in no id, so that no name means two files.  dora's own lines are in the file of the node `dora`, an
id that no node may have.  The writer holds a lock on the folder while the run goes on; the kernel takes it away when
the process is gone, however it went.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dora.errors import DoraError
from dora.logs.levels import hint

OWN: Final = "dora"
"""the id under which dora's own lines are stored"""
FOLDER: Final = "out"

_NUMBERED: Final = re.compile(r"(.*)\.([0-9]+)")
_ESCAPED: Final = re.compile(r"%2E([0-9]+)$")
_FIRST_LINE_BYTES: Final = 64 * 1024
_LOCK_TRIES: Final = 100
_MOST_LISTED: Final = 10


class LogsNotFoundError(DoraError):
    """There are no logs of what was asked for."""


class Run(NamedTuple):
    """The log files of one run.

    Attributes:
        id: the dataflow id.
        folder: holds the files.
        started_ns: since 1970, as far as the id or the folder tell.
        name: of the dataflow, or "".
        file: the dataflow file, or "".
    """

    id: str
    folder: Path
    started_ns: int
    name: str = ""
    file: str = ""


def file_of(folder: Path, node: str, number: int = 0) -> Path:
    """The log file of a node; `number` counts those that were rotated away, 1 is the newest."""
    numbered = _NUMBERED.fullmatch(node)
    stem = f"{numbered[1]}%2E{numbered[2]}" if numbered else node
    return folder / (f"log_{stem}.{number}.jsonl" if number else f"log_{stem}.jsonl")


def files_of_nodes(folder: Path) -> dict[str, int]:
    """The nodes that have log files, with the highest number of a rotated one."""
    found: dict[str, int] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in sorted(names):
        if not name.startswith("log_") or not name.endswith(".jsonl"):
            continue
        stem, number = name[len("log_") : -len(".jsonl")], 0
        numbered = _NUMBERED.fullmatch(stem)
        if numbered:
            stem, number = numbered[1], int(numbered[2])
        node = _ESCAPED.sub(r".\1", stem)
        found[node] = max(number, found.get(node, 0))
    return found


def find_runs(base: Path) -> list[Run]:
    """The runs whose logs lie in `base/out`, the latest first."""
    try:
        folders = [Path(entry.path) for entry in os.scandir(base / FOLDER) if entry.is_dir()]
    except OSError:
        return []
    runs = [_run(folder, identity) for folder in folders if (identity := _uuid(folder.name)) is not None]
    return sorted(runs, key=lambda run: run.started_ns, reverse=True)


def choose_run(runs: Sequence[Run], wanted: str | None, base: Path) -> Run:
    """The latest run, or the latest of those that have this id, beginning of an id, name or file.

    Raises:
        LogsNotFoundError: there is none.
    """
    if not runs:
        raise LogsNotFoundError(
            f"no logs in {base / FOLDER}: no dataflow has been run in this directory "
            "(`dora run FILE` keeps them in `out` beside the file)"
        )
    if wanted is None:
        return runs[0]
    for run in runs:
        file = os.path.basename(run.file)
        if wanted and wanted in (run.id, run.name, run.file, file, os.path.splitext(file)[0]):
            return run
    starts = [run for run in runs if len(wanted) >= 4 and run.id.startswith(wanted.lower())]
    if len(starts) == 1:
        return starts[0]
    if starts:
        raise LogsNotFoundError(f"{wanted!r} is the beginning of {len(starts)} dataflow ids:\n{_listed(starts)}")
    if wanted and any(wanted in files_of_nodes(base / FOLDER / run.id) for run in runs):
        raise LogsNotFoundError(f"{wanted!r} is a node, not a dataflow; name it with `--node {wanted}`")
    names = [name for run in runs for name in (run.id, run.name) if name]
    raise LogsNotFoundError(
        f"no logs of a dataflow {wanted!r} in {base / FOLDER}{hint(wanted, names)}; there are:\n{_listed(runs)}"
    )


def _listed(runs: Sequence[Run]) -> str:
    lines = [f"  {run.id}  {run.name}".rstrip() for run in runs[:_MOST_LISTED]]
    if len(runs) > _MOST_LISTED:
        lines.append(f"  and {len(runs) - _MOST_LISTED} earlier ones")
    return "\n".join(lines)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _run(folder: Path, identity: uuid.UUID) -> Run:
    started_ns = (identity.int >> 80) * 1_000_000 if identity.version == 7 else os.stat(folder).st_mtime_ns
    told = _first_fields(folder)
    return Run(folder.name, folder, started_ns, str(told.get("name", "")), str(told.get("file", "")))


def _first_fields(folder: Path) -> dict[str, object]:
    """What the first of dora's own lines tells about the run."""
    number = files_of_nodes(folder).get(OWN)
    if number is None:
        return {}
    try:
        with open(file_of(folder, OWN, number), "rb") as file:
            fields = json.loads(file.readline(_FIRST_LINE_BYTES)).get("fields")
    except (OSError, ValueError, AttributeError):
        return {}
    return fields if isinstance(fields, dict) else {}


def lock_run(folder: Path) -> int:
    """Mark the run as going on; returns the descriptor that holds the mark, -1 where there can be none."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody asks `is_going_on` in this very moment
            os.sched_yield()
        except OSError:
            break
        else:
            return fd
    os.close(fd)
    return -1


def is_going_on(folder: Path) -> bool | None:
    """Whether the run's process is alive; None: nobody can tell (another program's logs, a disk without locks)."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(fd)
    return False if OWN in files_of_nodes(folder) else None
