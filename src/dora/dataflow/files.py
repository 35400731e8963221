"""The text of a dataflow or module file, or why there is none."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from dora.dataflow.report import NOWHERE, Place, Report

MAX_BYTES: Final = 4 * 1024 * 1024


class Origin(NamedTuple):
    """How messages speak of a file.

    Attributes:
        at: what names the file: where it is said that it cannot be read.
        prefix: what comes before that.
        file: its name in places inside it; empty for the dataflow's own file.
    """

    at: Place = NOWHERE
    prefix: str = ""
    file: str = ""


_OWN: Final = Origin()


def read_text(path: str, report: Report, origin: Origin = _OWN, max_bytes: int = MAX_BYTES) -> str:
    """The text of a file; raises `DescriptorError` when there is none to be had."""
    at, prefix = origin.at, origin.prefix
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise report.fatal(at, f"{prefix}file not found", _near_files(path)) from None
    except IsADirectoryError:
        raise report.fatal(at, f"{prefix}expected a YAML file, found a directory", _yaml_files_in(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise report.fatal(at, f"{prefix}cannot read the file: {reason}") from None
    if len(data) > max_bytes:
        raise report.fatal(at, f"{prefix}file is larger than {max_bytes} bytes", "is this the right file?")
    return _decode(data, report, origin.file)


def _decode(data: bytes, report: Report, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in data[:1024]:
            text = "expected a YAML file, found binary data"
            raise report.fatal(Place(0, 0, file), text, "is this the right file?") from None
        before = data[: error.start].decode("utf-8", errors="replace")
        at = Place(before.count("\n") + 1, len(before) - before.rfind("\n"), file)
        found = f"found byte 0x{data[error.start]:02x}"
        raise report.fatal(at, f"expected UTF-8 text, {found}", "save the file as UTF-8") from None


def _near_files(path: str) -> str:
    """Which file was probably meant by a name that does not exist."""
    if path.startswith(("http:/", "https:/")):
        return "a URL cannot stand here: download the file first"
    stem = os.path.splitext(path)[0]
    for other in (stem + ".yml", stem + ".yaml"):
        if other != path and os.path.isfile(other):
            return f"did you mean '{other}'?"
    return _yaml_files_in(os.path.dirname(path) or ".")


def _yaml_files_in(folder: str) -> str:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".yml", ".yaml")))
    except (OSError, ValueError):
        return ""
    if not names:
        return ""
    more = ", ..." if len(names) > 5 else ""
    return f"there is: {', '.join(os.path.join(folder, name) for name in names[:5])}{more}"
