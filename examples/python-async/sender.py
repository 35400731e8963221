import pyarrow as pa
from dora import Node

node = Node()
for number in range(50):
    node.send_output("number", pa.array([number]))
