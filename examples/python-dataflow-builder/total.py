from collections import Counter

from dora import Node

node = Node()
received = Counter(event["id"] for event in node if event["type"] == "INPUT")
print(f"{received['tick']} ticks, {received['left'] + received['right']} squares")
