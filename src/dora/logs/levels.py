"""Log levels: their order, what a level filter lets through, and how they are written on the command line.

`stdout` is the level of a raw line.  As a filter it lets everything through; a raw line passes no other
filter (dora dataflow-yaml, section 15.1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from dora.hints import did_you_mean

STDOUT: Final = "stdout"
LEVELS: Final = ("error", "warn", "info", "debug", "trace", STDOUT)

_RANK: Final[Mapping[str, int]] = {level: len(LEVELS) - place for place, level in enumerate(LEVELS)}


def passes(level: str, minimum: str | None) -> bool:
    """Whether an entry of `level` is let through by the filter `minimum` (None: no filter)."""
    if minimum is None or minimum == STDOUT:
        return True
    return level != STDOUT and _RANK[level] >= _RANK[minimum]


def parse_level(text: str) -> str:
    """The level that `text` names, in any case; ValueError with the accepted words otherwise."""
    level = text.strip().lower()
    if level in _RANK:
        return level
    raise ValueError(f"{text.strip()!r} is not a log level ({', '.join(LEVELS)}){hint(level, LEVELS)}")


def parse_filter(text: str, node_ids: Collection[str] | None = None) -> dict[str, str]:
    """The level per node of `--log-filter "camera=debug,plot=warn"`; empty segments are ignored.

    Args:
        node_ids: the nodes of the dataflow; a name that is not among them is an error.  None: not checked.

    Raises:
        ValueError: names the segment at fault, what was expected, and the nearest node.
    """
    levels: dict[str, str] = {}
    for segment in (part.strip() for part in text.split(",")):
        if not segment:
            continue
        node, separator, level = (part.strip() for part in segment.partition("="))
        if not separator or not node:
            raise ValueError(f"log filter {segment!r}: expected NODE=LEVEL, for example camera=debug")
        if node_ids is not None and node not in node_ids:
            known = ", ".join(sorted(node_ids)) or "none"
            raise ValueError(f"log filter {segment!r}: no node {node!r} (has: {known}){hint(node, node_ids)}")
        try:
            levels[node] = parse_level(level)
        except ValueError as error:
            raise ValueError(f"log filter {segment!r}: {error}") from None
    return levels


def hint(text: str, known: Collection[str]) -> str:
    """What was probably meant, as the end of a message; empty if nothing is near."""
    meant = did_you_mean(text, known, "'")
    return f"; {meant}" if meant else ""
