"""What the distribution is called, and that published nodes take its version (design.md 11.21)."""

from __future__ import annotations

import re
from pathlib import Path

from dora.version import VERSION

PROJECT = (Path(__file__).parent.parent / "pyproject.toml").read_text()


def stated(key: str) -> str:
    """The value of a key of the project's table."""
    found = re.search(rf'^{key} = "(.*)"$', PROJECT, re.MULTILINE)
    assert found, key
    return found[1]


def test_distribution_has_the_name_that_published_nodes_require() -> None:
    assert stated("name") == "dora-rs"


def test_version_satisfies_what_published_nodes_require() -> None:
    """`>=0.3.9`, `>=0.5.0`: a later one that is no pre-release, which pip would pass over."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", stated("version"))
    assert found, "a pre-release"
    assert tuple(map(int, found.groups())) >= (1, 2, 0)


def test_version_of_the_distribution_is_the_one_that_dora_says() -> None:
    assert stated("version") == VERSION
