import time

from dora import Node

node = Node()
time.sleep(1)  # meanwhile everything arrives
numbers = [event["value"][0].as_py() for event in node.drain() if event["type"] == "INPUT"]
print(f"drained {len(numbers)} messages at once, {numbers[0]} to {numbers[-1]}")
for _ in range(100):
    event = node.try_recv()  # None when nothing is there
    assert event is None or event["type"] != "INPUT"
