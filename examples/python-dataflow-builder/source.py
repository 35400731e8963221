import os

import pyarrow as pa
from dora import Node

node = Node()
for number in range(int(os.environ["COUNT"])):
    node.next()
    node.send_output("number", pa.array([number]))
