"""Our own distribution as a wheel, made from the installed copy, for managed environments.

Strategy: a managed environment must get the dora that runs it, not what an index has under that name, and also where
no index can be reached.  So the files of the imported package and its recorded metadata are packed again (an editable
install works too: the package is where it was imported from).  The wheel lies in the user's cache, in a folder named
by the state of those files, and is made once.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from dora.errors import ResourceError
from dora.version import VERSION

DISTRIBUTION: Final = "dora-rs"
_FILE_TIME: Final = (2020, 1, 1, 0, 0, 0)
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: dora\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def cache_dir(environ: Mapping[str, str], instead: Path) -> Path:
    """The user's cache, where the wheel is kept; `instead` where there is none.

    A relative XDG_CACHE_HOME is none (XDG base directory specification), and `~` stays as it is for a user without
    HOME whom the system does not know, as in `docker run --user 1234`.
    """
    home = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(home):
        return instead
    cache = Path(home, "dora")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return instead
    return cache if os.access(cache, os.W_OK) else instead


def own_version() -> str:
    """The version of the distribution that runs."""
    return VERSION


@cache
def own_state() -> str:
    """Changes when a file of our package or its metadata changes."""
    digest = hashlib.sha256(_recorded("METADATA").encode())
    for name, file in _package_files():
        found = file.stat()
        digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def own_wheel(folder: Path) -> Path:
    """The wheel, made below `folder` unless it is there."""
    name = f"dora_rs-{own_version()}-py3-none-any.whl"
    wheel = folder / "wheels" / own_state() / name
    if not wheel.exists():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        unfinished = wheel.with_suffix(f".{os.getpid()}.new")
        _write_wheel(unfinished)
        unfinished.rename(wheel)
    return wheel


@cache
def _recorded(name: str) -> str:
    """A file of the installed distribution's records."""
    for folder in dict.fromkeys(sys.path):  # as importlib.metadata does, which takes 40 ms to import
        with suppress(OSError):
            return Path(folder, f"dora_rs-{VERSION}.dist-info", name).read_text(encoding="utf-8")
    raise ResourceError(f"{DISTRIBUTION} {VERSION} is not installed (only its source is on the path): pip install it")


def _package_files() -> Iterator[tuple[str, Path]]:
    root = Path(__file__).parent.parent
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith((".pyc", ".swp", "~")):
                file = Path(folder, name)
                yield str(file.relative_to(root.parent)), file


def _write_wheel(path: Path) -> None:
    import zipfile  # rarely needed, and 15 ms to import

    info = f"dora_rs-{VERSION}.dist-info"
    contents = [(name, file.read_bytes()) for name, file in _package_files()]
    contents.append((f"{info}/METADATA", _recorded("METADATA").encode()))
    contents.append((f"{info}/entry_points.txt", _recorded("entry_points.txt").encode()))
    contents.append((f"{info}/WHEEL", _WHEEL.encode()))
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in contents)
    contents.append((f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents:
            entry = zipfile.ZipInfo(name, _FILE_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _digest(content: bytes) -> str:
    import base64  # as above

    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
