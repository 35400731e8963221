from dora import Node

node = Node()
results = [event["value"][0].as_py() for event in node if event["type"] == "INPUT"]
print(f"{len(results)} results, the last is {results[-1]}")
