"""Run a command on a terminal of its own, its output copied to stdout; SIGUSR1 types Ctrl-C, SIGUSR2 Ctrl-Z."""

from __future__ import annotations

import os
import pty
import signal
import sys

TERMINAL = (sys.executable, __file__)
"""in front of a command"""


def main(command: list[str]) -> int:
    """Returns the exit code of the command."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    for signum, key in ((signal.SIGUSR1, b"\x03"), (signal.SIGUSR2, b"\x1a")):
        signal.signal(signum, lambda number, frame, key=key: os.write(terminal, key))
    while True:
        try:
            text = os.read(terminal, 1 << 16)
        except OSError:  # EIO: nobody has the other side open any more
            text = b""
        if not text:
            break
        os.write(1, text)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
