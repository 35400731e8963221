"""dora's own lines about a run, kept beside those of the nodes: who was spawned, restarted, failed, and how it ended.

The first line tells which dataflow it is; `dora logs` finds runs by it.  While this is open, the folder says that the
run goes on (`dora.logs.places`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow
from dora.logs.entry import LogEntry
from dora.logs.levels import STDOUT
from dora.logs.places import OWN, file_of, lock_run
from dora.runner.log_files import LogFile

_MAX_SIZE_BYTES: Final = 16 << 20
_MAX_ROTATED_FILES: Final = 5


class RunLog:
    """The file of dora's own lines, and the mark that the run goes on.

    Args:
        name: of a run in the background; else the dataflow file names it.
    """

    def __init__(self, folder: Path, dataflow: Dataflow, *, name: str = "", warn: Callable[[str], None]) -> None:
        self._file = LogFile(file_of(folder, OWN), _MAX_SIZE_BYTES, _MAX_ROTATED_FILES, warn=warn)
        self._lock_fd = lock_run(folder)
        fields: dict[str, object] = {"name": name or dataflow.path.stem, "file": dataflow.file or str(dataflow.path)}
        self.add(f"running {fields['file']}", fields=fields)

    def add(
        self, text: str, level: str = "info", node: str | None = None, fields: dict[str, object] | None = None
    ) -> None:
        """Store a line about the whole dataflow or one node."""
        self._file.append([LogEntry(time.time_ns(), level, node or OWN, STDOUT, text, None, fields, text)])

    def close(self) -> None:
        """The run is over."""
        self._file.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
