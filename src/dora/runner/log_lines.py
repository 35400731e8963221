"""Bytes of one output stream of a node, cut into lines of text.

Strategy: the common case (a block of whole lines, none too long, no carriage return) is one decode and one
split; everything else takes the slow path.  The lines never depend on how the bytes were chunked:

* `\\n` and `\\r\\n` (with any number of `\\r`) end a line.
* Any other `\\r` ends an *update*, what a progress bar draws over itself.  A terminal would show only the latest
  one, so at most one a second becomes a line, and never one of blanks and escape sequences alone, which clears the
  line.  A `\\r` at the end of the bytes is undecided: a `\\n` may follow.
* A line over 1 MiB is cut, with a mark; bytes that are not UTF-8 become U+FFFD.
"""

from __future__ import annotations

import re
from typing import Final

LIMIT_BYTES: Final = 1 << 20
TRUNCATED: Final = "... [truncated]"
UPDATE_INTERVAL_NS: Final = 1_000_000_000

_LF: Final = b"\n"
_CR: Final = b"\r"
_NOTHING: Final = re.compile(rb"(?:\s|\x1b\[[0-?]*[ -/]*[@-~])*").fullmatch  # ECMA-48: CSI sequences


class LineSplitter:
    """Cuts one stream; keeps what is not a whole line yet, at most a little more than the limit."""

    __slots__ = ("_held", "_held_bytes", "_last_update_ns", "_limit_bytes")

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._last_update_ns: int | None = None

    def feed(self, data: bytes, now_ns: int) -> list[str]:
        """The lines that `data` completes, without their ends."""
        end = data.rfind(_LF) + 1
        if not end:
            return self._hold(data, now_ns)
        block = data[:end] if end != len(data) else data
        if self._held:
            block = self._take_held() + block
        lines = self._lines(block, now_ns)
        if end != len(data):
            lines += self._hold(data[end:], now_ns)
        return lines

    def close(self, now_ns: int) -> list[str]:
        """The last line, if the stream did not end with a line end."""
        rest = self._take_held().rstrip(_CR)
        return self._slow_lines(rest, now_ns) if rest else []

    def _lines(self, block: bytes, now_ns: int) -> list[str]:
        if _CR in block:
            block = block.replace(b"\r\n", _LF)
        if len(block) > self._limit_bytes or _CR in block:
            return self._slow_lines(block[:-1], now_ns)
        lines = block.decode("utf-8", "replace").split("\n")
        lines.pop()
        return lines

    def _slow_lines(self, block: bytes, now_ns: int) -> list[str]:
        lines: list[str] = []
        for line in block.split(_LF):
            *updates, last = line.rstrip(_CR).split(_CR)
            lines += self._shown_updates(updates, now_ns)
            lines.append(_text(last, self._limit_bytes))
        return lines

    def _shown_updates(self, updates: list[bytes], now_ns: int) -> list[str]:
        shown: list[str] = []
        for update in updates:
            if not _NOTHING(update) and not self._has_just_shown_one(now_ns):
                self._last_update_ns = now_ns
                shown.append(_text(update, self._limit_bytes))
        return shown

    def _has_just_shown_one(self, now_ns: int) -> bool:
        last_ns = self._last_update_ns
        return last_ns is not None and 0 <= now_ns - last_ns < UPDATE_INTERVAL_NS  # below 0: the clock was set back

    def _hold(self, rest: bytes, now_ns: int) -> list[str]:
        """Keep a part of a line; returns the updates in front of it."""
        shown: list[str] = []
        if _CR in rest or (self._held and self._held[-1].endswith(_CR)):
            rest = self._take_held() + rest
            body = rest.rstrip(_CR)
            *updates, last = body.split(_CR)
            shown = self._shown_updates(updates, now_ns)
            rest = last + rest[len(body) :]
        # One byte over the limit is kept, so that a cut line is known as such; and the `\r` at the end, undecided.
        room = self._limit_bytes + 1 - self._held_bytes
        kept = rest if len(rest) <= room else rest[: max(room, 0)] + (_CR if rest.endswith(_CR) else b"")
        if kept:
            self._held.append(kept)
            self._held_bytes += len(kept)
        return shown

    def _take_held(self) -> bytes:
        held = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return held


def _text(line: bytes, limit_bytes: int) -> str:
    if len(line) <= limit_bytes:
        return line.decode("utf-8", "replace")
    cut = limit_bytes
    while limit_bytes - cut < 3 and line[cut] & 0xC0 == 0x80:  # not in the middle of a character
        cut -= 1
    return line[:cut].decode("utf-8", "replace") + TRUNCATED
