"""What the handler of a request gets: its path, query and body, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dora.daemon.service import Service


class Query(NamedTuple):
    """A parameter behind the `?` of a path."""

    name: str
    type: type
    doc: str
    default: Any = None
    choices: tuple[str, ...] = ()


class Call(NamedTuple):
    """A request that fits its row: what the handler gets.

    Attributes:
        service: what it is asked of.
        path: the parts of the path in braces.
        query: every parameter of the row, stated or not.
        body: the struct that the row names, or None.
    """

    service: Service
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
