from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        print(f"{event['value'][0].as_py():.1f} {event['metadata']['unit']} Fahrenheit")
