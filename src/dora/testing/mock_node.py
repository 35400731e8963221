"""A stand-in for `Node` that gives out a list of events and keeps what is sent (dora node-api, section 21).

It is for code that is handed its node: `main(MockNode([("image", array)]))`.  Nothing is checked or converted; what
the test puts in comes out.  For a script that makes its own `Node` there is `NodeHarness`.
"""

from __future__ import annotations

import datetime
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any

from dora.node.events import Event


class MockNode:
    """Gives out events, keeps outputs.

    Args:
        inputs: `(input_id, data)` for an INPUT event, or whole event dicts, which are given out as they are.  A STOP
            (ALL_INPUTS_CLOSED) is put at the end unless there is a STOP.
        metadata: of every `(input_id, data)`, copied for each.
        dataflow_descriptor, dataflow_id, node_config, is_restart, restart_count: what the methods return.
        service_responses: by output, what comes back for each `send_service_request` on it, as INPUT of that id.

    Attributes:
        outputs: what was sent, by output.
        logs: what was logged: `level`, `message`, `target`, `fields`.
        service_requests: what was requested: `output_id`, `data`, `metadata`, `request_id`.
        service_responses_sent: the same for responses.
    """

    def __init__(  # noqa: PLR0913  # the signature of dora-rs
        self,
        inputs: Sequence[tuple[str, Any]] | Sequence[dict[str, Any]] | Sequence[tuple[str, Any] | dict[str, Any]],
        metadata: dict[str, Any] | None = None,
        *,
        dataflow_descriptor: dict[str, Any] | None = None,
        dataflow_id: str | None = None,
        node_config: dict[str, Any] | None = None,
        is_restart: bool = False,
        restart_count: int = 0,
        service_responses: dict[str, list[Any]] | None = None,
    ) -> None:
        self._events = deque(_event(entry, metadata or {}) for entry in inputs)
        if not any(event.get("type") == "STOP" for event in self._events):
            self._events.append(Event(type="STOP", id="ALL_INPUTS_CLOSED"))
        self._dataflow_descriptor = dataflow_descriptor or {}
        self._dataflow_id = dataflow_id or ""
        self._node_config = node_config or {}
        self._is_restart = is_restart
        self._restart_count = restart_count
        self._service_responses = {output: list(data) for output, data in (service_responses or {}).items()}
        self.outputs: dict[str, list[Any]] = {}
        self.logs: list[dict[str, Any]] = []
        self.service_requests: list[dict[str, Any]] = []
        self.service_responses_sent: list[dict[str, Any]] = []

    # -- receiving -------------------------------------------------------------------------------------------

    def next(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next event, None after the last; never waits."""
        return self._events.popleft() if self._events else None

    def try_recv(self) -> dict[str, Any] | None:
        """The next event, None after the last."""
        return self.next()

    async def recv_async(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next event, None after the last; never waits."""
        return self.next()

    def drain(self) -> list[dict[str, Any]]:
        """All events that are left."""
        found: list[dict[str, Any]] = list(self._events)
        self._events.clear()
        return found

    def is_empty(self) -> bool:
        """Whether no event is left."""
        return not self._events

    def __iter__(self) -> MockNode:
        return self

    def __next__(self) -> dict[str, Any]:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> MockNode:
        return self

    async def __anext__(self) -> dict[str, Any]:
        event = self.next()
        if event is None:
            raise StopAsyncIteration
        return event

    # -- sending ---------------------------------------------------------------------------------------------

    def send_output(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> None:
        """Keep `data` in `outputs`."""
        self.outputs.setdefault(output_id, []).append(data)

    def send_output_raw(self, output_id: str, data_length: int, metadata: dict[str, Any] | None = None) -> None:
        """There is no shared memory to write to.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "MockNode has no shared memory for send_output_raw(); use send_output(), or test the script with "
            "dora.testing.NodeHarness, which can"
        )

    def send_service_request(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> str:
        """Keep the request; the next of `service_responses` for that output comes as an INPUT before STOP."""
        request_id = str(uuid.uuid4())
        request = {"output_id": output_id, "data": data, "metadata": metadata or {}, "request_id": request_id}
        self.service_requests.append(request)
        waiting = self._service_responses.get(output_id)
        if waiting:
            reply = _event((output_id, waiting.pop(0)), {"request_id": request_id})
            self._insert_before_stop(reply)
        return request_id

    def send_service_response(self, output_id: str, data: Any, metadata: dict[str, Any]) -> None:
        """Keep the response."""
        response = {"output_id": output_id, "data": data, "metadata": metadata}
        self.service_responses_sent.append({**response, "request_id": (metadata or {}).get("request_id")})

    def _insert_before_stop(self, event: Event) -> None:
        stops = [at for at, other in enumerate(self._events) if other.get("type") == "STOP"]
        self._events.insert(stops[0] if stops else len(self._events), event)

    def merge_external_events(self, subscription: Any) -> None:
        """There is no stream to merge into.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("MockNode cannot merge external events; put them into its list of inputs")

    # -- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> MockNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- logging ---------------------------------------------------------------------------------------------

    def log(self, level: str, message: str, target: Any = None, fields: dict[str, Any] | None = None) -> None:
        """Keep the entry in `logs`; a dict as third argument is taken as `fields`, as `Node.log` does."""
        if isinstance(target, dict):
            target, fields = None, target
        self.logs.append({"level": level, "message": message, "target": target, "fields": fields or {}})

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

    def dataflow_descriptor(self) -> dict[str, Any]:
        """What the test stated, or {}."""
        return self._dataflow_descriptor

    def dataflow_id(self) -> str:
        """What the test stated, or ""."""
        return self._dataflow_id

    def node_config(self) -> dict[str, Any]:
        """What the test stated, or {}."""
        return self._node_config

    def is_restart(self) -> bool:
        """What the test stated, or False."""
        return self._is_restart

    def restart_count(self) -> int:
        """What the test stated, or 0."""
        return self._restart_count

    def timestamp(self) -> datetime.datetime:
        """Now (aware, UTC)."""
        return datetime.datetime.now(datetime.timezone.utc)


def _event(entry: tuple[str, Any] | dict[str, Any], metadata: dict[str, Any]) -> Event:
    if isinstance(entry, dict):
        return Event(entry)
    if not isinstance(entry, tuple) or len(entry) != 2:
        raise TypeError(f"expected (input_id, data) or an event dict, found {entry!r}")
    input_id, data = entry
    return Event(type="INPUT", id=input_id, value=data, metadata=dict(metadata))
