"""One line on a terminal that is drawn over itself while something takes long.

It returns bytes and writes nothing: the console's writer thread owns the terminal.  rich, which knows
widths and styles, is imported when the first line is drawn, so that a quick run never pays for it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

ERASE: Final = b"\r\x1b[2K"

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def is_redrawable(fd: int, environ: Mapping[str, str]) -> bool:
    """Whether a line can be drawn over itself there: on a terminal that knows how."""
    return os.isatty(fd) and environ.get("TERM") != "dumb"


class StatusLine:
    """Draws text cut to the width of the terminal, behind a mark that moves with each drawing."""

    def __init__(self, *, is_coloured: bool) -> None:
        self._is_coloured = is_coloured
        self._console: Console | None = None
        self._drawings = 0

    def draw(self, text: str) -> bytes:
        """What replaces the line under the cursor by `text`."""
        from rich.console import Console  # rich takes 60 ms, and only a slow run on a terminal needs it
        from rich.text import Text  # as above

        if self._console is None:
            self._console = Console(
                file=io.StringIO(), force_terminal=True, no_color=not self._is_coloured, highlight=False
            )
        mark = _FRAMES[self._drawings % len(_FRAMES)]
        self._drawings += 1
        line = Text.assemble((mark, "cyan"), " ", text)
        # One column stays free: a full line would leave the cursor in the next one on some terminals.
        with self._console.capture() as capture:
            self._console.print(line, end="", no_wrap=True, overflow="ellipsis", width=self._console.width - 1)
        return ERASE + capture.get().encode("utf-8", "replace")
