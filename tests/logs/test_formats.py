"""How entries look."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from dora.logs.entry import LogEntry, plain_entries
from dora.logs.formats import is_coloured, make_format, node_colour

RAW = LogEntry(1_000_000_000, "stdout", "camera", "stdout", "hello", None, None, "hello")
WARN = LogEntry(1_000_000_000, "warn", "camera", "stdout", "hot", "root", {"a": 1}, "{}")
SYSTEM = LogEntry(62_000_000_000, "info", "", "stdout", "all nodes are ready", None, None, "")


@pytest.fixture(autouse=True)
def _local_time_is_utc_plus_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(name: str, *entries: LogEntry, is_coloured: bool = False) -> str:
    return make_format(name, is_coloured=is_coloured, dataflow_id="uuid")(entries).decode()


def test_pretty_pads_the_level_and_shows_local_time() -> None:
    assert shown("pretty", RAW, WARN) == "02:00:01 stdout camera: hello\n02:00:01 WARN   camera: root hot\n"


def test_pretty_names_dora_for_lines_about_the_dataflow() -> None:
    assert shown("pretty", SYSTEM) == "02:01:02 INFO   [dora]: all nodes are ready\n"


def test_compact_has_upper_case_levels_and_no_padding() -> None:
    assert shown("compact", RAW, SYSTEM) == ("02:00:01 STDOUT camera: hello\n02:01:02 INFO dora: all nodes are ready\n")


def test_json_is_one_object_per_line() -> None:
    first, second = [json.loads(line) for line in shown("json", RAW, WARN).splitlines()]
    assert (first["level"], first["node_id"], first["message"]) == ("stdout", "camera", "hello")
    assert (second["level"], second["fields"], second["dataflow_id"]) == ("WARN", {"a": 1}, "uuid")


def test_json_of_a_line_about_the_dataflow_names_no_node() -> None:
    assert json.loads(shown("json", SYSTEM))["node_id"] is None


def test_only_pretty_has_colours() -> None:
    assert "\x1b[" in shown("pretty", RAW, is_coloured=True)
    assert "\x1b[" not in shown("compact", RAW, is_coloured=True) + shown("json", RAW, is_coloured=True)


def test_node_has_the_same_colour_in_every_run() -> None:
    assert [node_colour("camera"), node_colour("plot")] == [92, 32]


@pytest.mark.parametrize(
    ("environ", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(environ: dict[str, str], is_terminal: bool, expected: bool) -> None:
    assert is_coloured(environ, is_terminal=is_terminal) is expected


def test_text_that_utf_8_cannot_hold_is_escaped() -> None:
    assert shown("pretty", RAW._replace(message="bad \udcff")) == "02:00:01 stdout camera: bad \\udcff\n"


def test_unknown_format_is_an_error_that_lists_the_formats() -> None:
    with pytest.raises(ValueError, match=r"'xml' is not a log format \(pretty, compact, json\)"):
        shown("xml")


def said(message: str) -> LogEntry:
    return plain_entries(0, "n", "stdout", [message])[0]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hcleared", "cleared"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(B\x1b7\x1bMx", "x"),
        ("nul \x00, bell \x07, lone \x1b", "nul \\x00, bell \\x07, lone \\x1b"),
        ("tab\tand two\nlines", "tab\tand two\nlines"),
    ],
)
def test_what_a_node_prints_does_not_steer_the_terminal(message: str, text: str) -> None:
    assert shown("compact", said(message)).endswith(f" STDOUT n: {text}\n")


def test_colours_of_a_node_reach_a_coloured_terminal_and_end_with_their_line() -> None:
    line = shown("pretty", said("\x1b[31mred\x1b[2K"), is_coloured=True)
    assert line.endswith(": \x1b[31mred\x1b[0m\n")
