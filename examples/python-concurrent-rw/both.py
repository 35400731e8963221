import threading

import pyarrow as pa
from dora import Node

COUNT = 100
node = Node()


def write() -> None:
    for number in range(COUNT):
        node.send_output("number", pa.array([number]))


threading.Thread(target=write, daemon=True).start()
received = 0
while (event := node.next()) is not None:
    received += event["type"] == "INPUT"
    if received == COUNT:
        break
print(f"sent and received {received} messages in two threads")
