import time

import pyarrow as pa
from dora import Node

node = Node()


def is_canceled(goal_id: str) -> bool:
    """Whether the client has canceled that goal, without waiting."""
    event = node.try_recv()
    return event is not None and event["id"] == "cancel" and event["metadata"]["goal_id"] == goal_id


for event in node:
    if event["type"] != "INPUT" or event["id"] != "goal":
        continue
    goal_id = event["metadata"]["goal_id"]
    position, status = 0, "succeeded"
    for position in range(1, event["value"][0].as_py() + 1):
        if is_canceled(goal_id):
            status = "canceled"
            break
        node.send_output("feedback", pa.array([position]), {"goal_id": goal_id})
        time.sleep(0.01)
    node.send_output("result", pa.array([position]), {"goal_id": goal_id, "goal_status": status})
