"""What type checkers say of services, actions, streams and the extension table.  Never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from dora import Node

node = Node()

request_id = node.send_service_request("request", b"4")
assert_type(request_id, str)
reply = node.recv_service_response(request_id, server="server", timeout=1.0)
assert_type(reply, dict[str, Any])
node.send_service_response("response", b"16", reply["metadata"])
assert_type(node.recv_action_result("goal"), dict[str, Any])


async def ask() -> None:
    assert_type(await node.recv_service_response_async(request_id), dict[str, Any])
    assert_type(await node.recv_action_result_async("goal", timeout=1), dict[str, Any])


segment = node.stream_segment("audio", "session", 1, flush=True)
segment.send(b"chunk", fin=True)

node.extension_store("maps", "floor", b"bytes")
assert_type(node.extension_load("maps", "floor", remove=True), bytes | None)
node.extension_drop("maps", "floor")
assert_type(node.drain_dropped_extension_keys("maps"), list[str])
node.merge_external_events(iter([1, 2]))
