"""`--rt`, in a process of its own: it changes what the process may never give back."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, resource, sys
from dora.runner.realtime import become_realtime
if sys.argv[1] == "refused":
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)
lines = become_realtime()
policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
print(policy == os.SCHED_FIFO, *lines, sep="\\n")
"""


def outcome(case: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, case]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_either_the_priority_is_set_or_it_is_said_why_not() -> None:
    is_set, *lines = outcome("asked")
    assert is_set == str(not any("SCHED_FIFO" in line for line in lines))


def test_what_is_refused_is_said_with_how_to_allow_it() -> None:
    is_set, memory, priority = outcome("refused")
    assert is_set == "False"
    assert memory.startswith("--rt: memory is not locked: ")
    assert memory.endswith("(allow it with `ulimit -l unlimited` or CAP_IPC_LOCK)")
    text = "--rt: priority SCHED_FIFO 50 is not set: Operation not permitted (allow it with `ulimit -r 50` or"
    assert priority == f"{text} CAP_SYS_NICE)"
