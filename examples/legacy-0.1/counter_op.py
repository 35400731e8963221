"""An operator of dora 0.1: `on_input` instead of `on_event`, bytes instead of arrays.

Inputs: string, bytes.
Outputs: counter, one byte: how many inputs there were.
"""

from collections.abc import Callable
from enum import Enum


class DoraStatus(Enum):
    CONTINUE = 0
    STOP = 1


class Operator:
    def __init__(self):
        self.counter = 0

    def on_input(
        self,
        input_id: str,
        value: bytes,
        send_output: Callable[[str, bytes], None],
    ) -> DoraStatus:
        self.counter += 1
        send_output("counter", bytes([self.counter]))
        return DoraStatus.CONTINUE

    def drop_operator(self):
        print(f"counted {self.counter}")
