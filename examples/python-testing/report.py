from dora import Node

node = Node()
values = [event["value"][0].as_py() for event in node if event["type"] == "INPUT"]
print(f"at most {max(values)}, the last is {values[-1]}")
