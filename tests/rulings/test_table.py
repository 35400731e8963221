"""The table of rulings fits the code; `python tests/rulings` shows that the tests in it notice a broken rule."""

from __future__ import annotations

import pytest

from rulings.table import ROOT, Rule, rules

RULES = rules()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.ruling}-{rule.says}")
def test_the_code_of_a_rule_stands_where_the_table_says(rule: Rule) -> None:
    assert (ROOT / rule.file).read_text().count(rule.was) == 1
    assert rule.becomes != rule.was


@pytest.mark.parametrize("test", sorted({test for rule in RULES for test in rule.tests}))
def test_every_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text()


def test_every_ruling_has_a_rule_with_a_test() -> None:
    assert {rule.ruling for rule in RULES if rule.tests} == set(range(1, 22))
