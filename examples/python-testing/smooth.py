"""The mean of the last two distances; warns when there is none for a second.

Inputs: distance, float64[1].
Outputs: smoothed, float64[1].
"""

import pyarrow as pa
from dora import Node


def main() -> None:
    node = Node()
    last = None
    while (event := node.next(timeout=1.0)) is not None:
        if event["type"] == "ERROR":
            node.log("warn", "no distance for a second")
        elif event["type"] == "INPUT":
            distance = event["value"][0].as_py()
            mean = distance if last is None else (last + distance) / 2
            node.send_output("smoothed", pa.array([mean]), event["metadata"])
            last = distance


if __name__ == "__main__":
    main()
