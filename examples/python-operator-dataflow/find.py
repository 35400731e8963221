"""Finds the bright spot in an image.

Inputs: image, uint8[height * width].
Outputs: position, float64[2]: x and y in pixels; the image's metadata go with it.
"""

import numpy as np
import pyarrow as pa
from dora import DoraStatus


class Operator:
    def on_event(self, event, send_output) -> DoraStatus:
        if event["type"] == "INPUT":
            metadata = event["metadata"]
            image = event["value"].to_numpy().reshape(metadata["height"], metadata["width"])
            rows, columns = np.nonzero(image > 100)
            send_output("position", pa.array([columns.mean(), rows.mean()]), metadata)
        return DoraStatus.CONTINUE
