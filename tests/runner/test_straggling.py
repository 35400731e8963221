"""Nodes that go on although nothing can come any more: when that has lasted for too long."""

from __future__ import annotations

import pytest

from dora.errors import DescriptorError
from dora.runner.straggling import StragglerWatch, patience_s

SECOND_NS = 1_000_000_000


def looks(watch: StragglerWatch, *at: tuple[float, list[str], int]) -> list[bool]:
    return [watch.look(names, sent, round(second * SECOND_NS)) for second, names, sent in at]


def test_it_lasts_from_the_first_look_on() -> None:
    watch = StragglerWatch(2)
    assert looks(watch, (10, ["a"], 5), (11.9, ["a"], 5), (12, ["a"], 5)) == [False, False, True]


def test_whatever_is_sent_begins_it_anew() -> None:
    watch = StragglerWatch(2)
    assert looks(watch, (10, ["a"], 5), (11, ["a"], 6), (12, ["a"], 6), (13, ["a"], 6)) == [False, False, False, True]


def test_time_in_which_nobody_ran_does_not_count() -> None:
    watch = StragglerWatch(2)
    watch.look(["a"], 5, 10 * SECOND_NS)
    watch.forget()
    assert looks(watch, (70, ["a"], 5), (72, ["a"], 5)) == [False, True]


def test_without_stragglers_it_never_ends() -> None:
    assert looks(StragglerWatch(2), (10, [], 5), (100, [], 5)) == [False, False]


@pytest.mark.parametrize(("stated", "expected"), [("", 120), ("7", 7), ("off", None), ("Disabled", None)])
def test_the_variable_says_how_long(stated: str, expected: int | None) -> None:
    assert patience_s({"DORA_FINISH_DRAIN_GRACE_SECS": stated}) == expected


def test_another_value_of_the_variable_is_an_error() -> None:
    text = "DORA_FINISH_DRAIN_GRACE_SECS is '1.5': expected whole seconds, or `off`"
    with pytest.raises(DescriptorError, match=text):
        patience_s({"DORA_FINISH_DRAIN_GRACE_SECS": "1.5"})
