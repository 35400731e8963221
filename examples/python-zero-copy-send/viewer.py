from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        shape = event["metadata"]["height"], event["metadata"]["width"], 3
        image = event["value"].to_numpy().reshape(shape)
        print(f"frame of {image.shape}, all {image[0, 0, 0]}")
