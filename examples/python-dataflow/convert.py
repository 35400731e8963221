import pyarrow as pa
from dora import Node

node = Node()
for event in node:
    match event["type"]:
        case "INPUT":
            celsius = event["value"].to_numpy()
            node.send_output("fahrenheit", pa.array(celsius * 1.8 + 32), event["metadata"])
        case "INPUT_CLOSED":
            print(f"Input {event['id']} closed")
        case "STOP":
            break
