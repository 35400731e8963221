"""The rulings of docs/design.md, section 11, each with a change of the code that breaks it and the tests that notice.

Strategy: `*.yml` beside this file holds one entry per rule: a piece of source text, what it becomes, and the tests that
must fail then.  `python tests/rulings` proves it; what is checked in every run of the suite is that the entries still
fit the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent


class Rule(NamedTuple):
    """One rule and what breaks it.

    Attributes:
        ruling: number within section 11.
        says: the rule, in a few words.
        file: of the source, from the root of the project.
        was: text that stands there exactly once.
        becomes: without the rule.
        tests: pytest node ids; each must fail then.
    """

    ruling: int
    says: str
    file: str
    was: str
    becomes: str
    tests: list[str]

    def break_in(self, root: Path) -> None:
        """Change a copy of the project so that the rule does not hold."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.was, self.becomes))


def rules() -> list[Rule]:
    """All of them, by number."""
    entries = [Rule(**entry) for path in sorted(FOLDER.glob("*.yml")) for entry in yaml.safe_load(path.read_text())]
    return sorted(entries, key=lambda rule: rule.ruling)
