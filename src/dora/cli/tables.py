"""What commands print: tables for people, JSON for programs (dora cli, section 2.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

FORMATS: Final = ("table", "json")
_MB, _GB = 10**6, 10**9


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns, two blanks between them; the head also when there are no rows."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_json_lines(objects: Iterable[dict[str, Any]]) -> None:
    """One object per line."""
    for one in objects:
        click.echo(json.dumps(one, ensure_ascii=False))


def print_json(document: Any) -> None:
    """One document, indented."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def shown_cpu(percent: float | None) -> str:
    """`12.5%` of one core, `-` when it is not known."""
    return "-" if percent is None else f"{percent:.1f}%"


def shown_memory(size_bytes: int | None) -> str:
    """`0.5 MB`, `181 MB` or `1.2 GB`, `-` when it is not known."""
    if size_bytes is None:
        return "-"
    if size_bytes < _MB:
        return f"{size_bytes / _MB:.1f} MB"
    return f"{size_bytes / _MB:.0f} MB" if size_bytes < _GB else f"{size_bytes / _GB:.1f} GB"
