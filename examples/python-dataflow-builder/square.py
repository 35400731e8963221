from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        number = event["value"].to_numpy()
        node.send_output("square", number * number)
