"""What type checkers say of `dora.testing` and `dora.cuda`.  Never run."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from typing_extensions import assert_type

from dora import Node
from dora.cuda import IpcHandle, ipc_buffer_to_ipc_handle, open_ipc_handle, torch_to_ipc_buffer
from dora.testing import LogLine, MockNode, NodeHarness, NodeSettings, Result, Sent, at


def double(node: Node) -> None:
    for event in node:
        if event["type"] == "INPUT":
            node.send_output("doubled", event["value"])


def answer(message: Sent) -> list[tuple[str, Any]]:
    return [("reply", message.value)]


harness = NodeHarness(double, NodeSettings(args=("--fast",), outputs=["doubled"]))
result = harness.run([("in", [1]), at(0.5, "in", pa.array([2])), {"type": "STOP", "id": "MANUAL"}], respond=answer)
assert_type(result, Result)
assert_type(result.sent, list[Sent])
assert_type(result.logs, list[LogLine])
assert_type(result.exit_code, int)
assert_type(result.outputs["doubled"], list[Any])
NodeHarness("node.py").run(timers={"tick": 0.1}, stop_at_s=5)

mock = MockNode([("image", pa.array([1])), ("image", b"")], {"width": 1}, restart_count=2)
assert_type(mock.next(), dict[str, Any] | None)
assert_type(mock.outputs, dict[str, list[Any]])

buffer, metadata = torch_to_ipc_buffer(object())
handle = ipc_buffer_to_ipc_handle(buffer, metadata)
assert_type(handle, IpcHandle)
with open_ipc_handle(handle, metadata) as tensor:
    tensor.clone()
