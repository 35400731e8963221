import pyarrow as pa
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        number = event["value"][0].as_py()
        node.send_service_response("response", pa.array([number**2]), event["metadata"])
