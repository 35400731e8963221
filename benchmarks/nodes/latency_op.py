"""An operator that notes how old each message is when its event is there.

Ports:
    in data  with the metadata n (its number) and t (its send time), as `paced_op.py` makes it
"""

import time

from results import write_figures

from dora import DoraStatus


class Operator:
    def __init__(self):
        self.ages = []

    def on_event(self, event, send_output):
        if event["type"] == "INPUT":
            metadata = event["metadata"]
            self.ages.append((metadata["n"], time.monotonic_ns() - metadata["t"]))
        elif event["type"] == "INPUT_CLOSED":
            write_figures("receiver", ages=self.ages)
        return DoraStatus.CONTINUE
