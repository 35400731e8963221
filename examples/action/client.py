import uuid

import pyarrow as pa
from dora import Node

node = Node()


def reach(position: int, cancel_at: int | None = None) -> str:
    """Ask the arm to move there; returns how that ended."""
    goal_id = str(uuid.uuid4())
    node.send_output("goal", pa.array([position]), {"goal_id": goal_id})
    if cancel_at is None:
        result = node.recv_action_result(goal_id, server="arm", timeout=10)
        return result["metadata"]["goal_status"]
    for event in node:
        metadata = event["metadata"] or {}
        if metadata.get("goal_id") != goal_id:
            continue
        if "goal_status" in metadata:
            return metadata["goal_status"]
        if event["value"][0].as_py() == cancel_at:
            node.send_output("cancel", pa.array([True]), {"goal_id": goal_id})
    return "the arm is gone"


print("to 3:", reach(3))
print("to 1000, canceled on the way:", reach(1000, cancel_at=2))
