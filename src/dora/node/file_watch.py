"""Which files were saved: looked at now and then, so that every editor and every file system will do.

Strategy: a file that is saved in place changes its time, one that is replaced by a rename also its inode.  A change is
told when two looks in a row find the same, so a file that is still being written is not read; a file that is not there
for a moment (between the two renames of some editors) has not changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple


class _State(NamedTuple):
    inode: int
    mtime_ns: int
    size: int


class FileWatch:
    """Looks at some files.

    Args:
        period_s: between two looks.
        clock: seconds.
    """

    def __init__(
        self, files: Iterable[str], period_s: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.period_s: Final = period_s
        self._clock = clock
        self._known = {file: _state(file) for file in files}
        self._seen = dict(self._known)
        self._next_s = clock() + period_s

    def changed(self) -> list[str]:
        """The files that were saved since they were told last; looks only when it is time."""
        now_s = self._clock()
        if now_s < self._next_s:
            return []
        self._next_s = now_s + self.period_s
        found = []
        for file, known in self._known.items():
            state = _state(file)
            is_stable, self._seen[file] = state == self._seen[file], state
            if is_stable and state is not None and state != known:
                found.append(file)
        for file in found:
            self._known[file] = self._seen[file]
        return found


def _state(file: str) -> _State | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return _State(status.st_ino, status.st_mtime_ns, status.st_size)
