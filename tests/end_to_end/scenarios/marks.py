"""A figure and the limit it must keep."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import NamedTuple

_RELATIONS = {"==": operator.eq, "<=": operator.le, ">=": operator.ge}


class Mark(NamedTuple):
    """For example `Mark("lost", 0, "==", 0)`."""

    name: str
    value: float
    relation: str
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its limit."""
        return bool(_RELATIONS[self.relation](self.value, self.limit))

    def __str__(self) -> str:
        verdict = "" if self.holds else "  MISSED"
        return f"{self.name}: {self.value:,.6g} ({self.relation} {self.limit:,.6g}){verdict}"


def hold(marks: Iterable[Mark]) -> None:
    """Assert that all of them hold."""
    found = list(marks)
    assert found
    assert all(mark.holds for mark in found), "\n".join(map(str, found))
