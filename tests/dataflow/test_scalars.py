"""What a YAML scalar means."""

from __future__ import annotations

import math

import pytest

from dora.dataflow.document import YamlList, YamlMap, YamlScalar
from dora.dataflow.report import Place
from dora.dataflow.scalars import Plain, described, meaning

PLAIN: list[tuple[str, Plain]] = [
    ("", None), ("~", None), ("null", None), ("NULL", None),
    ("true", True), ("False", False), ("yes", "yes"), ("on", "on"),
    ("0", 0), ("-5", -5), ("+5", 5), ("007", 7), ("0x10", 16), ("-0xff", -255), ("0o17", 15), ("0b101", 5),
    ("1.50", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-3", -0.0015),
    (".inf", math.inf), ("-.Inf", -math.inf),
    ("1_000", "1_000"), ("2024-01-01", "2024-01-01"), ("0x", "0x"), ("1.2.3", "1.2.3"), ("12:30", "12:30"),
    ("9" * 401, float("9" * 401)), ("e5", "e5"), (".", "."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_plain_scalar_means(text: str, value: Plain) -> None:
    found = meaning(YamlScalar(Place(1, 1), text, is_plain=True))
    assert (type(found), found) == (type(value), value)


def test_nan_is_a_number() -> None:
    found = meaning(YamlScalar(Place(1, 1), ".nan", is_plain=True))
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize("text", ["007", "true", "", "null", "1.10"])
def test_quoted_scalar_is_the_text(text: str) -> None:
    assert meaning(YamlScalar(Place(1, 1), text, is_plain=False)) == text


@pytest.mark.parametrize(
    ("tag", "text", "value"), [("str", "5", "5"), ("int", "5", 5), ("float", "5", 5), ("null", "", None)]
)
def test_explicit_tag_decides(tag: str, text: str, value: Plain) -> None:
    assert meaning(YamlScalar(Place(1, 1), text, is_plain=False, tag="tag:yaml.org,2002:" + tag)) == value


def test_found_values_are_named_for_messages() -> None:
    values = [
        YamlMap(Place(1, 1)),
        YamlList(Place(1, 1)),
        *(YamlScalar(Place(1, 1), text, is_plain=True) for text in ("", "x", "5", "true")),
    ]
    assert [described(value) for value in values] == ["a mapping", "a list", "nothing", "the text 'x'", "5", "true"]
