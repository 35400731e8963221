"""Durations on the command line."""

from __future__ import annotations

import click
import pytest

from dora.cli.durations import DURATION


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0", 0), ("1.5", 1.5), ("500ms", 0.5), ("10s", 10), ("5m", 300), ("1h30m", 5400), ("2D", 172800)],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "10 s", "5w", "1h30", "s", "nan", "1e3"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a duration such as 30, 500ms, 10s, 5m or 1h30m"):
        DURATION.convert(text, None, None)
