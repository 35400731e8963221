"""`python -m dora`, and the `dora` command."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    gc.disable()  # modules that load are no garbage, and looking for some takes a tenth of a short command
    from dora.cli.main import run_command

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
