"""Writes the pages of this folder that are made from the code: `python docs/generate.py FOLDER`.

Run through `scripts/docs`; `tests/test_docs.py` compares what it writes with what is committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dora import env


def variables_page() -> str:
    """The table of environment variables, as Markdown."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in env.VARIABLES.items()]
    head = ["# Environment variables", "", "What dora reads or sets.", "", "| variable | meaning |", "|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


PAGES = {"variables.md": variables_page}


def main() -> None:
    """Write every page into the folder named on the command line."""
    folder = Path(sys.argv[1])
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
