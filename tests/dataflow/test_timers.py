"""Timers as text."""

from __future__ import annotations

import pytest

from dora.dataflow.descriptor import TimerSource
from dora.dataflow.timers import is_timer, parse_timer

TIMERS = [
    ("dora/timer/secs/2", 2_000_000_000, "dora/timer/secs/2"),
    ("dora/timer/millis/100", 100_000_000, "dora/timer/millis/100"),
    ("dora/timer/millis/2000", 2_000_000_000, "dora/timer/secs/2"),
    ("dora/timer/micros/1500", 1_500_000, "dora/timer/micros/1500"),
    ("dora/timer/nanos/5", 5, "dora/timer/nanos/5"),
    ("dora/timer/hz/5", 200_000_000, "dora/timer/millis/200"),
    ("dora/timer/hz/30", 1e9 / 30, "dora/timer/nanos/33333333"),
    ("dora/timer/hz/0.5", 2_000_000_000, "dora/timer/secs/2"),
    ("dora/timer/hz/1e3", 1_000_000, "dora/timer/millis/1"),
    ("dora/timer/hz/1000000000", 1, "dora/timer/nanos/1"),
]


@pytest.mark.parametrize(("text", "period_ns", "canonical"), TIMERS)
def test_timer_has_a_period_and_a_canonical_text(text: str, period_ns: float, canonical: str) -> None:
    assert parse_timer(text) == TimerSource(period_ns, canonical)


WHOLE = "expected a whole number after the unit"
FORM = "a timer is dora/timer/<unit>/<value>"
WRONG = [
    ("dora/timer", FORM),
    ("dora/timer/millis", FORM),
    ("dora/timer/millis/", FORM),
    ("dora/timer/millis/5/6", FORM),
    ("dora/timer/foo/10", "a timer has one of the units secs, millis, micros, nanos, hz, found 'foo'"),
    (
        "dora/timer/millis/1.5",
        "expected a whole number after the unit, found '1.5'; did you mean 'dora/timer/micros/1500'?",
    ),
    ("dora/timer/millis/-1", "expected a whole number after the unit, found '-1'"),
    ("dora/timer/secs/\u0663", "expected a whole number after the unit"),
    ("dora/timer/secs/0", "expected a timer with a period of at least 1 ns"),
    ("dora/timer/hz/1e10", "expected a timer with a period of at least 1 ns"),
    ("dora/timer/hz/0", "expected a number above 0 after hz, found '0'"),
    ("dora/timer/hz/1e999", "expected a number above 0 after hz, found '1e999'"),
    ("dora/timer/hz/nan", "expected a number above 0 after hz, found 'nan'"),
    ("dora/timer/hz/1e-300", "expected a timer with a period below 146 years"),
    ("dora/timer/secs/99999999999", "expected a timer with a period below 146 years"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_timer_is_explained(text: str, message: str) -> None:
    found = parse_timer(text)
    assert isinstance(found, str)
    assert found.startswith(message)


@pytest.mark.parametrize(("text", "answer"), [("dora/timer", True), ("dora/timer/x", True), ("dora/timers/x", False)])
def test_timer_texts_are_recognised(text: str, answer: bool) -> None:
    assert is_timer(text) is answer
