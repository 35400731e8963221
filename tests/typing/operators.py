"""What type checkers say of an operator written with types.  Never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from dora import DoraStatus


class Operator:
    def __init__(self) -> None:
        self.count = 0

    def on_event(self, event: dict[str, Any], send_output: Callable[..., None]) -> DoraStatus:
        if event["type"] == "INPUT":
            self.count += 1
            send_output("count", pa.array([self.count]), event["metadata"])
        return DoraStatus.CONTINUE
