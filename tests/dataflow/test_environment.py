"""`env`: rendering, expansion, reserved names (dora dataflow-yaml, section 6)."""

from __future__ import annotations

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.environment import as_text, parse_overrides
from dora.dataflow.scalars import Plain
from dora.errors import DescriptorError

RENDERED = [
    ("true", "true"), ("False", "false"), ("5", "5"), ("1.50", "1.5"), ("1e3", "1000"), ("0x10", "16"), ("007", "7"),
    ("yes", "yes"), ("2024-01-01", "2024-01-01"), ("''", ""), ("'007'", "007"), ('"1.10"', "1.10"), ("'true'", "true"),
    ("a b", "a b"), ("$HOST", "box"), ("${HOST}/x", "box/x"), ("'$HOST'", "box"), ("${NOPE:-d}", "d"),
    ("${NOPE:-}", ""),
    ("${EMPTY:-d}", "d"), ("${HOST:-d}", "box"), ("$EMPTY", ""), ("$$HOST", "$HOST"), ("5$", "5$"), ("$1", "$1"),
    ("${", "${"), ("~x", "~x"), ("{__dora_env: HOST}", "box"), ("1e-7", "0.0000001"),
    ("1.5e22", "15000000000000000000000"),
    (".inf", "inf"), (".nan", "NaN"), ("-2.5e-3", "-0.0025"), ("99999999999999999999", "99999999999999999999"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "text"), RENDERED)
def test_env_value_becomes_text(load: Load, written: str, text: str) -> None:
    dataflow = load(f"env:\n  A: {written}\nnodes: []", env={"HOST": "box", "EMPTY": ""})
    assert dataflow.env == {"A": text}


WRONG = [
    ("A:", "env 'A': expected a text, number, true or false, found nothing; write '' for an empty text"),
    ("A: []", "env 'A': expected a text, number, true or false, found a list; write it as one text"),
    ("A: {b: c}", "env 'A': expected a text, number, true or false, found a mapping; write it as one text"),
    (
        "A: $NOPE",
        "env 'A': variable 'NOPE' is not set; set it, or write ${NOPE:-default}, or $$ for a plain dollar sign",
    ),
    ("A: {__dora_env: NOPE}", "env 'A': variable 'NOPE' is not set;"),
    ('A: "x\\0"', "env 'A': expected a text without NUL characters"),
]


@pytest.mark.parametrize(("entry", "message"), WRONG)
def test_wrong_env_value_is_explained(problems: Problems, entry: str, message: str) -> None:
    (found,) = problems(f"nodes:\n- id: a\n  path: a.py\n  env:\n    {entry}")
    assert found.startswith("5:")
    assert f": node 'a': {message}" in found


def test_env_that_is_no_mapping_is_an_error(problems: Problems) -> None:
    expected = "4:8: node 'a': 'env': expected a mapping from variable to value, found a list"
    assert problems("nodes:\n- id: a\n  path: x.py\n  env: [A]") == [f"{expected}; write each as `NAME: value`"]


@pytest.mark.parametrize("name", ["DORA_NODE_CONFIG", "LD_PRELOAD", "LD_LIBRARY_PATH", "DORA_ZENOH_X", "ZENOH_CONFIG"])
def test_reserved_variable_is_dropped_with_a_warning(load: Load, name: str) -> None:
    dataflow = load(f"nodes: [{{id: a, path: x.py, env: {{{name}: 1, B: 2}}}}]")
    assert dataflow.nodes[0].env == {"B": "2"}
    assert f"node 'a': env '{name}' is ignored: dora sets or forbids this variable" in dataflow.warnings[0]


@pytest.mark.parametrize("key", ["''", "A=B", "'A B'", '"A\\tB"', '"A\\0"'])
def test_impossible_variable_name_is_dropped_with_a_warning(load: Load, key: str) -> None:
    dataflow = load(f"env:\n  {key}: 1\nnodes: []")
    assert dataflow.env == {}
    assert "not a name for an environment variable" in dataflow.warnings[0]


def test_node_env_wins_over_the_command_line_which_wins_over_root_env(load: Load) -> None:
    text = "env: {A: root, B: root, C: root}\nnodes: [{id: a, path: x.py, env: {A: node}}]"
    dataflow = load(text, overrides={"A": "cli", "B": "cli", "D": "$cli"})
    assert dataflow.env == {"A": "cli", "B": "cli", "C": "root", "D": "$cli"}
    assert dataflow.nodes[0].env == {"A": "node", "B": "cli", "C": "root", "D": "$cli"}


def test_overrides_are_taken_as_they_are_and_the_last_one_wins() -> None:
    assert parse_overrides(["A=1.10", "B=x=y", "A=$HOME", "C="]) == {"A": "$HOME", "B": "x=y", "C": ""}


@pytest.mark.parametrize("setting", ["A", "=1", "A B=1", "", "DORA_NODE_CONFIG=x"])
def test_override_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(DescriptorError, match=r"^--env: "):
        parse_overrides([setting])


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (-0.0, "-0"), (1e16, "10000000000000000"), (-1.25e-7, "-0.000000125")]
)
def test_numbers_are_rendered_without_an_exponent(value: Plain, text: str) -> None:
    assert as_text(value) == text
