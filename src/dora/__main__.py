"""`python -m dora`, and the `dora` command."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from _thread import _count as count_threads


def main() -> int:
    """Run the command line; ends the process with the exit code, or returns it while other threads still run."""
    gc.disable()  # modules that load are no garbage, and looking for some takes a tenth of a short command
    from dora.cli.main import run_command

    code = run_command(sys.argv[1:])
    if count_threads():  # the main thread is not counted
        return code
    atexit._run_exitfuncs()
    _flush_streams()
    os._exit(code)  # nobody needs the interpreter taken apart, which costs 8 ms after a run


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # its reader is gone, or it is closed: nobody can be told
            continue


if __name__ == "__main__":
    sys.exit(main())
