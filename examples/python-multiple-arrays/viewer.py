from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        shape = event["metadata"]["height"], event["metadata"]["width"], 3
        for name in ("left", "right"):
            image = event["value"].field(name)[0].values.to_numpy(zero_copy_only=True).reshape(shape)
            print(f"{name}: {image.shape}, mean {image.mean():.0f}")
