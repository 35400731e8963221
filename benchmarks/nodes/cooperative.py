"""Works until it is told to stop, and then stops.

Ports:
    in tick  timer, 10 Hz
"""

from results import write_result

from dora import Node

is_ready = False
node = Node()
for event in node:
    if event["type"] == "INPUT" and not is_ready:
        is_ready = True
        write_result(is_ready=True)
    elif event["type"] == "STOP":
        break
