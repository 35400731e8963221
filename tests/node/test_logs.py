"""What a log entry looks like on the node's standard output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dora.node.logs import NodeLog


def written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    entry = json.loads(line)
    assert isinstance(entry, dict)
    return entry


@pytest.mark.parametrize(
    ("level", "found"), [("Error", "ERROR"), ("warning", "WARN"), ("TRACE", "TRACE"), ("chatty", "INFO")]
)
def test_level_is_taken_in_any_case_and_info_otherwise(
    capsys: pytest.CaptureFixture[str], level: str, found: str
) -> None:
    NodeLog("camera").log(level, "text")
    assert written(capsys)["level"] == found


def test_dict_as_third_argument_is_taken_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog("camera").log("info", "Processing item", {"count": 3})
    entry = written(capsys)
    assert entry["fields"] == {"count": "3"}
    assert "target" not in entry


def test_message_of_several_lines_stays_one_entry(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog("camera").log("info", "one\ntwo", "lens", {"f": "1.8"})
    entry = written(capsys)
    assert (entry["message"], entry["target"], entry["node_id"]) == ("one\ntwo", "lens", "camera")


def test_fields_over_60_kb_are_left_out_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog("camera").log("info", "kept", {"image": "x" * 60_001})
    out, err = capsys.readouterr()
    assert json.loads(out)["message"] == "kept"
    assert "fields" not in json.loads(out)
    assert "longer than 60000 bytes: left out" in err


def test_message_too_long_for_a_line_is_cut_with_a_mark(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog("camera").log("info", "x" * 2_000_000)
    message = written(capsys)["message"]
    assert message.endswith("x... [truncated]")


def test_half_a_surrogate_pair_does_not_spoil_the_entry(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog("camera").log("info", "\ud83d bad, \N{ROBOT FACE} good")
    message = written(capsys)["message"]
    message.encode()
    assert message.endswith("bad, \N{ROBOT FACE} good")


@pytest.mark.parametrize("arguments", [(3, "text"), ("info", 3), ("info", "text", 3), ("info", "text", None, "fields")])
def test_arguments_of_other_kinds_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="must be str"):
        NodeLog("camera").log(*arguments)


def test_entries_for_a_person_are_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog("camera", is_read=False).log("warn", "dark", fields={"lux": 3})
    assert capsys.readouterr().out == "WARN dark lux=3\n"
