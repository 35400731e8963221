"""All fuzz targets by name: each takes any bytes, and must neither fail nor harm anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fuzzing import edges, links, prints

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "messages": edges.messages,
    "torn-records": edges.torn_records,
    "releases": edges.releases,
    "counters": edges.counters,
    "from-node": links.from_node,
    "to-node": links.to_node,
    "to-minder": links.to_minder,
    "from-minder": links.from_minder,
    "lines": prints.lines,
    "log-files": prints.files,
}
SLOW: Final = frozenset({"to-minder", "to-node"})
"""they start processes or threads"""
