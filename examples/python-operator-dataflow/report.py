"""Compares what was found with the truth that travels in the metadata.

Inputs: found and smoothed, float64[2] with metadata x and y.
"""

import math

from dora import Node

node = Node()
errors = {"found": [], "smoothed": []}
for event in node:
    if event["type"] == "INPUT":
        x, y = event["value"].to_pylist()
        truth = event["metadata"]
        errors[event["id"]].append(math.hypot(x - truth["x"], y - truth["y"]))
    elif event["type"] == "STOP":
        break

for name, distances in errors.items():
    if distances:
        print(f"{name}: {len(distances)} positions, {sum(distances) / len(distances):.2f} pixels off on average")
