"""Makes the dataflow of this folder, writes it to dataflow.yml, and runs it: `python dataflow.py`."""

import os
from pathlib import Path

from dora.builder import DataflowBuilder

os.chdir(Path(__file__).parent)  # paths in a dataflow start at the folder where it runs

builder = DataflowBuilder("squares")

source = builder.add_node("source", path="source.py", env={"COUNT": 5})
source.add_input("tick", "dora/timer/millis/20")
number = source.add_output("number")

squares = []
for name in ("left", "right"):
    worker = builder.add_node(name, path="square.py").add_input("number", number)
    squares.append(worker.add_output("square"))

total = builder.add_node("total", path="total.py").add_input("tick", number)
for output in squares:
    total.add_input(output.node.id, output, queue_policy="backpressure")

for warning in builder.check():
    print(warning)
builder.to_yaml("dataflow.yml")
builder.run()
