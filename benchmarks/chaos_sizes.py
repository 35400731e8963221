"""What the processes of the chaos command hold: descriptors, memory, mapped arenas; and what of it is too much.

Strategy: processes that live as long as the run are compared with what they held when it had just begun and the same
dynamic nodes were attached, each of which costs the runner a link and an arena.  There is no slack: what a node that is
being replaced costs is given back a moment after everything flows again.  Only the wake-up of an output that had to
wait for room is made then, and kept.
A sender's arena cannot be compared, since its process may be another one: it has a limit, which is what all readers and
queues together can keep in use.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chaos_graph import CAMERA_BYTES, MAP_BYTES, MOST_FRAMES, MOST_MAPS
from memory import memory_of

WAKE_UPS = 1
"""of outputs that once waited for room: `tx` has one output"""
PRIVATE_SLACK_KB = 1_000
ARENAS_KB = {"camera": MOST_FRAMES * CAMERA_BYTES // 1024 + 1000, "mapper": MOST_MAPS * MAP_BYTES // 1024 + 1000}


class Size(NamedTuple):
    """What a process holds.

    Attributes:
        fds: without log files (a node's is opened when it says its first word) and wake-ups.
        private_kb, shared_kb: memory of its own, and of messages.
        maps: mapped memfds of dora.
        wake_ups: descriptors that wake a thread.
        kinds: of the descriptors, and how many there are of each.
    """

    fds: int
    private_kb: int
    shared_kb: int
    maps: int
    wake_ups: int = 0
    kinds: str = ""


def size_of(pid: int) -> Size:
    """As /proc has it.

    Raises:
        OSError: there is no such process any more.
    """
    memory = memory_of(pid)
    maps = Path(f"/proc/{pid}/maps").read_text()
    kinds = _open_files(pid)
    wake_ups = kinds.pop("anon_inode:[eventfd]", 0)
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return Size(kinds.total(), memory.anonymous_kb, memory.shared_kb, maps.count("memfd:dora"), wake_ups, text)


def _open_files(pid: int) -> Counter[str]:
    """Its descriptors by kind, without log files."""
    kinds: Counter[str] = Counter()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(entry.path)
            if not target.endswith(".jsonl"):
                kinds[target if target.startswith("anon_inode") else target.partition(":[")[0]] += 1
    return kinds


def grown(first: Mapping[str, Size], now: Mapping[str, Size]) -> list[str]:
    """Who holds more than at first."""
    wrong = []
    for name, then in first.items():
        size = now[name]
        if size.wake_ups > then.wake_ups + WAKE_UPS or size.fds > then.fds or size.maps > then.maps:
            wrong.append(f"{name} leaks: {then} -> {size}")
        if size.private_kb > then.private_kb + PRIVATE_SLACK_KB:
            wrong.append(f"{name} grows: {then} -> {size}")
    return wrong


def too_large(name: str, size: Size) -> list[str]:
    """Whether the arena of that sender holds chunks that nobody can be using."""
    if size.shared_kb <= ARENAS_KB[name]:
        return []
    return [f"{name} keeps too much of its arena: {size}, limit {ARENAS_KB[name]} kB"]
