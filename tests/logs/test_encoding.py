"""Structured lines and the JSON that others read."""

from __future__ import annotations

import json

import pytest

from dora.logs.encoding import encode_file_lines, encode_log_message, encode_plain_file_lines, parse_structured
from dora.logs.entry import LogEntry, plain_entries, rfc3339
from dora.logs.formats import FORMATS, make_format

NOON = "2026-01-31T12:00:00.123456Z"
NOON_NS = 1_769_860_800_123_456_000


def structured(**keys: object) -> LogEntry | None:
    line = {"timestamp": NOON, "level": "INFO", "message": "hi"} | keys
    return parse_structured(json.dumps({key: value for key, value in line.items() if value != "absent"}), "n", "stdout")


def test_structured_line_becomes_an_entry_with_its_own_time() -> None:
    entry = structured(target="root", file="a.py", line=3, module_path="a", fields={"count": "1"})
    assert entry is not None
    assert entry[:7] == (NOON_NS, "info", "n", "stdout", "hi", "root", {"count": "1"})
    assert (entry.module_path, entry.file, entry.line) == ("a", "a.py", 3)


@pytest.mark.parametrize("value", [1, 2.5, True, None, "x", [1], {"a": 1}])
def test_fields_may_hold_any_json_value(value: object) -> None:
    entry = structured(fields={"line": value})
    assert entry is not None
    assert entry.fields == {"line": value}


@pytest.mark.parametrize(
    ("word", "level"), [("ERROR", "error"), ("Warn", "warn"), ("WARNING", "warn"), ("stdout", "stdout")]
)
def test_level_may_be_in_any_case(word: str, level: str) -> None:
    entry = structured(level=word)
    assert entry is not None
    assert entry.level == level


def test_message_may_be_in_the_fields() -> None:
    entry = structured(message="absent", fields={"message": "inside", "a": 1})
    assert entry is not None
    assert (entry.message, entry.fields) == ("inside", {"a": 1})


@pytest.mark.parametrize(
    "line",
    [
        "plain",
        '{"level": "info"',
        '["level"]',
        '{"level": "loud", "timestamp": "2026-01-31T12:00:00Z", "message": "x"}',
        '{"level": "info", "timestamp": "noon", "message": "x"}',
        '{"level": "info", "timestamp": "2026-01-31T12:00:00", "message": "no offset"}',
        '{"level": "info", "timestamp": "2026-01-31T12:00:00Z"}',
        '{"level": "info", "message": "x"}',
        '{"level": 3, "timestamp": "2026-01-31T12:00:00Z", "message": "x"}',
        ' {"level": "info", "timestamp": "2026-01-31T12:00:00Z", "message": "not the whole line"}',
        '{"level": "info", "timestamp": "2026-01-31T12:00:00Z", "message": "x"} and more',
        '{"level": ' + "[" * 100_000,
        '{"level": "info", "timestamp": "2026-01-31T12:00:00Z", "message": "x", "fields": {"a": %s}}'
        % ("[" * 40 + "]" * 40),
    ],
)
def test_any_other_line_is_raw(line: str) -> None:
    assert parse_structured(line, "n", "stdout") is None


def test_lone_surrogates_in_json_do_no_harm() -> None:
    line = json.dumps({"timestamp": NOON, "level": "info", "message": "\ud800"})
    entry = parse_structured(line, "n", "stdout")
    encode_file_lines([entry] if entry is not None else plain_entries(0, "n", "stdout", [line]))


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_far_times_do_no_harm(time: str) -> None:
    entry = structured(timestamp=time)
    assert entry is not None
    assert encode_file_lines([entry])
    assert encode_log_message(entry, None)
    for name in FORMATS:
        assert make_format(name, is_coloured=False, dataflow_id=None)([entry])


def test_line_of_the_log_file_has_the_keys_of_dora_rs_in_their_order() -> None:
    entry = structured(target="root", fields={"a": "b"})
    assert entry is not None
    assert encode_file_lines([entry]) == (
        b'{"ts":"2026-01-31T12:00:00.123Z","level":"info","node":"n","stream":"stdout","msg":"hi",'
        b'"target":"root","fields":{"a":"b"}}\n'
    )


def test_raw_lines_are_encoded_as_entries_are() -> None:
    lines = ["plain", "", 'quote " and \\', '""', "tab\t\x00", "ünï", "a\u2028b"]
    expected = encode_file_lines(plain_entries(NOON_NS, "n", "stderr", lines))
    assert encode_plain_file_lines(NOON_NS, "n", "stderr", lines) == expected
    assert [json.loads(line)["msg"] for line in expected.split(b"\n")[:-1]] == lines


def test_log_message_has_the_keys_of_dora_rs() -> None:
    entry = structured(target="root", file="a.py", line=3)
    assert entry is not None
    assert json.loads(encode_log_message(entry, "uuid")) == {
        "build_id": None,
        "dataflow_id": "uuid",
        "node_id": "n",
        "daemon_id": None,
        "level": "INFO",
        "target": "root",
        "module_path": None,
        "file": "a.py",
        "line": 3,
        "message": "hi",
        "timestamp": NOON,
        "fields": None,
    }


def test_log_message_of_a_raw_line_has_level_stdout() -> None:
    [entry] = plain_entries(NOON_NS, "n", "stdout", ["x"])
    assert json.loads(encode_log_message(entry, None))["level"] == "stdout"


def test_time_is_cut_to_the_digits_asked_for() -> None:
    assert rfc3339(NOON_NS + 999, digits=3) == "2026-01-31T12:00:00.123Z"
    assert rfc3339(NOON_NS + 999, digits=9) == "2026-01-31T12:00:00.123456999Z"
