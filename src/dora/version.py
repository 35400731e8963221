"""The version of dora, alone, so that every process can say it without loading anything."""

from __future__ import annotations

from typing import Final

VERSION: Final = "1.2.0"
