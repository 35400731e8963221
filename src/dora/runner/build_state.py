"""Whether a build has to run again: a fingerprint of what goes into it, kept in `.dora/builds/` after it succeeded.

Strategy: what goes into a build is its text, the node's `env`, the interpreter, and the files it names: a file by its
content (and what a requirements file includes), a folder by the sources in it, an editable one by its build files only,
because its Python sources are used where they are.  A build that does more than install packages (cargo, make, a
script) may read any source of the working directory, so all sources of compiled languages there count too.  What a
build or a node writes does not count: otherwise every run would build again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dora.dataflow.descriptor import Node

if TYPE_CHECKING:
    import hashlib

FOLDER: Final = ".dora"
MAX_FILES: Final = 20_000
MAX_CONTENT_BYTES: Final = 1 << 24

# fmt: off
_COMPILED: Final = frozenset({
    ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inl", ".rs", ".go", ".cu", ".cuh", ".pyx", ".pxd",
    ".proto", ".msg", ".srv", ".idl", ".cmake", ".sh", ".mk", ".java", ".kt", ".ts", ".toml", ".lock", ".cfg", ".in",
})
_BUILD_FILES: Final = frozenset({
    "setup.py", "Makefile", "makefile", "GNUmakefile", "CMakeLists.txt", "meson.build", "package.json", "package.xml",
    "justfile", "Dockerfile",
})
_NOT_SOURCES: Final = frozenset({
    "target", "build", "dist", "out", "node_modules", "__pycache__", "venv", "site-packages",
})
# fmt: on
_INSTALLERS: Final = re.compile(r"\s*(?:(?:python3?|[^\s]*/python3?)\s+-m\s+)?(?:uv\s+)?pip3?\s+install\b[^;&|<>`$]*")
_WORD: Final = re.compile(r"[^\s'\"=;|&<>()]+")
_INCLUDE: Final = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)


def is_only_installing(build: str) -> bool:
    """The build is `pip install` lines, and nothing else."""
    lines = build.replace("\\\n", " ").splitlines()
    return all(_INSTALLERS.fullmatch(line) for line in lines if line.strip() and not line.strip().startswith("#"))


def fingerprint(node: Node, working_dir: Path, interpreter: Iterable[object]) -> str:
    """Changes when the build has to run again.

    Args:
        interpreter: whatever tells the Python of the build from another.
    """
    build = node.build or ""
    digest = _sha256(json.dumps([build, sorted(node.env.items()), [str(part) for part in interpreter]]).encode())
    for part in _named_inputs(build, working_dir):
        digest.update(part.encode("utf-8", "surrogateescape"))
    if not is_only_installing(build):
        for part in _tree(working_dir, _COMPILED):
            digest.update(part.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def remembered(working_dir: Path, node_id: str) -> str | None:
    """The fingerprint of the last build of that node that succeeded."""
    try:
        found = json.loads(_file(working_dir, node_id).read_text())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def remember(working_dir: Path, node_id: str, value: str) -> None:
    """Note that the build succeeded."""
    write_file(_file(working_dir, node_id), json.dumps({"fingerprint": value}))


def forget(working_dir: Path, node_id: str) -> None:
    """The build is about to run: if it does not come to its end, it runs again."""
    _file(working_dir, node_id).unlink(missing_ok=True)


def make_folder(working_dir: Path) -> Path:
    """`.dora` beside the dataflow, not to be checked in."""
    folder = working_dir / FOLDER
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not os.path.exists(ignore):
        ignore.write_text("*\n")
    return folder


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, in hex; the file may be large."""
    digest = _sha256()
    with path.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_file(path: Path, text: str) -> None:
    """All of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.rename(path)


def _file(working_dir: Path, node_id: str) -> Path:
    return working_dir / FOLDER / "builds" / f"{node_id}.json"


def _named_inputs(build: str, working_dir: Path) -> Iterator[str]:
    """The state of every file and folder that the text names."""
    words = _WORD.findall(build)
    for place, word in enumerate(words):
        name = word.removeprefix("-r").removeprefix("-e").removeprefix("-c").partition("[")[0].removeprefix("file://")
        path = working_dir / name
        if not name or len(name) > 255:
            continue
        if os.path.isfile(path):
            yield from _content(path, set())
        elif os.path.isdir(path):
            is_editable = place > 0 and words[place - 1] in ("-e", "--editable")
            yield from _tree(path, _COMPILED if is_editable else _COMPILED | {".py", ".txt"})


def _content(path: Path, seen: set[Path]) -> Iterator[str]:
    """A file by its content, and the files that a requirements file includes."""
    if path in seen or len(seen) > MAX_FILES:
        return
    seen.add(path)
    try:
        if path.stat().st_size > MAX_CONTENT_BYTES:
            yield f"{path} {path.stat().st_mtime_ns}\n"
            return
        content = path.read_bytes()
    except OSError:
        return
    yield f"{path} {_sha256(content).hexdigest()}\n"
    if path.suffix == ".txt":
        for included in _INCLUDE.findall(content.decode("utf-8", "replace")):
            yield from _content(Path(os.path.abspath(path.parent / included)), seen)


def _tree(root: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """The sources below a folder, by size and time."""
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NOT_SOURCES and not name.startswith("."))
        for name in sorted(names):
            if name in _BUILD_FILES or os.path.splitext(name)[1] in suffixes:
                try:
                    found = os.stat(os.path.join(folder, name))
                except OSError:
                    continue
                count += 1
                yield f"{folder}/{name} {found.st_size} {found.st_mtime_ns}\n"
        if count > MAX_FILES:
            yield os.urandom(8).hex()  # too much to look at: build again
            return


def _sha256(content: bytes = b"") -> hashlib._Hash:
    import hashlib  # loads OpenSSL: 4 ms of every start, and most dataflows have nothing to build

    return hashlib.sha256(content)
