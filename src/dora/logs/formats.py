"""The three ways in which log entries are shown: pretty, compact, json (dora cli, section 2.5).

Strategy: a format turns a batch of entries into the bytes to print; it knows no file descriptor.  Most
entries share second, level and node with the one before, so the text in front of the message is kept.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dora.logs.entry import LogEntry
from dora.logs.levels import STDOUT

FORMATS: Final = ("pretty", "compact", "json")

Format = Callable[[Sequence[LogEntry], bool], bytes]
"""(entries, whether they are dora's own) -> what is printed."""

_RESET: Final = "\x1b[0m"
_NODE_COLOURS: Final = (36, 32, 35, 34, 96, 92, 95, 94)
_LEVEL_COLOURS: Final = {"error": 31, "warn": 33, "info": 32, "debug": 34, "trace": 35, STDOUT: 2}


def make_format(name: str, *, is_coloured: bool, dataflow_id: str | None) -> Format:
    """The format of that name; only `pretty` has colours."""
    if name == "json":
        return lambda entries, is_system: json_lines(entries, is_system, dataflow_id)
    if name == "compact":
        return _TextFormat(_compact_prefix)
    if name == "pretty":
        return _TextFormat(_coloured_prefix if is_coloured else _pretty_prefix)
    raise ValueError(f"{name!r} is not a log format ({', '.join(FORMATS)})")


def is_coloured(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR is set (https://no-color.org) or TERM is dumb."""
    return is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def json_lines(entries: Sequence[LogEntry], is_system: bool, dataflow_id: str | None) -> bytes:
    """One object per line with the keys of dora dataflow-yaml, section 15.3."""
    from dora.logs.encoding import encode_log_message  # msgspec takes 15 ms, and only this format needs it

    return b"".join(encode_log_message(entry, dataflow_id, is_system=is_system) + b"\n" for entry in entries)


def node_colour(node: str) -> int:
    """The same SGR colour for a node in every run."""
    return _NODE_COLOURS[zlib.crc32(node.encode()) % len(_NODE_COLOURS)]


class _TextFormat:
    def __init__(self, prefix: Callable[[str, str, str], str]) -> None:
        self._prefix = prefix
        self._key: tuple[int, str, str, bool] | None = None
        self._text = ""

    def __call__(self, entries: Sequence[LogEntry], is_system: bool) -> bytes:
        parts: list[str] = []
        for entry in entries:
            key = (entry.ts_ns // 1_000_000_000, entry.level, entry.node, is_system)
            if key != self._key:
                self._key = key
                clock = time.strftime("%H:%M:%S", time.localtime(key[0]))
                self._text = self._prefix(clock, entry.level, entry.node)
            target = f"{entry.target} " if entry.target else ""
            parts.append(f"{self._text}{target}{entry.message}\n")
        return "".join(parts).encode("utf-8", "backslashreplace")


def _pretty_prefix(clock: str, level: str, node: str) -> str:
    return f"{clock} {_shown_level(level):<6} {node or '[dora]'}: "


def _coloured_prefix(clock: str, level: str, node: str) -> str:
    # The reset in front ends colours that a node left on.
    shown = f"\x1b[{_LEVEL_COLOURS[level]}m{_shown_level(level):<6}{_RESET}"
    who = f"\x1b[1;{node_colour(node)}m{node}{_RESET}" if node else "\x1b[1m[dora]\x1b[0m"
    return f"\x1b[0;2m{clock}{_RESET} {shown} {who}: "


def _compact_prefix(clock: str, level: str, node: str) -> str:
    return f"{clock} {level.upper()} {node or 'dora'}: "


def _shown_level(level: str) -> str:
    return level if level == STDOUT else level.upper()
