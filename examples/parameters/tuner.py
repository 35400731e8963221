"""Sets the parameter of another node, and stops the dataflow when it has seen the effect.

Inputs: height, int64[1].
"""

from dora import Node
from dora.control import connect

node = Node()
heights = (event["value"][0].as_py() for event in node if event["type"] == "INPUT")


def wait_for_step(step: int) -> None:
    """Read heights until they grow by that much."""
    before = next(heights)
    while (now := next(heights)) - before != step:
        before = now


with connect() as control:
    flow = node.dataflow_id()
    wait_for_step(1)
    control.set_param(flow, "ramp", "step", 5)
    wait_for_step(5)
    print("parameters of ramp:", control.params(flow, "ramp").params)
    control.delete_param(flow, "ramp", "step")
    wait_for_step(1)
    control.stop(flow, waits=False)
