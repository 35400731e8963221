"""The JSON forms of a log entry: what a node prints, what stands in its log file, what others are told.

A line is structured when it is a JSON object with a known `level`, an RFC 3339 `timestamp` and a `message`
(or `fields.message`); dora-rs demands strings in `fields`, here any JSON value will do, so that what
Python's `logging` prints arrives with level and message.  Every other line is raw: level `stdout`.

Raw lines of one read differ only in their message, so for the file they are encoded by one call, and the
constant text is put around them by one replace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Annotated, Any, Final

import msgspec

from dora.logs.entry import LogEntry, rfc3339
from dora.logs.levels import LEVELS, STDOUT

MOST_LEVELS: Final = 32
_FIRST_S: Final = -62_135_596_800
_LAST_S: Final = 253_402_300_799
"""the years 1 to 9999"""

_LEVEL_OF_WORD: Final = {level: level for level in LEVELS} | {"warning": "warn", "critical": "error", "fatal": "error"}


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


class _FileLine(msgspec.Struct, gc=False):
    """dora dataflow-yaml, section 15.2."""

    ts: str
    level: str
    node: str
    stream: str
    msg: str
    target: str | None
    fields: dict[str, object] | None


class _PlacedFileLine(_FileLine, gc=False, omit_defaults=True):
    """A line of an entry that knows where in the program it was made: more keys behind those of dora-rs."""

    module_path: str | None = None
    file: str | None = None
    line: int | None = None


class _StoredLine(msgspec.Struct, gc=False):
    """A line of a log file, in this form or in that of `_LogMessage` (dora cli, section 10.2)."""

    ts: datetime | None = None
    timestamp: datetime | None = None
    level: str | None = None
    node: str | None = None
    node_id: str | None = None
    stream: str | None = None
    msg: str | None = None
    message: str | None = None
    target: str | None = None
    fields: dict[str, Any] | None = None
    module_path: str | None = None
    file: str | None = None
    line: int | None = None


_decode_structured: Final = msgspec.json.Decoder(_StructuredLine).decode
_decode_stored: Final = msgspec.json.Decoder(_StoredLine).decode
_encoder: Final = msgspec.json.Encoder()


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
    if level is None or message is None or not _is_shallow(fields, MOST_LEVELS):
        return None
    return LogEntry(
        _ns_of(line.timestamp),
        level,
        node,
        stream,
        message,
        line.target,
        fields,
        raw,
        line.module_path,
        line.file,
        line.line,
    )


def decode_file_line(raw: bytes, node: str) -> LogEntry | None:
    """The entry in a line of a log file; None for something else, such as a line that a crash tore.

    Args:
        node: whose file it is, where the line does not say it.
    """
    try:
        line = _decode_stored(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    instant = line.ts or line.timestamp
    message = line.msg if line.msg is not None else line.message
    if instant is None or message is None or not _is_shallow(line.fields, MOST_LEVELS):
        return None
    return LogEntry(
        _ns_of(instant),
        _LEVEL_OF_WORD.get((line.level or STDOUT).lower(), STDOUT),
        line.node or line.node_id or node,
        line.stream or STDOUT,
        message,
        line.target,
        line.fields,
        message,
        line.module_path,
        line.file,
        line.line,
    )


def _ns_of(instant: datetime) -> int:
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=timezone.utc)
    seconds = min(max(instant.timestamp(), _FIRST_S), _LAST_S)  # a zone may lead out of the years that can be written
    return round(seconds * 1e6) * 1000


def _is_shallow(value: object, levels: int) -> bool:
    """Whether JSON is nested so little that encoding it again never meets the recursion limit."""
    if isinstance(value, dict):
        return levels > 0 and all(_is_shallow(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_shallow(inner, levels - 1) for inner in value)
    return True


def encode_log_message(entry: LogEntry, dataflow_id: str | None) -> bytes:
    """The entry as one line of JSON without its end: `--log-format json`, `dora/logs`, `send_logs_as`.

    An entry about the whole dataflow has node_id null.
    """
    return _encoder.encode(
        _LogMessage(
            build_id=None,
            dataflow_id=dataflow_id,
            node_id=entry.node or None,
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


def encode_plain_file_lines(ts_ns: int, node: str, stream: str, messages: Sequence[str]) -> bytes:
    """The lines of the log file for raw lines, at least one, that were read at the same moment."""
    line = _FileLine(rfc3339(ts_ns, digits=3), STDOUT, node, stream, "", None, None)
    before, _, after = _encoder.encode(line).rpartition(b'""')
    after += b"\n"
    encoded = _encoder.encode_lines(messages)[:-1]  # no line end inside: JSON escapes it
    return before + encoded.replace(b"\n", after + before) + after


def encode_file_lines(entries: Sequence[LogEntry]) -> bytes:
    """The lines of the log file for entries of any kind."""
    return _encoder.encode_lines([_file_line(entry) for entry in entries])


def _file_line(entry: LogEntry) -> _FileLine | _PlacedFileLine:
    start = (rfc3339(entry.ts_ns, digits=3), entry.level, entry.node, entry.stream, entry.message)
    if entry.file is None and entry.module_path is None:
        return _FileLine(*start, entry.target, entry.fields)
    return _PlacedFileLine(*start, entry.target, entry.fields, entry.module_path, entry.file, entry.line)
