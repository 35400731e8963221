"""Services, actions and streams over plain messages (dora node-api, section 10): who waits for which reply.

Strategy: a pattern is a convention about metadata (`request_id`, `goal_id`, `goal_status`, `session_id`, ...), so the
data path knows nothing of it.  While somebody waits for a reply, a `Mailbox` stands in front of the receiver's `take`:
whoever takes an event, the main loop included, hands a reply to the one who waits for it, and a waiter keeps every
other event for the main loop, in order.  When nobody waits and nothing is kept, the mailbox is taken away, so a
node that uses no pattern pays nothing.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dora.errors import NodeError
from dora.ids import new_dataflow_id
from dora.node import events

if TYPE_CHECKING:
    from dora.node.node import Node

_LOOK_AGAIN_S: Final = 0.05  # another thread may have been woken in our place
_ENDINGS: Final = {
    "NODE_FAILED": "has failed",
    "NODE_RESTARTED": "was restarted",
    "INPUT_CLOSED": "has closed its output",
}


def send_request(node: Node, output_id: str, data: Any, metadata: dict[str, Any] | None) -> str:
    """Send a request with a fresh id, and return the id."""
    if metadata is not None and "request_id" in metadata:
        warnings.warn("send_service_request: the given request_id is replaced by a fresh one", stacklevel=3)
    request_id = new_dataflow_id()
    node.send_output(output_id, data, {**(metadata or {}), "request_id": request_id})
    return request_id


def send_response(node: Node, output_id: str, data: Any, metadata: dict[str, Any]) -> None:
    """Send a response with the metadata of its request."""
    if "request_id" not in metadata and "request_id" not in (metadata.get("parameters") or {}):
        warnings.warn("send_service_response: no request_id in the metadata: no client will know it", stacklevel=3)
    node.send_output(output_id, data, metadata)


class Expected:
    """A reply that somebody waits for.

    Attributes:
        server: the node that must send it, or None: not known.
        outcome: the reply, once it is there.
        failure: why it will not come, or "".
    """

    def __init__(self, what: str, server: str | None, matches: Callable[[dict[str, Any]], bool]) -> None:
        self.what: Final = what
        self.server: Final = server
        self._matches = matches
        self.outcome: events.Event | None = None
        self.failure = ""

    @property
    def is_decided(self) -> bool:
        """The wait is over."""
        return self.outcome is not None or bool(self.failure)

    def take(self, event: events.Event) -> bool:
        """Whether the event was this reply."""
        if self.outcome is not None or event.get("type") != "INPUT" or not self._matches(event["metadata"]):
            return False
        self.outcome = event
        return True

    def hear(self, event: events.Event, inputs: list[str]) -> None:
        """Note an event that says that the server can no longer reply; `inputs` are those that it feeds."""
        kind = event.get("type", "")
        told = self.server is not None and (
            event["id"] in inputs if kind == "INPUT_CLOSED" else event["id"] == self.server
        )
        if kind in _ENDINGS and told and not self.is_decided:
            self.failure = f"node `{self.server}` {_ENDINGS[kind]}"

    def result(self) -> events.Event:
        """The reply.

        Raises:
            NodeError: it will not come.
        """
        if self.outcome is None:
            raise NodeError(f"no reply to {self.what}: {self.failure}")
        return self.outcome


class Mailbox:
    """In front of a receiver while replies are waited for.  The receiver's lock guards it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._receiver = node._receiver
        self._take = self._receiver.take
        self._is_empty = self._receiver.is_empty
        self._kept: deque[events.Event] = deque()
        self._expected: list[Expected] = []
        self._inputs = _inputs_by_node(node.node_config())
        vars(self._receiver).update(take=self.take, is_empty=self.is_empty, mailbox=self)

    def add(self, expected: Expected) -> None:
        """Somebody waits from now on."""
        self._expected.append(expected)
        inputs = self._inputs.get(expected.server or "", [])
        if expected.server is not None and not inputs:
            expected.failure = f"no input of this node is fed by `{expected.server}`"

    def remove(self, expected: Expected) -> None:
        """He waits no longer."""
        self._expected.remove(expected)
        self._leave_if_idle()

    def take(self) -> Any:
        """The next event for the main loop."""
        if self._kept:
            event = self._kept.popleft()
            self._leave_if_idle()
            return event
        while isinstance(taken := self._take(), events.Event) and self._deliver(taken):
            continue
        return taken

    def is_empty(self) -> bool:
        """Whether `take` has nothing."""
        return not self._kept and self._is_empty()

    def look_for(self, expected: Expected) -> None:
        """Take what is there until the reply is, and keep the rest."""
        kept_before = len(self._kept)
        while not expected.is_decided and (taken := self._take()) is not None:
            if not isinstance(taken, events.Event):
                expected.failure = "the stream of events has ended"
            elif not self._deliver(taken):
                self._kept.append(taken)
        if len(self._kept) > kept_before or any(other.is_decided for other in self._expected if other is not expected):
            self._wake()

    def _deliver(self, event: events.Event) -> bool:
        if any(expected.take(event) for expected in self._expected):
            self._wake()
            return True
        for expected in self._expected:
            expected.hear(event, self._inputs.get(expected.server or "", []))
        return False

    def _wake(self) -> None:
        wake = getattr(self._node._link, "wake_receiver", None)
        if wake is not None and (len(self._expected) > 1 or self._kept):
            wake()

    def _leave_if_idle(self) -> None:
        if not self._kept and not self._expected:
            for name in ("take", "is_empty", "mailbox"):
                vars(self._receiver).pop(name, None)


def wait_for(node: Node, expected: Expected, timeout_s: float | None) -> events.Event:
    """Block until the reply is there.

    Raises:
        TimeoutError: it did not come in time.
        NodeError: it will not come.
    """
    receiver = node._receiver
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    box = _enter(node, expected)
    try:
        while not expected.is_decided:
            with receiver.lock:
                box.look_for(expected)
            if not expected.is_decided:
                _raise_if_late(expected, deadline_s, timeout_s)
                _wait(receiver, deadline_s)
        return expected.result()
    finally:
        with receiver.lock:
            box.remove(expected)


async def wait_for_async(node: Node, expected: Expected, timeout_s: float | None) -> events.Event:
    """`wait_for` on the running loop; other tasks go on, also such as wait for other replies."""
    import asyncio

    from dora.node import awaiting  # loads asyncio, as this function needs and the others do not

    receiver = node._receiver
    loop = asyncio.get_running_loop()
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    box = _enter(node, expected)
    try:
        while not expected.is_decided:
            with receiver.lock:
                box.look_for(expected)
            if not expected.is_decided:
                _raise_if_late(expected, deadline_s, timeout_s)
                await awaiting._readable(loop, node.fileno(), loop.time() + _slice_s(deadline_s))
        return expected.result()
    finally:
        with receiver.lock:
            box.remove(expected)


def response_to(request_id: str, server: str | None) -> Expected:
    """The response to a service request."""
    return Expected(f"request {request_id}", server, lambda metadata: metadata.get("request_id") == request_id)


def result_of(goal_id: str, server: str | None) -> Expected:
    """The result of an action: the message of that goal that has a `goal_status`."""
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


def _enter(node: Node, expected: Expected) -> Mailbox:
    receiver = node._receiver
    with receiver.lock:
        box: Mailbox = vars(receiver).get("mailbox") or Mailbox(node)
        box.add(expected)
    return box


def _raise_if_late(expected: Expected, deadline_s: float | None, timeout_s: float | None) -> None:
    if deadline_s is not None and time.monotonic() >= deadline_s:
        raise TimeoutError(f"no reply to {expected.what} within {timeout_s} s")


def _slice_s(deadline_s: float | None) -> float:
    return _LOOK_AGAIN_S if deadline_s is None else max(0.0, min(_LOOK_AGAIN_S, deadline_s - time.monotonic()))


def _wait(receiver: Any, deadline_s: float | None) -> None:
    with receiver.lock:
        receiver.begin_wait()
    try:
        ready = receiver.wait(_slice_s(deadline_s))
        with receiver.lock:
            receiver.note(ready)
    finally:
        with receiver.lock:
            receiver.count_receiving(-1)


def _inputs_by_node(config: dict[str, Any]) -> dict[str, list[str]]:
    """The inputs that each node feeds, from what `node_config` returns."""
    found: dict[str, list[str]] = {}
    for name, stated in (config.get("inputs") or {}).items():
        source = stated.get("source", "") if isinstance(stated, dict) else stated
        found.setdefault(str(source).partition("/")[0], []).append(name)
    return found
