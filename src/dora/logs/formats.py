"""The three ways in which log entries are shown: pretty, compact, json (dora cli, section 2.5).

Strategy: a format turns a batch of entries into the bytes to print; it knows no file descriptor.  Most
entries share second, level and node with the one before, so the text in front of the message is kept.
What a node prints must not steer the user's terminal: only colours get through, and only to a coloured terminal; other
escape sequences are left out, other control characters are shown as `\\x00`.  The log files and json keep everything.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dora.logs.entry import LogEntry
from dora.logs.levels import STDOUT

FORMATS: Final = ("pretty", "compact", "json")

Format = Callable[[Sequence[LogEntry]], bytes]
"""entries -> what is printed."""

_RESET: Final = "\x1b[0m"
_has_control: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]").search
_CONTROL: Final = re.compile(
    r"(\x1b\[[0-9;:]*m)"  # a colour
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])"  # ECMA-48: CSI, OSC, others
    r"|([\x00-\x08\x0b-\x1f\x7f-\x9f])"
)
_NODE_COLOURS: Final = (36, 32, 35, 34, 96, 92, 95, 94)
_LEVEL_COLOURS: Final = {"error": 31, "warn": 33, "info": 32, "debug": 34, "trace": 35, STDOUT: 2}


def make_format(name: str, *, is_coloured: bool, dataflow_id: str | None) -> Format:
    """The format of that name; only `pretty` has colours."""
    if name == "json":
        return lambda entries: json_lines(entries, dataflow_id)
    if name == "compact":
        return _TextFormat(_compact_prefix, _without_escapes)
    if name == "pretty":
        if is_coloured:
            return _TextFormat(_coloured_prefix, _with_colours)
        return _TextFormat(_pretty_prefix, _without_escapes)
    raise ValueError(f"{name!r} is not a log format ({', '.join(FORMATS)})")


def is_coloured(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR is set (https://no-color.org) or TERM is dumb."""
    return is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def json_lines(entries: Sequence[LogEntry], dataflow_id: str | None) -> bytes:
    """One object per line with the keys of dora dataflow-yaml, section 15.3."""
    from dora.logs.encoding import encode_log_message  # msgspec takes 15 ms, and only this format needs it

    return b"".join(encode_log_message(entry, dataflow_id) + b"\n" for entry in entries)


def node_colour(node: str) -> int:
    """The same SGR colour for a node in every run."""
    return _NODE_COLOURS[zlib.crc32(node.encode()) % len(_NODE_COLOURS)]


class _TextFormat:
    def __init__(self, prefix: Callable[[str, str, str], str], harmless: Callable[[str], str]) -> None:
        self._prefix = prefix
        self._harmless = harmless
        self._key: tuple[int, str, str] | None = None
        self._text = ""

    def __call__(self, entries: Sequence[LogEntry]) -> bytes:
        parts: list[str] = []
        for entry in entries:
            key = (entry.ts_ns // 1_000_000_000, entry.level, entry.node)
            if key != self._key:
                self._key = key
                clock = time.strftime("%H:%M:%S", time.localtime(key[0]))
                self._text = self._prefix(clock, entry.level, entry.node)
            text = f"{entry.target} {entry.message}" if entry.target else entry.message
            if _has_control(text):
                text = self._harmless(text)
            parts.append(f"{self._text}{text}\n")
        return "".join(parts).encode("utf-8", "backslashreplace")


def _without_escapes(text: str) -> str:
    return _CONTROL.sub(lambda found: _visible(found[2]), text)


def _with_colours(text: str) -> str:
    return _CONTROL.sub(lambda found: found[1] or _visible(found[2]), text) + _RESET


def _visible(character: str | None) -> str:
    return f"\\x{ord(character):02x}" if character else ""


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
