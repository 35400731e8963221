"""Limits a value to 3.

Inputs: value, float64[1].
Outputs: limited, float64[1].
"""

import pyarrow as pa
import pyarrow.compute as pc
from dora import DoraStatus


class Operator:
    def on_event(self, event, send_output) -> DoraStatus:
        if event["type"] == "INPUT":
            limited = pc.min_element_wise(event["value"], pa.scalar(3.0))
            send_output("limited", limited, event["metadata"])
        return DoraStatus.CONTINUE
