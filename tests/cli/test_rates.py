"""Rates from counters: what a few looks say of the intervals between messages."""

from __future__ import annotations

import pytest

from dora.cli.rates import Rates, Reading, cells

MS = 1_000_000


def looks(*readings: tuple[int, int], window_s: float = 10.0) -> Rates:
    """One output, looked at once a second: messages so far, and when the last was, in ms."""
    rates = Rates(["a/out"], window_s=window_s)
    for second, (sent, last_ms) in enumerate(readings):
        rates.note([Reading(sent, last_ms * MS)], float(second))
    return rates


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([], ["a/out", "-", "-", "-", "-", "-", "0"]),
        ([(5, 100), (5, 100)], ["a/out", "-", "-", "-", "-", "-", "0"]),
        ([(5, 100), (6, 110), (7, 120)], ["a/out", "10.00", "100.00", "10.00", "10.00", "0.00", "2"]),
        ([(5, 100), (6, 110), (7, 140)], ["a/out", "20.00", "50.00", "10.00", "30.00", "10.00", "2"]),
        ([(5, 100), (15, 200)], ["a/out", "10.00", "100.00", "10.00", "10.00", "0.00", "10"]),
    ],
)
def test_intervals_between_messages(readings: list[tuple[int, int]], expected: list[str]) -> None:
    assert cells(looks(*readings).rates()[1]) == expected


def test_the_first_message_ever_ends_no_interval() -> None:
    assert cells(looks((0, 0), (1, 5000), (2, 5010)).rates()[1])[1:3] == ["10.00", "100.00"]


def test_looks_before_the_window_are_forgotten() -> None:
    rates = looks((0, 0), (1, 10), (2, 1000), (3, 1010), (4, 1020), window_s=1.5)
    assert cells(rates.rates()[1])[1] == "10.00"


def test_all_outputs_together_send_the_sum_of_their_rates() -> None:
    rates = Rates(["a/x", "a/y"], window_s=10)
    rates.note([Reading(1, 1 * MS), Reading(1, 1 * MS)], 0.0)
    rates.note([Reading(11, 1001 * MS), Reading(31, 1001 * MS)], 1.0)
    assert cells(rates.rates()[0]) == ["ALL", "25.00", "40.00", "-", "-", "-", "40"]
