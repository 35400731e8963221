"""A node that is fed by a person at the terminal: `python node.py` without a dataflow (dora node-api, section 21).

Asks for the id of an input and its data: text, JSON, `FILE:<Arrow file>` or `HEX:<bytes>`; an empty id stops the node.
Outputs are shown.  What is asked and shown goes to stderr, so that the node's own output stays its own.

Strategy: the terminal itself is the descriptor to wait on, in its line mode; lines are read straight from it, because
a buffered reader would hide the second of two pasted lines from the wait.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any, Final

from dora import arrow_json, env
from dora.ids import data_id_fault
from dora.node import events
from dora.node.receiver import END, Taken
from dora.node.standalone_session import StandaloneConfig, StandaloneSession

_MOST_SHOWN: Final = 2000
_ASK_ID: Final = "Input ID [empty input ID to stop]: "
_ASK_DATA: Final = "Data [String/JSON, FILE:<path.arrow> or HEX:<hexbytes>]: "


def open_session() -> StandaloneSession:
    """The session of a node whose events are typed in."""
    _say(f"Starting node in interactive mode as {env.NODE_CONFIG} env variable is not set")
    return StandaloneSession(StandaloneConfig("interactive"), Questions(0, _say), Screen())


class Questions:
    """Asks for events.

    Args:
        fd: the terminal.
        say: shows a text; with `end=""` the cursor stays behind it.
    """

    def __init__(self, fd: int, say: Callable[..., object]) -> None:
        self._fd = fd
        self._say = say
        self._typed = b""
        self._input_id: str | None = None
        self._has_asked = False
        self._is_ended = False

    def take(self) -> Taken:
        """What was typed as an event, or None: ask, and wait."""
        while not self._is_ended:
            if not self._has_asked:
                self._say(_ASK_ID if self._input_id is None else _ASK_DATA, end="")
                self._has_asked = True
            line = self._line()
            if line is None:
                return None
            self._has_asked = False
            event = self._ask_on(line)
            if event is not None:
                return event
        return END

    def _ask_on(self, line: str) -> events.Event | None:
        if self._input_id is None:
            if not line:
                self._is_ended = True
                return events.stop("MANUAL")
            fault = data_id_fault(line)
            if fault is None:
                self._input_id = line
            else:
                self._say(f"{line!r} cannot be an input id: {fault}")
            return None
        try:
            value = value_of(line)
        except (ValueError, OSError) as error:
            self._say(f"{error}")
            return None
        input_id, self._input_id = self._input_id, None
        return events.input_event(input_id, value, {})

    def _line(self) -> str | None:
        """A whole line, "" at the end of the input, or None: nothing was typed yet."""
        while b"\n" not in self._typed:
            if not _is_readable(self._fd, 0):
                return None
            data = os.read(self._fd, 4096)
            if not data:
                self._input_id = None
                return ""
            self._typed += data
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace").strip()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for typing; True: look again."""
        return _is_readable(self._fd, timeout_s)

    def fileno(self) -> int:
        """The terminal."""
        return self._fd

    def close(self) -> None:
        """The terminal is not ours to close."""


def value_of(text: str) -> Any:
    """The array that a person means: JSON if it is JSON, else text.

    Raises:
        ValueError: bytes or a file were meant, and are none.
        OSError: there is no such file.
    """
    kind, _, rest = text.partition(":")
    if kind == "HEX":
        return arrow_json.array_from_json(list(bytes.fromhex(rest)), "UInt8")
    if kind == "FILE":
        return arrow_json.array_from_file(rest)
    try:
        data = json.loads(text)
    except ValueError:
        data = text
    return arrow_json.array_from_json(data)


class Screen:
    """Tells the person what the node sends."""

    def take(self, output: str, value: Any, metadata: dict[str, Any]) -> None:
        """Show one message."""
        text = str(value)
        more = "" if len(text) <= _MOST_SHOWN else f"... ({len(value)} elements)"
        _say(f"node sends output {output} ({value.type}): {text[:_MOST_SHOWN]}{more}")
        if metadata:
            _say(f"  metadata: {metadata}")

    def close(self) -> None:
        """Nothing has to be given back."""


def _is_readable(fd: int, timeout_s: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
