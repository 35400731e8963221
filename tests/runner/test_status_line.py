"""The one line that is drawn over itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dora.runner.status_line import ERASE, StatusLine, is_redrawable


def test_line_replaces_the_one_under_the_cursor() -> None:
    drawn = StatusLine(is_coloured=False).draw("building camera (1 s)")
    assert drawn.startswith(ERASE)
    assert drawn.decode().endswith(" building camera (1 s)")
    assert b"\n" not in drawn


def test_mark_moves_with_each_drawing() -> None:
    line = StatusLine(is_coloured=False)
    assert line.draw("x") != line.draw("x")


def test_line_is_cut_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    drawn = StatusLine(is_coloured=False).draw("starting: waiting for camera, plot").decode()
    text = drawn.removeprefix(ERASE.decode())
    assert text.endswith("…")
    assert len(text) == 19


def test_brackets_in_names_are_no_markup() -> None:
    assert b"[bold]" in StatusLine(is_coloured=False).draw("waiting for [bold]")


def test_colours_only_where_they_are_wanted() -> None:
    def styles(drawn: bytes) -> list[str]:
        return re.findall(r"\x1b\[[\d;]*m", drawn.decode())

    assert styles(StatusLine(is_coloured=True).draw("x"))
    assert styles(StatusLine(is_coloured=False).draw("x")) == []


@pytest.mark.parametrize(("term", "is_it"), [("xterm", True), ("dumb", False)])
def test_only_a_terminal_that_knows_how_is_drawn_upon(term: str, is_it: bool) -> None:
    ours, terminal = os.openpty()
    assert is_redrawable(terminal, {"TERM": term}) is is_it
    os.close(ours)
    os.close(terminal)


def test_file_is_not_drawn_upon(tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("w") as file:
        assert not is_redrawable(file.fileno(), {"TERM": "xterm"})
