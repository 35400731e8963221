from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("echo", event["value"], event["metadata"])
