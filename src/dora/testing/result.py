"""What a node did under a harness."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

_LOG_KEYS: Final = frozenset({"timestamp", "level", "message"})


class Sent(NamedTuple):
    """One message, as its receiver would get it.

    Attributes:
        value: a pyarrow.Array.
        metadata: without the automatic timestamp.
        at_s: when, in seconds since the node started.
    """

    output: str
    value: Any
    metadata: dict[str, Any]
    at_s: float


class LogLine(NamedTuple):
    """One structured log entry; `level` in lower case."""

    level: str
    message: str
    target: str | None
    fields: dict[str, Any]


class Outputs(dict[str, list[Any]]):
    """Arrays by output; an output on which nothing was sent reads as an empty list."""

    def __missing__(self, output: str) -> list[Any]:
        return []


@dataclass
class Result:
    """What the node did, from its start to its end.

    Attributes:
        sent: every message, in order.
        logs: every structured log entry, in order.
        printed: what it printed beside that.
        exit_code: 0, or what it gave to `sys.exit`.
        untaken: events that it did not take.
        ran_s: how long it took by its own clock.
    """

    sent: list[Sent] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    printed: str = ""
    exit_code: int = 0
    untaken: list[dict[str, Any]] = field(default_factory=list)
    ran_s: float = 0.0

    @property
    def outputs(self) -> Outputs:
        """The arrays that were sent, by output."""
        found = Outputs()
        for message in self.sent:
            found.setdefault(message.output, []).append(message.value)
        return found


class Screen(io.TextIOBase):
    """In place of `sys.stdout`: passes everything on, and keeps it.

    Attributes:
        text: what was written.
    """

    def __init__(self, behind: Any) -> None:
        self._behind = behind
        self.text = ""

    def write(self, text: str) -> int:
        """Keep it and pass it on."""
        self.text += text
        self._behind.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass it on."""
        self._behind.flush()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Of what is behind."""
        return int(self._behind.fileno())

    @property
    def buffer(self) -> Any:
        """Of what is behind; what is written there is not kept."""
        return self._behind.buffer


def sort_lines(text: str) -> tuple[list[LogLine], str]:
    """Structured entries and the rest of what a node printed (dora node-api, section 11)."""
    logs, rest = [], []
    for line in text.splitlines(keepends=True):
        entry = _entry(line)
        if entry is None:
            rest.append(line)
        else:
            logs.append(entry)
    return logs, "".join(rest)


def _entry(line: str) -> LogLine | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or not found.keys() >= _LOG_KEYS:
        return None
    return LogLine(str(found["level"]).lower(), found["message"], found.get("target"), found.get("fields") or {})
