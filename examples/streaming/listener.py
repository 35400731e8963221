from dora import Node

node = Node()
heard: list[str] = []
for event in node:
    if event["type"] != "INPUT":
        continue
    if event["metadata"]["seq"] == 0:
        heard = []
    heard += event["value"].to_pylist()
    if event["metadata"]["fin"]:
        print(f"segment {event['metadata']['segment_id']}: {' '.join(heard)}")
