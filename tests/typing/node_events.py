"""What type checkers say of a node: events, values, sending.  Checked by `test_typing.py`, never run."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pyarrow as pa
from typing_extensions import assert_type

from dora import DoraStatus, Node, __version__

assert_type(__version__, str)

node = Node()
Node("probe")
Node(node_id="probe", daemon_port=1)

# receiving
assert_type(node.next(), dict[str, Any] | None)
node.next(0.5)
node.next(timeout=None)
assert_type(node.try_recv(), dict[str, Any] | None)
assert_type(node.drain(), list[dict[str, Any]])
assert_type(node.is_empty(), bool)
assert_type(node.recv_async(timeout=1), Awaitable[dict[str, Any] | None])
assert_type(node.fileno(), int)
for event in node:
    assert_type(event, dict[str, Any])
    if event["type"] == "INPUT":
        values = event["value"].to_pylist()
        node.send_output("out", event["value"], event["metadata"])


async def listen() -> None:
    async for event in node:
        assert_type(event, dict[str, Any])
    assert_type(await node.recv_async(), dict[str, Any] | None)


# sending
node.send_output("out", pa.array([1]))
node.send_output("out", b"bytes", {"width": 3})
node.send_output(output_id="out", data=np.zeros(3), metadata=None)

# what the node is
assert_type(node.dataflow_id(), str)
assert_type(node.node_config(), dict[str, Any])
assert_type(node.dataflow_descriptor(), dict[str, Any])
assert_type(node.is_restart(), bool)
assert_type(node.restart_count(), int)
assert_type(node.timestamp(), datetime.datetime)

# logging
node.log("info", "text")
node.log("info", "text", {"count": "1"})
node.log("info", "text", "target", {"count": "1"})
node.log("info", message="text", target=None, fields={"count": 1})
node.log_error("text")

with Node() as closing:
    closing.close()

status: DoraStatus = DoraStatus.STOP_ALL
