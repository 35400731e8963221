"""What an operator answers after each event (dora node-api, section 1)."""

from __future__ import annotations

import enum


class DoraStatus(enum.Enum):
    """Go on, end this operator, or end the whole dataflow."""

    CONTINUE = 0
    STOP = 1
    STOP_ALL = 2
