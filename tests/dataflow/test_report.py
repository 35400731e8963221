"""All problems of a file at once, in order, with suggestions."""

from __future__ import annotations

import pytest

from dora.dataflow.report import Place, Report, shown
from dora.errors import DescriptorError


def test_problems_come_in_file_order_each_once() -> None:
    report = Report("f.yml")
    for line in (3, 1, 3):
        report.error(Place(line, 2), "wrong", "mend it")
    assert report.error_lines() == ["f.yml:1:2: wrong; mend it", "f.yml:3:2: wrong; mend it"]


def test_warnings_alone_do_not_fail() -> None:
    report = Report("f")
    report.warn(Place(1, 1), "odd")
    report.check()
    assert report.warning_lines() == ["f:1:1: odd"]


def test_warnings_fail_when_strict() -> None:
    report = Report("f")
    report.warn(Place(1, 1), "odd")
    with pytest.raises(DescriptorError, match=r"^f:1:1: odd$"):
        report.check(is_strict=True)


def test_warnings_come_along_with_errors() -> None:
    report = Report("f")
    report.error(Place(2, 1), "wrong")
    report.warn(Place(1, 1), "odd")
    with pytest.raises(DescriptorError) as caught:
        report.check()
    assert caught.value.problems == ["f:1:1: warning: odd", "f:2:1: wrong"]


def test_many_problems_are_cut_with_a_count() -> None:
    report = Report("f")
    for line in range(1, 251):
        report.error(Place(line, 1), "wrong")
    assert len(report.error_lines()) == 101
    assert report.error_lines()[-1] == "f:101:1: and 150 more problems"


SUGGESTIONS = [
    ("imgae", ["image", "info"], "did you mean 'image'?"),
    ("zzz", ["image", "info"], "has: image, info"),
    ("zzz", [f"out_{n}" for n in range(9)], "has: out_0, out_1, out_2, out_3, out_4, out_5, out_6, out_7, ..."),
    ("zzz", [], ""),
    ("x" * 10_000, ["image"], "has: image"),
    ("zzz", ["bad\nname"], ""),
]


@pytest.mark.parametrize(("word", "candidates", "hint"), SUGGESTIONS)
def test_suggestion_names_the_nearest_or_what_there_is(word: str, candidates: list[str], hint: str) -> None:
    assert Report("f").suggest(word, candidates) == hint


def test_suggestions_stop_after_some_hundred_problems() -> None:
    report = Report("f")
    hints = [report.suggest("imgae", ["image"]) for _ in range(201)]
    assert (hints[199], hints[200]) == ("did you mean 'image'?", "")


def test_shown_text_is_one_short_line() -> None:
    assert (shown("a\nb"), len(shown("x" * 1000))) == (r"'a\nb'", 65)
