"""Level filters and how they are written."""

from __future__ import annotations

import pytest

from dora.logs.levels import LEVELS, parse_filter, parse_level, passes


@pytest.mark.parametrize(
    ("level", "minimum", "expected"),
    [
        ("stdout", "stdout", True),
        ("stdout", "trace", False),
        ("stdout", None, True),
        ("trace", "stdout", True),
        ("error", "warn", True),
        ("warn", "warn", True),
        ("info", "warn", False),
        ("debug", "info", False),
        ("debug", "trace", True),
    ],
)
def test_filter_lets_through_what_is_severe_enough(level: str, minimum: str | None, expected: bool) -> None:
    assert passes(level, minimum) is expected


@pytest.mark.parametrize("level", LEVELS)
def test_level_is_read_in_any_case(level: str) -> None:
    assert parse_level(level.upper()) == level


def test_unknown_level_is_an_error_that_lists_the_levels() -> None:
    with pytest.raises(ValueError, match="'warning' is not a log level") as caught:
        parse_level("warning")
    assert str(caught.value) == (
        "'warning' is not a log level (error, warn, info, debug, trace, stdout); did you mean 'warn'?"
    )


def test_filter_names_levels_per_node_and_ignores_empty_segments() -> None:
    assert parse_filter("camera=DEBUG,, plot = warn,", ["camera", "plot"]) == {"camera": "debug", "plot": "warn"}


def test_filter_without_a_list_of_nodes_takes_any_name() -> None:
    assert parse_filter("anything=info") == {"anything": "info"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera", "log filter 'camera': expected NODE=LEVEL, for example camera=debug"),
        ("=info", "log filter '=info': expected NODE=LEVEL, for example camera=debug"),
        (
            "camera=loud",
            "log filter 'camera=loud': 'loud' is not a log level (error, warn, info, debug, trace, stdout)",
        ),
        ("camra=info", "log filter 'camra=info': no node 'camra' (has: camera, plot); did you mean 'camera'?"),
    ],
)
def test_filter_that_is_wrong_says_where_and_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="log filter") as caught:
        parse_filter(text, ["plot", "camera"])
    assert str(caught.value) == expected
