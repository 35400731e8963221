"""Services, actions and streams over plain messages (dora node-api, section 10): requests, waits, segments.

Strategy: a pattern is a convention about metadata (`request_id`, `goal_id`, `goal_status`, `session_id`, ...), so the
data path knows nothing of it.  Who waits for which reply, and what happens to all else meanwhile: `mailbox.py`.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from dora.errors import NodeError
from dora.ids import new_dataflow_id
from dora.node import events
from dora.node.mailbox import Expected, mailbox_of

if TYPE_CHECKING:
    from dora.node.node import Node

_LOOK_AGAIN_S: Final = 0.05  # another thread may have been woken in our place


def send_request(node: Node, output_id: str, data: Any, metadata: dict[str, Any] | None) -> str:
    """Send a request with a fresh id, and return the id."""
    _check_dict(metadata or {})
    if metadata is not None and "request_id" in metadata:
        warnings.warn("send_service_request: the given request_id is replaced by a fresh one", stacklevel=3)
    request_id = new_dataflow_id()
    with node._receiver.lock:
        mailbox_of(node).note_request(request_id)
    node.send_output(output_id, data, {**(metadata or {}), "request_id": request_id})
    return request_id


def send_response(node: Node, output_id: str, data: Any, metadata: dict[str, Any]) -> None:
    """Send a response with the metadata of its request."""
    _check_dict(metadata)
    if "request_id" not in metadata and "request_id" not in _nested(metadata):
        warnings.warn("send_service_response: no request_id in the metadata: no client will know it", stacklevel=3)
    node.send_output(output_id, data, metadata)


def wait_for(node: Node, expected: Expected, timeout_s: float | None) -> events.Event:
    """Block until the reply is there.

    Raises:
        TimeoutError: it did not come in time.
        NodeError: it will not come.
    """
    with closing(_pauses(node, expected, timeout_s)) as pauses:
        for pause_s in pauses:
            _wait(node._receiver, pause_s)
    return expected.result()


async def wait_for_async(node: Node, expected: Expected, timeout_s: float | None) -> events.Event:
    """`wait_for` on the running loop; other tasks go on, also such as wait for other replies."""
    import asyncio

    from dora.node import awaiting  # loads asyncio, as this function needs and the others do not

    loop = asyncio.get_running_loop()
    with closing(_pauses(node, expected, timeout_s)) as pauses:
        for pause_s in pauses:
            await awaiting._readable(loop, node.fileno(), loop.time() + pause_s)
    return expected.result()


def _pauses(node: Node, expected: Expected, timeout_s: float | None) -> Generator[float, None, None]:
    """Look for the reply until the wait is over; between the looks, how long to wait at most, in seconds."""
    if node._link.is_forked:
        node._raise_forked()
    receiver = node._receiver
    deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    with receiver.lock:
        box = mailbox_of(node)
        box.add(expected)
    try:
        while not expected.is_decided:
            with receiver.lock:
                box.look_for(expected)
            if not expected.is_decided:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError(f"no reply to {expected.what} within {timeout_s:g} s")
                yield min(left_s, _LOOK_AGAIN_S)
    finally:
        with receiver.lock:
            box.remove(expected)


def response_to(request_id: str, server: str | None) -> Expected:
    """The response to a service request."""
    _check_id("request_id", request_id)
    return Expected(
        f"request {request_id}",
        server,
        lambda metadata: metadata.get("request_id") == request_id,
        request_id=request_id,
    )


def result_of(goal_id: str, server: str | None) -> Expected:
    """The result of an action: the message of that goal that has a `goal_status`."""
    _check_id("goal_id", goal_id)
    return Expected(
        f"goal {goal_id}",
        server,
        lambda metadata: metadata.get("goal_id") == goal_id and metadata.get("goal_status") is not None,
    )


class StreamSegment:
    """One segment of a stream: chunks that are numbered from 0.

    Made by `Node.stream_segment`.
    """

    def __init__(self, node: Node, output_id: str, session_id: str, segment_id: int, *, flush: bool) -> None:
        self._node = node
        self._output_id = output_id
        self._keys = {"session_id": session_id, "segment_id": segment_id}
        self._flushes = flush
        self._seq = 0
        self._is_finished = False

    def send(self, data: Any, metadata: dict[str, Any] | None = None, *, fin: bool = False) -> None:
        """Send the next chunk; otherwise as `Node.send_output`.

        Args:
            fin: this is the last one.

        Raises:
            RuntimeError: the last chunk was sent.
        """
        if self._is_finished:
            raise NodeError("this segment is finished: a chunk was sent with fin=True; begin another segment")
        keys = {**(metadata or {}), **self._keys, "seq": self._seq, "fin": fin}
        if self._flushes and self._seq == 0:
            keys["flush"] = True
        self._node.send_output(self._output_id, data, keys)
        self._seq += 1
        self._is_finished = fin


def _nested(metadata: dict[str, Any]) -> dict[str, Any]:
    found = metadata.get("parameters")
    return found if isinstance(found, dict) else {}


def _check_dict(metadata: Any) -> None:
    if not isinstance(metadata, dict):
        raise TypeError(f"{type(metadata).__name__!r} object is not an instance of 'dict'")


def _check_id(name: str, given: Any) -> None:
    if not isinstance(given, str):  # None would be taken for the reply that has none
        raise TypeError(f"{name} must be a str, not {type(given).__name__}")


def _wait(receiver: Any, timeout_s: float) -> None:
    with receiver.lock:
        receiver.begin_wait()
    try:
        ready = receiver.wait(timeout_s)
        with receiver.lock:
            receiver.note(ready)
    finally:
        with receiver.lock:
            receiver.count_receiving(-1)
