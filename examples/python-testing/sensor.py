import pyarrow as pa
from dora import Node

node = Node()
for distance in range(10):
    node.send_output("distance", pa.array([float(distance)]))
