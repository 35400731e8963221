"""`--rt`: the process that supervises keeps its memory in RAM and goes before ordinary processes.

Strategy: what the machine or its limits refuse is said, with how to allow it, and is no failure.  Nodes do not inherit
the priority (SCHED_RESET_ON_FORK): a node that needs one asks for it, for example with `chrt` in its command.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

PRIORITY: Final = 50
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def become_realtime() -> list[str]:
    """Lock the memory of this process and give its main thread SCHED_FIFO 50; returns what was refused, as lines."""
    return [line for line in (_lock_memory(), _raise_priority()) if line]


def _lock_memory() -> str:
    """Pages as they are used: sparse maps stay sparse."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0:
        return ""
    reason = os.strerror(ctypes.get_errno())
    return f"--rt: memory is not locked: {reason} (allow it with `ulimit -l unlimited` or CAP_IPC_LOCK)"


def _raise_priority() -> str:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except OSError as error:
        allow = f"allow it with `ulimit -r {PRIORITY}` or CAP_SYS_NICE"
        return f"--rt: priority SCHED_FIFO {PRIORITY} is not set: {error.strerror} ({allow})"
    return ""
