"""One line of a node as a log entry, and its JSON forms.

A line is structured when it is a JSON object with a known `level`, an RFC 3339 `timestamp` and a `message`
(or `fields.message`); dora-rs demands strings in `fields`, here any JSON value will do, so that what
Python's `logging` prints arrives with level and message.  Every other line is raw: level `stdout`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from dora.runner.log_levels import LEVELS, STDOUT

_LEVEL_OF_WORD: Final = {level: level for level in LEVELS} | {"warning": "warn", "critical": "error", "fatal": "error"}


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """What a node said.

    Attributes:
        ts_ns: time in nanoseconds since 1970: a structured line's own, else when the line was read.
        level: "stdout" for a raw line, else error, warn, info, debug or trace.
        stream: "stdout" or "stderr".
        fields: of a structured line, without `message`.
        raw: the line as it was printed, without its end.
    """

    ts_ns: int
    level: str
    node: str
    stream: str
    message: str
    target: str | None
    fields: dict[str, object] | None
    raw: str
    module_path: str | None = None
    file: str | None = None
    line: int | None = None


class _StructuredLine(msgspec.Struct, gc=False):
    level: str
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    message: str | None = None
    target: str | None = None
    module_path: str | None = None
    file: str | None = None
    line: int | None = None
    fields: dict[str, Any] | None = None


class _LogMessage(msgspec.Struct, gc=False):
    """dora dataflow-yaml, section 15.3."""

    build_id: str | None
    dataflow_id: str | None
    node_id: str | None
    daemon_id: str | None
    level: str
    target: str | None
    module_path: str | None
    file: str | None
    line: int | None
    message: str
    timestamp: str
    fields: dict[str, object] | None


_decode_structured: Final = msgspec.json.Decoder(_StructuredLine).decode
_encode: Final = msgspec.json.Encoder().encode


def parse_structured(raw: str, node: str, stream: str) -> LogEntry | None:
    """The entry of a structured line, or None for a raw one."""
    if not raw.startswith("{") or '"level"' not in raw:
        return None
    try:
        line = _decode_structured(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    level = _LEVEL_OF_WORD.get(line.level.lower())
    message, fields = line.message, line.fields
    if message is None and fields is not None and isinstance(fields.get("message"), str):
        message = fields["message"]
        fields = {key: value for key, value in fields.items() if key != "message"} or None
    if level is None or message is None:
        return None
    ts_ns = round(line.timestamp.timestamp() * 1e6) * 1000
    return LogEntry(
        ts_ns, level, node, stream, message, line.target, fields, raw, line.module_path, line.file, line.line
    )


def plain_entries(ts_ns: int, node: str, stream: str, lines: Sequence[str]) -> list[LogEntry]:
    """The entries of raw lines that were read at the same moment."""
    return [LogEntry(ts_ns, STDOUT, node, stream, line, None, None, line) for line in lines]


def encode_log_message(entry: LogEntry, dataflow_id: str | None, *, is_system: bool = False) -> bytes:
    """The entry as one line of JSON without its end: `--log-format json`, `dora/logs`, `send_logs_as`.

    Args:
        is_system: the line is dora's own; a system entry about no node has node_id null.
    """
    return _encode(
        _LogMessage(
            build_id=None,
            dataflow_id=dataflow_id,
            node_id=None if is_system and not entry.node else entry.node,
            daemon_id=None,
            level=entry.level if entry.level == STDOUT else entry.level.upper(),
            target=entry.target,
            module_path=entry.module_path,
            file=entry.file,
            line=entry.line,
            message=entry.message,
            timestamp=rfc3339(entry.ts_ns, digits=6),
            fields=entry.fields,
        )
    )


def rfc3339(ts_ns: int, *, digits: int) -> str:
    """`2026-01-31T12:00:00.123Z`, with 3 (milliseconds) to 9 digits."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 10 ** (9 - digits):0{digits}}Z"
