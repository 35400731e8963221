"""How much memory a process has, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """Resident memory in units of 1024 bytes: its own, what it maps of files, and of messages (memfds)."""

    anonymous_kb: int
    files_kb: int
    shared_kb: int

    @property
    def resident_mb(self) -> float:
        """All of it, in units of 1,000,000 bytes."""
        return sum(self) * 1024 / 1e6


def memory_of(pid: int) -> Memory:
    """As /proc/PID/status has it.

    Raises:
        OSError: there is no such process any more.
    """
    fields = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {words[0]: int(words[1]) for words in fields if words[0].startswith("Rss")}
    return Memory(found["RssAnon:"], found["RssFile:"], found["RssShmem:"])
