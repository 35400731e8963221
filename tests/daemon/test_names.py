"""Names of dataflows."""

from __future__ import annotations

import pytest

from dora.daemon.names import name_fault, new_name


@pytest.mark.parametrize("name", ["demo", "a", "_x", "robot-1.v2", "x" * 64])
def test_a_name_is_letters_digits_and_a_few_signs(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize(
    "name", ["-x", "a b", "ä", "x" * 65, "a/b", ".x", "01a2013c-49df-7bda-8edd-1c247120cd40", "x\n"]
)
def test_other_names_are_refused(name: str) -> None:
    assert name_fault(name)


def test_a_made_up_name_is_free_and_allowed() -> None:
    taken = {new_name(()) for _ in range(200)}
    name = new_name(taken)
    assert name not in taken
    assert name_fault(name) is None
