"""Checks the types of messages against those that the dataflow states.

Strategy: loaded only in a node that the runner tells what to check.  What is checked gets its check wrapped around one
bound method of one object, so that nodes and outputs without a type run the same code as ever; the receiver's wrapper
takes itself off again when the first message of every typed input has been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from dora import arrow
from dora.errors import NodeError
from dora.messages.node_runner import TypeCheck

if TYPE_CHECKING:
    from dora.node.outputs import Output
    from dora.node.receiver import Receiver
    from dora.node.sample_memory import Chunk

Warn = Callable[[str], None]

_EXEMPT: Final = frozenset({"request_id", "goal_id", "goal_status"})
"""Messages of services and actions carry what the pattern wants, not what the output states."""

_NOTHING: Final = "null"
_BYTES: Final = "uint8"


def check_outputs(outputs: Mapping[str, Output], checks: list[TypeCheck], warn: Warn) -> None:
    """Let these outputs look at what they send."""
    for check in checks:
        output = outputs.get(check.port)
        if check.is_output and output is not None:
            _check_output(output, check, warn)


def check_inputs(receiver: Receiver, checks: list[TypeCheck], warn: Warn) -> None:
    """Let the receiver look at the first message of these inputs."""
    waited = {check.port: check for check in checks if not check.is_output}
    if not waited:
        return
    take = receiver.take

    def checked_take(looks: bool = True) -> Any:
        event = take(looks)
        if isinstance(event, dict) and event.get("type") == "INPUT":
            check = waited.pop(event["id"], None)
            if check is not None and (found := _unexpected(event["value"], event["metadata"], check)):
                warn(f"input `{check.port}` expects {check.type}, but the first message is an array of {found}")
            if not waited:
                receiver.__dict__.pop("take", None)
        return event

    receiver.take = checked_take  # type: ignore[method-assign]


def _check_output(output: Output, check: TypeCheck, warn: Warn) -> None:
    send, send_chunk = output.send, output.send_chunk

    def complain(found: str) -> None:
        text = f"output `{check.port}` is {check.type} ({check.accepted[0]}), but the message is an array of {found}"
        if check.is_error:
            raise NodeError(text)
        warn(text)

    def checked_send(data: Any, metadata: dict[str, Any] | None) -> None:
        found = _unexpected(data, metadata, check)
        if found:
            complain(found)
        send(data, metadata)

    def checked_send_chunk(chunk: Chunk, size: int, encoded: tuple[bytes, int]) -> None:
        if _BYTES not in check.accepted:
            complain(_BYTES)
        send_chunk(chunk, size, encoded)

    output.send = checked_send  # type: ignore[method-assign]
    output.send_chunk = checked_send_chunk  # type: ignore[method-assign]


def _unexpected(data: Any, metadata: Mapping[str, Any] | None, check: TypeCheck) -> str:
    """The Arrow type of a message where it is another than stated; else empty."""
    if metadata and not _EXEMPT.isdisjoint(metadata):
        return ""
    found = str(arrow.array_of(data).type)
    return "" if found in check.accepted or found == _NOTHING else found
