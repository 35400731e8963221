"""`Node`: what a user's script holds.

Strategy: a `Node` is a thin handle on the process's one link.  A second `Node()` is a second handle on the
same link; when the last one is gone the outputs close, while the process may live on.
"""

from __future__ import annotations

import copy
import datetime
import importlib
import math
import operator
import os
import sys
import time
from collections.abc import Awaitable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dora import env
from dora.errors import NodeError
from dora.hints import outputs_hint
from dora.ids import data_id_fault
from dora.node import events
from dora.node.absences import remember_absence
from dora.node.collector import leave_alone_what_is_imported, paused
from dora.node.link import forked_error
from dora.node.logs import NodeLog, bridge_logging
from dora.node.session import open_session

if TYPE_CHECKING:
    from dora.node.patterns import StreamSegment
    from dora.node.receiver import Taken
    from dora.node.samples import SampleHandler


if env.NODE_CONFIG in os.environ:
    remember_absence("dateutil")  # that pyarrow looks for in every `pa.array([...])`
    with paused():
        importlib.import_module("dora.node.outputs")  # a node that dora started needs pyarrow anyway
        importlib.import_module("dora.node.receiver")
    leave_alone_what_is_imported()

_LONGEST_WAIT_S = 86_400.0  # epoll takes no more than 24 days at once


class Node:
    """A node of a dataflow: receives events, sends outputs.

    Blocks until every node of the dataflow has connected, so nothing that is sent afterwards is missed.  Iteration,
    also with `async for`, gives its events; `with` closes it.  Any thread may use it, a forked child may not.

    Args:
        node_id: for a dynamic node, its id in the dataflow; in a process that dora started it is ignored.
        daemon_port: accepted and ignored.

    Raises:
        RuntimeError: this process does not belong to a running dataflow, or the dataflow cannot start.
        TypeError: the id is not a str.
    """

    def __new__(cls, *_: object, **__: object) -> Node:
        """A `Node`, or what takes its place where `env` asks for an older API, or OpenTelemetry is in use."""
        if cls is Node and env.API in os.environ:
            from dora.node import legacy  # for nodes of dora 0.1 only

            cls = legacy.node_class()
        elif cls is Node and "opentelemetry.trace" in sys.modules:
            from dora.node.traced import TracedNode  # needs OpenTelemetry

            cls = TracedNode
        return object.__new__(cls)

    def __init__(self, node_id: str | None = None, daemon_port: int | None = None) -> None:
        if node_id is not None and not isinstance(node_id, str):
            raise TypeError(f"{type(node_id).__name__!r} object is not an instance of 'str'")
        self._session = open_session(node_id)
        self._outputs = self._session.outputs
        self._link = self._session.link
        self._receiver = self._session.receiver
        self._log = NodeLog.of(self._link)
        bridge_logging(self._log)

    # -- receiving -------------------------------------------------------------------------------------------

    def next(self, timeout: float | None = None) -> dict[str, Any] | None:
        """Wait for the next event.

        Args:
            timeout: seconds; when nothing came by then an ERROR event whose `error` starts with
                "Timeout event stream error" is returned.  None waits for ever, 0 polls.

        Returns:
            The event, or None at the end of the stream.  `event["value"]` is a read-only pyarrow.Array that stays
            valid as long as it is held; its memory cannot be used again by the sender until then.

        Raises:
            ValueError: the time-out is negative, infinite or not a number.
            TypeError: it is not a real number.
        """
        receiver = self._receiver
        timeout_s = _seconds(timeout)
        if self._link.is_forked:
            self._raise_forked()
        with receiver.lock:
            taken = receiver.take_before_wait()
        if taken is None:
            taken = self._wait(timeout_s)
            if taken is None:
                return events.timed_out(timeout_s)
        return taken if isinstance(taken, dict) else None

    def _wait(self, timeout_s: float | None) -> Taken:
        receiver = self._receiver
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with receiver.lock:
            receiver.begin_wait()
        try:
            while True:
                left_s = None if deadline is None else min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT_S)
                ready = receiver.wait(left_s)
                with receiver.lock:
                    taken = receiver.take_after_wait(ready)
                if taken is not None or not (ready or left_s is None or left_s == _LONGEST_WAIT_S):
                    return taken
        finally:
            with receiver.lock:
                receiver.count_receiving(-1)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def try_recv(self) -> dict[str, Any] | None:
        """The next event if one is there, else None; never waits."""
        if self._link.is_forked:
            self._raise_forked()
        with self._receiver.lock:
            taken = self._receiver.take()
        return taken if isinstance(taken, dict) else None

    def drain(self) -> list[dict[str, Any]]:
        """All events that are there, oldest first; never waits.

        Raises:
            RuntimeError: the stream has ended.
        """
        if self._link.is_forked:
            self._raise_forked()
        found: list[dict[str, Any]] = []
        receiver = self._receiver
        with receiver.lock:
            left = receiver.queued_by_input()
            while isinstance(taken := receiver.take(), dict):
                found.append(taken)
                name = taken["id"] if taken.get("type") == "INPUT" else None
                if name in left:
                    left[name] -= 1
                    if not left[name]:
                        del left[name]
                if not left and receiver.queued_by_input():
                    break  # that came meanwhile: a sender that is faster than we would keep us here for ever
        if taken is not None and not found:
            raise NodeError("Could not drain events. Channel is closed")
        return found

    def is_empty(self) -> bool:
        """Whether no event is there at present."""
        if self._link.is_forked:
            self._raise_forked()
        with self._receiver.lock:
            return self._receiver.is_empty()

    def recv_async(self, timeout: float | None = None) -> Awaitable[dict[str, Any] | None]:
        """`next` for asyncio, with the same results; waits on the loop itself, without a thread.

        Cancelling it, as `asyncio.wait_for` does, loses no event.
        """
        timeout_s = _seconds(timeout)
        from dora.node.awaiting import receive  # loads asyncio, which most nodes do without

        return receive(self, timeout_s)

    def __aiter__(self) -> Node:
        return self

    async def __anext__(self) -> dict[str, Any]:
        event = await self.recv_async()
        if event is None:
            raise StopAsyncIteration
        return event

    def fileno(self) -> int:
        """A descriptor that is readable when an event may be there: for select, poll, asyncio, Qt; do not read it."""
        if self._link.is_forked:
            self._raise_forked()
        return self._receiver.fileno()

    def merge_external_events(self, subscription: Any) -> None:
        """Let the items of a subscription arrive among the events, as `{"kind": "external", "value": item}`.

        Args:
            subscription: an object with `next()` (None at its end), an iterator or an async iterator.  It is asked
                in a thread of its own, one item at a time.
        """
        if self._link.is_forked:
            self._raise_forked()
        from dora.node.external import merge  # few nodes need it

        merge(self._receiver, subscription)

    # -- extension table -------------------------------------------------------------------------------------

    def extension_store(self, namespace: str, key: str, value: bytes) -> None:
        """Keep a copy of bytes for all nodes of the dataflow, until this node ends or drops them.

        Raises:
            TypeError: the value is not bytes.
            RuntimeError: another node stored that key, or the table is full (8192 entries).
        """
        self._extensions().store(self._link, namespace, key, value)

    def extension_load(self, namespace: str, key: str, remove: bool = False) -> bytes | None:
        """The bytes of that key, or None; `remove` drops them in the same step."""
        found: bytes | None = self._extensions().load(self._link, namespace, key, removes=remove)
        return found

    def extension_drop(self, namespace: str, key: str) -> None:
        """Forget that key; harmless when it is not there."""
        self._extensions().drop(self._link, namespace, key)

    def drain_dropped_extension_keys(self, namespace: str) -> list[str]:
        """Keys that this node stored or loaded and that were dropped since the last call, oldest first."""
        keys: list[str] = self._extensions().take_dropped(self._link, namespace)
        return keys

    def _extensions(self) -> Any:
        if self._link.is_forked:
            self._raise_forked()
        from dora.node import extensions  # few nodes use the table

        return extensions

    # -- sending ---------------------------------------------------------------------------------------------

    def send_output(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> None:
        """Send an array on an output; it is copied once, before this returns.

        Waits only when a lossless input (`queue_policy: backpressure`) is full, or, in a burst, when an input that
        states no queue rule is full (in all at most 500 ms plus 5 % of the time).

        Args:
            output_id: one of the node's outputs; an undeclared one is ignored with a warning.
            data: pyarrow.Array, RecordBatch (arrives as struct), bytes, bytearray, memoryview (arrive as uint8),
                numpy array (arrives flat, with its dtype).
            metadata: str keys; None, bool, int (64 bit), float, str, bytes, datetime, lists and dicts of those, nested
                at most 128 levels deep.

        Raises:
            TypeError: `data` is of another kind (also a RuntimeError).
            ValueError: the metadata are nested deeper, or hold themselves.
            RuntimeError: the node is closed, or full lossless queues form a cycle, which is named.
            MemoryError: readers keep so many arrays of this output that its memory is used up.
        """
        output = self._outputs.get(output_id)
        if output is None or self._link.is_forked:
            self._unknown_output(output_id)
            return
        output.send(data, metadata)

    def send_output_raw(
        self,
        output_id: str,
        data_length: int | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        length: int | None = None,
    ) -> SampleHandler:
        """Take shared memory to write a message in place; nothing is copied.

        Args:
            data_length: bytes, also by the name `length`.
            metadata: as for `send_output`, taken as it is now.

        Returns:
            A handler: `with` yields the buffer and sends at the end of the block.  Arrives as uint8 array of that
            length.  What is not written is undefined.

        Raises:
            RuntimeError: the output is not declared.
            OverflowError: the length is negative.
            TypeError: it is not an int.
            MemoryError: readers keep so many arrays of this output that its memory is used up.
        """
        given: Any = length if data_length is None else data_length
        if isinstance(given, bool) or not hasattr(given, "__index__"):
            raise TypeError(f"data_length must be an int (bytes), not {type(given).__name__}")
        size = operator.index(given)
        if size < 0:
            raise OverflowError(f"data_length must not be negative: {size}")
        output = self._outputs.get(output_id)
        if output is None or self._link.is_forked:
            self._check_output_id(output_id)
            raise NodeError(f"Output `{output_id}` not in node's output list.{self._suggestion(output_id)}")
        from dora.node.samples import SampleHandler  # few nodes fill messages in place

        return SampleHandler(output, size, metadata)

    def _check_output_id(self, output_id: str) -> None:
        if self._link.is_forked:
            self._raise_forked()
        if "_session" not in self.__dict__:
            raise NodeError("this Node is closed: nothing can be sent with it any more")
        if not isinstance(output_id, str):
            raise TypeError(f"{type(output_id).__name__!r} object is not an instance of 'str'")
        fault = data_id_fault(output_id)
        if fault is not None:
            raise NodeError(f"invalid output_id: {fault}")

    def _unknown_output(self, output_id: str) -> None:
        self._check_output_id(output_id)
        warned = self._session.warned
        if output_id not in warned:
            warned.add(output_id)
            self.log("warn", f"Ignoring output `{output_id}` not in node's output list.{self._suggestion(output_id)}")

    def _suggestion(self, output_id: str) -> str:
        return f" {outputs_hint(output_id, self._outputs)}"

    # -- services, actions, streams --------------------------------------------------------------------------

    def send_service_request(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> str:
        """Send a request under a fresh `request_id` (a UUID), and return that id; otherwise as `send_output`."""
        from dora.node import patterns  # few nodes use them

        return patterns.send_request(self, output_id, data, metadata)

    def send_service_response(self, output_id: str, data: Any, metadata: dict[str, Any]) -> None:
        """Send a response; `metadata` is that of the request."""
        from dora.node import patterns  # few nodes use them

        patterns.send_response(self, output_id, data, metadata)

    def recv_service_response(
        self, request_id: str, server: str | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait for the response to a request; all other events stay for the main loop, in order.

        Args:
            request_id: what `send_service_request` returned.
            server: the node that replies; when it ends or restarts, this raises at once.
            timeout: seconds; None waits for ever.

        Returns:
            The INPUT event with the response.

        Raises:
            TimeoutError: no response came in time.
            RuntimeError: it will not come: the server or the stream of events has ended.
        """
        from dora.node import patterns  # few nodes use them

        return patterns.wait_for(self, patterns.response_to(request_id, server), _seconds(timeout))

    async def recv_service_response_async(
        self, request_id: str, server: str | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """`recv_service_response` for asyncio; any number of tasks may wait."""
        from dora.node import patterns  # few nodes use them

        return await patterns.wait_for_async(self, patterns.response_to(request_id, server), _seconds(timeout))

    def recv_action_result(
        self, goal_id: str, server: str | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait for the message of that goal with a `goal_status`; otherwise like `recv_service_response`."""
        from dora.node import patterns  # few nodes use them

        return patterns.wait_for(self, patterns.result_of(goal_id, server), _seconds(timeout))

    async def recv_action_result_async(
        self, goal_id: str, server: str | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """`recv_action_result` for asyncio."""
        from dora.node import patterns  # few nodes use them

        return await patterns.wait_for_async(self, patterns.result_of(goal_id, server), _seconds(timeout))

    def stream_segment(
        self, output_id: str, session_id: str, segment_id: int = 0, *, flush: bool = False
    ) -> StreamSegment:
        """A segment of a stream, whose `send` numbers the chunks.

        Args:
            session_id, segment_id: stand in the metadata of every chunk.
            flush: the first chunk discards what readers have not read yet.
        """
        from dora.node import patterns  # few nodes use them

        return patterns.StreamSegment(self, output_id, session_id, segment_id, flush=flush)

    # -- logging ---------------------------------------------------------------------------------------------

    def log(self, level: str, message: str, target: Any = None, fields: dict[str, Any] | None = None) -> None:
        """Write one structured log entry.

        Args:
            level: error, warn, info, debug or trace, in any case; anything else is info.
            message: the text, also of several lines.
            target: where it comes from; a dict here is taken as `fields`.
            fields: further values by name; they are logged as text, left out when longer than 60 kB.

        Raises:
            TypeError: an argument is of another kind.
        """
        self._log.log(level, message, target, fields)

    def log_error(self, message: str) -> None:
        """`log("error", message)`."""
        self.log("error", message)

    def log_warn(self, message: str) -> None:
        """`log("warn", message)`."""
        self.log("warn", message)

    def log_info(self, message: str) -> None:
        """`log("info", message)`."""
        self.log("info", message)

    def log_debug(self, message: str) -> None:
        """`log("debug", message)`."""
        self.log("debug", message)

    def log_trace(self, message: str) -> None:
        """`log("trace", message)`."""
        self.log("trace", message)

    # -- what the node is ------------------------------------------------------------------------------------

    def dataflow_id(self) -> str:
        """The running dataflow's id, a UUID."""
        return self._link.config.dataflow_id

    def node_config(self) -> dict[str, Any]:
        """The node's inputs and outputs as in the file: `{"inputs": {id: source}, "outputs": [id]}`; a fresh dict."""
        return copy.deepcopy(self._link.config.io)

    def dataflow_descriptor(self) -> dict[str, Any]:
        """The whole dataflow file with its defaults filled in; a fresh dict."""
        return copy.deepcopy(self._link.config.descriptor)

    def is_restart(self) -> bool:
        """Whether this process is a restart of a node that ended."""
        return self._link.config.restart_count > 0

    def restart_count(self) -> int:
        """0 in the first run."""
        return self._link.config.restart_count

    def timestamp(self) -> datetime.datetime:
        """Now, on the clock of message timestamps (aware, UTC)."""
        return events.instant_of(self._link.clock.now_ns())

    if not TYPE_CHECKING:  # a type checker would take it as leave for any name

        def __getattr__(self, name: str) -> Any:
            if name.endswith("_tensor_pool"):
                raise AttributeError(
                    f"Node has no {name}: this dora has no tensor pool. Large arrays travel in shared memory with "
                    "send_output_raw, GPU tensors with dora.cuda"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _raise_forked(self) -> None:
        raise forked_error(self._link.pid)

    # -- end -------------------------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("a Node cannot be copied or pickled: its link belongs to this process; call Node() there")

    def close(self) -> None:
        """Close this handle; with the last one of the process the outputs close, and readers get INPUT_CLOSED.

        What was sent is still delivered, and received arrays stay valid.  The end of the process does the same.
        """
        session = self.__dict__.pop("_session", None)
        if session is None or sys.is_finalizing():
            return
        self._outputs = {}
        session.handles -= 1
        if not session.handles:
            session.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:  # a failing node must not look like one that closed its outputs: its exit code tells
            self.close()

    def __del__(self) -> None:
        self.close()


def _seconds(timeout: Any) -> float | None:
    """A time-out in seconds: any real number that is finite and not negative; or None."""
    if timeout is None:
        return None
    try:
        seconds = float("text" if isinstance(timeout, (str, bytes, bytearray)) else timeout)
    except OverflowError:
        seconds = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"must be real number, not {type(timeout).__name__}") from None
    if not 0 <= seconds < math.inf:
        raise ValueError(f"invalid timeout of {timeout} seconds: expected a finite number of seconds, 0 or more")
    return seconds
