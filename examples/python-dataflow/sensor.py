import pyarrow as pa
from dora import Node

node = Node()
for event in node:
    if event["type"] == "STOP":
        break
    tick = event["value"][0].as_py()
    node.send_output("celsius", pa.array([20.0 + tick]), {"unit": "degree"})
    if tick >= 4:
        break
