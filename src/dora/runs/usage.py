"""CPU, memory and disk use of processes, read from /proc when somebody wants to know.

Strategy: no sampling in the background.  The CPU share of a process is that since it was last looked at, if that was
between `_SHORTEST_S` and `_LONGEST_S` ago, else that since it was started, so that the first look shows a number, too.
A process counts with all its descendants (shell nodes, worker processes).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

_SHORTEST_S: Final = 0.2
_LONGEST_S: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_CPU, _START = 11, 19
"""fields of /proc/PID/stat behind the name, counted from 0 (proc(5): utime is 14, starttime 22)"""


class Usage(NamedTuple):
    """What a process tree uses.

    Attributes:
        cpu_percent: of one core.
        memory_bytes: resident.
    """

    cpu_percent: float
    memory_bytes: int


class DiskBytes(NamedTuple):
    """What a process has had read from disks and written to them, so far."""

    read: int
    written: int


class _Look(NamedTuple):
    at_s: float
    started_ticks: int
    cpu_s: float


class UsageMeter:
    """Measures processes, and remembers its last look at each."""

    def __init__(self) -> None:
        self._looks: dict[int, _Look] = {}

    def measure(self, pids: Iterable[int]) -> dict[int, Usage]:
        """The usage of each of these processes with their descendants; those that are gone are left out."""
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        found: dict[int, Usage] = {}
        for pid in pids:
            usage = self._measure_one(pid, now_s)
            if usage is not None:
                found[pid] = usage
        for pid in [pid for pid, look in self._looks.items() if now_s - look.at_s > _LONGEST_S]:
            del self._looks[pid]
        return found

    def _measure_one(self, pid: int, now_s: float) -> Usage | None:
        root = _stat(pid)
        if root is None:
            return None
        started_ticks = int(root[_START])
        cpu_ticks, pages = 0, 0
        for member in _tree(pid):
            stat = _stat(member)
            if stat is not None:
                cpu_ticks += sum(int(word) for word in stat[_CPU : _CPU + 4])  # own, and that of reaped children
                pages += _resident_pages(member)
        look = _Look(now_s, started_ticks, cpu_ticks / _TICKS)
        before = self._looks.get(pid)
        is_known = before is not None and before.started_ticks == started_ticks
        if before is None or not is_known or not _SHORTEST_S <= now_s - before.at_s <= _LONGEST_S:
            before = _Look(started_ticks / _TICKS, started_ticks, 0.0)
        if not is_known or now_s - self._looks[pid].at_s >= _SHORTEST_S:
            self._looks[pid] = look
        elapsed_s = max(now_s - before.at_s, 1 / _TICKS)
        return Usage(round(max(0.0, 100 * (look.cpu_s - before.cpu_s) / elapsed_s), 1), pages * _PAGE)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and is not yet reaped does not."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in ("Z", "X")


def disk_bytes(pid: int) -> DiskBytes | None:
    """Of one process, without its descendants; None if it is gone or somebody else's."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            counts = dict(line.split(": ") for line in file.read().splitlines())
        return DiskBytes(int(counts["read_bytes"]), int(counts["write_bytes"]))
    except (OSError, KeyError, ValueError):
        return None


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _resident_pages(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for member in found:
        try:
            for thread in os.listdir(f"/proc/{member}/task"):
                with open(f"/proc/{member}/task/{thread}/children", encoding="ascii") as file:
                    found += [int(word) for word in file.read().split()]
        except OSError:
            continue
    return found
