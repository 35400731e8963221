"""What process trees use."""

from __future__ import annotations

import os
import subprocess
import sys

from dora.runs.usage import UsageMeter, is_alive


def test_the_first_look_at_a_process_shows_numbers() -> None:
    usage = UsageMeter().measure([os.getpid()])[os.getpid()]
    assert usage.cpu_percent > 0
    assert usage.memory_bytes > 5_000_000


def test_a_process_that_is_gone_is_left_out() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert UsageMeter().measure([gone.pid]) == {}


def test_an_ended_process_that_nobody_has_reaped_is_not_alive() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert (is_alive(ended.pid), is_alive(os.getpid())) == (False, True)
    ended.wait()
    assert not is_alive(ended.pid)


def test_descendants_count() -> None:
    child = "b = bytearray(b'x') * 60_000_000; input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as parent:
        meter = UsageMeter()
        while meter.measure([parent.pid])[parent.pid].memory_bytes < 60_000_000:
            pass
        parent.communicate(b"\n")
