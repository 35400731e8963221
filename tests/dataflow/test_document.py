"""YAML text to a tree with places."""

from __future__ import annotations

import time

import pytest
import yaml

from dora.dataflow import document
from dora.dataflow.document import YamlMap, YamlScalar, YamlValue, parse_document
from dora.dataflow.report import Place, Report
from dora.errors import DescriptorError


def parse(text: str) -> tuple[YamlValue | None, list[str]]:
    report = Report("f")
    return parse_document(text, report), report.error_lines()


def mapping(text: str) -> YamlMap:
    value, errors = parse(text)
    assert not errors
    assert isinstance(value, YamlMap)
    return value


def fault(text: str) -> str:
    with pytest.raises(DescriptorError) as caught:
        parse(text)
    return str(caught.value)


def test_every_value_knows_its_line_and_column() -> None:
    entry = mapping("a: 1\nbc:   x").entries["bc"]
    assert (entry.place, entry.value.place) == (Place(2, 1), Place(2, 7))


@pytest.mark.parametrize(
    ("text", "is_plain"), [("a: 1", True), ("a: '1'", False), ('a: "1"', False), ("a: |\n  1", False)]
)
def test_quoted_and_block_scalars_are_told_from_plain_ones(text: str, is_plain: bool) -> None:
    value = mapping(text).entries["a"].value
    assert isinstance(value, YamlScalar)
    assert value.is_plain is is_plain


def test_merge_key_adds_what_the_mapping_does_not_state() -> None:
    merged = mapping("base: &b {x: 1, y: 2}\nnode: {<<: *b, y: 3}").entries["node"].value
    assert isinstance(merged, YamlMap)
    assert {key: entry.value.text for key, entry in merged.entries.items()} == {"x": "1", "y": "3"}


def test_merge_key_takes_a_list_of_mappings() -> None:
    merged = mapping("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}").entries["c"].value
    assert isinstance(merged, YamlMap)
    assert {key: entry.value.text for key, entry in merged.entries.items()} == {"x": "1", "y": "2"}


def test_alias_stands_for_its_anchor_also_as_a_key() -> None:
    assert list(mapping("x: &a name\n*a : 2").entries) == ["x", "name"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_text_without_a_document_is_nothing(text: str) -> None:
    assert parse(text) == (None, [])


PROBLEMS = [
    ("a: 1\nb: 2\na: 3", "f:3:1: key 'a' is given twice (first one in line 1); remove one of them"),
    ("? [1]\n: 2", "f:1:3: expected a text as key, found a list or mapping"),
    ("a: {<<: 1}", "f:1:5: expected a mapping (or a list of mappings) after '<<'"),
    ("a: !secret x", "f:1:4: tag '!secret' is not known here; remove it"),
    ("a: !foo [x]", "f:1:4: tag '!foo' is not known here; remove it"),
]


@pytest.mark.parametrize(("text", "problem"), PROBLEMS)
def test_problem_is_noted_and_reading_goes_on(text: str, problem: str) -> None:
    assert parse(text)[1] == [problem]


FAULTS = [
    ("a:\n\t- b", "f:2:1: indented with a tab; YAML wants spaces"),
    ("a: b: c", "f:1:5: not valid YAML: mapping values are not allowed in this context; check the indentation"),
    ("a: [1", "f:2:1: not valid YAML: did not find expected ',' or ']' (while parsing a flow"),
    ("a: 'x", "f:1:4: not valid YAML: found unexpected end of stream (while scanning a quoted scalar)"),
    ("a: 1\n- b", "f:2:1: not valid YAML: did not find expected key (while parsing a block"),
    ("a: @x", "f:1:4: not valid YAML: found character that cannot start any token"),
    ("ab: \x07", "f:1:5: not valid YAML: character U+0007 is not allowed"),
    ("é: 1\nb: \x00", "f:2:4: not valid YAML: character U+0000 is not allowed"),
    ("a: 1\n--- \nb: 2", "f:2:1: expected one YAML document, found a second one; remove the '---'"),
    ("a: *b", "f:1:4: alias '*b' has no anchor"),
    ("a: &b [*b]", "f:1:8: alias '*b' contains itself"),
    ("[" * 100, "f:1:65: nested more than 64 levels deep"),
]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="wording of libyaml")
@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_broken_yaml_is_one_clear_problem(text: str, message: str) -> None:
    assert fault(text).startswith(message)


@pytest.mark.parametrize("text", [text for text, _ in FAULTS] + ['a: "\\UFFFFFFFF"', "%YAML 3.0\n--- a"])
def test_pure_python_reader_finds_the_same_faults(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    try:
        parse(text)
    except DescriptorError as error:
        found = error.problems
    else:
        found = []
    assert len(found) == 1


def test_alias_bomb_ends_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.process_time()
    assert "more than 100000 values, aliases counted in full" in fault("\n".join(lines))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000, "- " * 100_000, "? " * 50_000, "a: [" * 50_000])
def test_deep_nesting_ends_quickly(text: str) -> None:
    started = time.process_time()
    fault(text)
    assert time.process_time() - started < 2
