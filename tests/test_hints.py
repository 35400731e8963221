"""What was probably meant."""

from __future__ import annotations

import pytest

from dora.hints import did_you_mean, near_and_all


def test_word_that_is_most_alike_is_asked_for() -> None:
    assert did_you_mean("imgae", {"info": 1, "image": 2}) == "did you mean `image`?"


def test_quotes_are_those_of_the_sentence_around() -> None:
    assert did_you_mean("imgae", ["image"], "'") == "did you mean 'image'?"


def test_nothing_is_asked_where_nothing_is_alike() -> None:
    assert did_you_mean("depth", ["image"]) == ""


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("imgae", ["image", "info"], "did you mean `image`? outputs: image, info"),
        ("depth", ["image"], "outputs: image"),
        ("depth", [], "it has none"),
    ],
)
def test_all_there_is_stands_behind_what_was_meant(word: str, known: list[str], expected: str) -> None:
    assert near_and_all(word, known, "outputs") == expected
