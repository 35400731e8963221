"""The output of one node: entries, file, filter, stderr tail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dora.dataflow.descriptor import LogSettings
from dora.runner.log_files import LogFile
from dora.runner.logs import NodeLog

WARNING = b'{"timestamp": "2026-01-31T12:00:00Z", "level": "WARN", "message": "hot", "fields": {"line": 7}}\n'


@pytest.fixture
def file(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "log_n.jsonl")


def node_log(file: LogFile, min_log_level: str | None = None, **options: Any) -> NodeLog:
    return NodeLog("n", file, LogSettings(min_log_level=min_log_level), clock=lambda: 5_000_000, **options)


def stored(file: LogFile) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.path.read_text().splitlines()]


def test_plain_lines_are_entries_of_level_stdout(file: LogFile) -> None:
    [entry] = node_log(file).feed("stderr", b"hello\n")
    assert (entry.ts_ns, entry.level, entry.node, entry.stream) == (5_000_000, "stdout", "n", "stderr")
    assert (entry.message, entry.raw, entry.target, entry.fields) == ("hello", "hello", None, None)


def test_lines_are_stored_before_feed_returns(file: LogFile) -> None:
    node_log(file).feed("stdout", b"one\n" + WARNING)
    assert stored(file) == [
        {
            "ts": "1970-01-01T00:00:00.005Z",
            "level": "stdout",
            "node": "n",
            "stream": "stdout",
            "msg": "one",
            "target": None,
            "fields": None,
        },
        {
            "ts": "2026-01-31T12:00:00.000Z",
            "level": "warn",
            "node": "n",
            "stream": "stdout",
            "msg": "hot",
            "target": None,
            "fields": {"line": 7},
        },
    ]


def test_min_log_level_keeps_lines_out_of_file_and_entries(file: LogFile) -> None:
    log = node_log(file, min_log_level="info")
    assert log.feed("stdout", b"plain\n") == []
    assert [entry.message for entry in log.feed("stdout", b"{plain\n" + WARNING)] == ["hot"]
    assert [line["msg"] for line in stored(file)] == ["hot"]


def test_streams_do_not_mix(file: LogFile) -> None:
    log = node_log(file)
    log.feed("stdout", b"out")
    log.feed("stderr", b"err")
    assert [entry.message for entry in log.feed("stdout", b"put\n")] == ["output"]
    assert [entry.message for entry in log.close("stderr")] == ["err"]
    assert log.close("stdout") == []


def test_every_line_goes_to_on_line_with_its_end_and_before_the_filter(file: LogFile) -> None:
    lines: list[str] = []
    log = node_log(file, min_log_level="error", on_line=lines.append)
    log.feed("stdout", b"one\r\n" + WARNING + b"rest")
    log.close("stdout")
    assert lines == ["one\n", WARNING.decode(), "rest"]


def test_stderr_tail_keeps_the_last_500_lines(file: LogFile) -> None:
    log = node_log(file, min_log_level="error")
    log.feed("stdout", b"not this\n")
    log.feed("stderr", b"".join(b"%d\n" % number for number in range(700)))
    assert log.stderr_tail() == [str(number) for number in range(200, 700)]


def test_stderr_tail_cuts_lines_that_nobody_could_read(file: LogFile) -> None:
    log = node_log(file)
    log.feed("stderr", b"x" * 10_000 + b"\n")
    assert log.stderr_tail() == ["x" * 4096 + "... [truncated]"]


def test_stderr_of_an_earlier_run_is_forgotten(file: LogFile) -> None:
    log = node_log(file)
    log.feed("stderr", b"old\n")
    log.forget_stderr()
    assert log.stderr_tail() == []


def test_output_that_is_not_utf_8_gives_one_warning(file: LogFile) -> None:
    warnings: list[str] = []
    log = node_log(file, warn=warnings.append)
    log.feed("stdout", b"fine\n\xff\n")
    log.feed("stdout", b"\xff\n")
    assert warnings == ["n: its stdout is not UTF-8; such bytes are shown as \ufffd"]
