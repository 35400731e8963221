"""What a test feeds a node: tuples, dicts and times become events with a due time.

The end is that of a real dataflow: after the last event every input is closed, then comes STOP (ALL_INPUTS_CLOSED); a
node with timers, or without inputs, gets STOP (MANUAL).  A list that has a STOP of its own is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Union

from dora import arrow_json
from dora.arrow import InvalidDataError
from dora.node import events
from dora.node.standalone_session import delivered, received_metadata

NS_PER_S: Final = 1_000_000_000
_JSON_KINDS: Final = (list, str, int, float, dict, type(None))


class Timed(NamedTuple):
    """An input with its time."""

    seconds: float
    input_id: str
    data: Any
    metadata: dict[str, Any] | None


def at(seconds: float, input_id: str, data: Any, metadata: dict[str, Any] | None = None) -> Timed:
    """An input that comes so many seconds after the start of the node; those after it come no earlier."""
    return Timed(seconds, input_id, data, metadata)


Item = Union[Timed, tuple[str, Any], tuple[str, Any, dict[str, Any]], Mapping[str, Any]]
"""`at(...)`, `(input_id, data)`, `(input_id, data, metadata)` or a whole event"""


def timed_events(items: Iterable[Item], start_ns: int = 0) -> list[tuple[int, events.Event]]:
    """The events of a test, each with its time in nanoseconds since the start."""
    found = []
    now_ns = start_ns
    for item in items:
        if isinstance(item, Timed):
            now_ns = max(now_ns, round(item.seconds * NS_PER_S))
        found.append((now_ns, _event(item)))
    return found


def with_end(
    timed: list[tuple[int, events.Event]], *, has_timers: bool, stop_at_s: float | None
) -> list[tuple[int, events.Event]]:
    """The same with the events that end a node, unless there is a STOP."""
    if any(event["type"] == "STOP" for _, event in timed):
        return timed
    last_ns = max((due_ns for due_ns, _ in timed), default=0)
    if stop_at_s is not None:
        return [*timed, (round(stop_at_s * NS_PER_S), events.stop("MANUAL"))]
    inputs = dict.fromkeys(event["id"] for _, event in timed if event["type"] == "INPUT")
    closed = {event["id"] for _, event in timed if event["type"] == "INPUT_CLOSED"}
    closings = [(last_ns, events.input_closed(name)) for name in inputs if name not in closed]
    is_drained = not has_timers and bool(inputs or closed)
    return [*timed, *closings, (last_ns, events.stop("ALL_INPUTS_CLOSED" if is_drained else "MANUAL"))]


def value_of(data: Any) -> Any:
    """The array that a node receives: what `send_output` takes, and plain Python values beside it.

    Raises:
        TypeError: `data` is of another kind.
        ValueError: no Arrow type fits.
    """
    try:
        return delivered(data)
    except InvalidDataError:
        if not isinstance(data, _JSON_KINDS):
            raise
    return arrow_json.array_from_json(data)


def _event(item: Any) -> events.Event:
    if isinstance(item, Timed):
        return _input(item.input_id, item.data, item.metadata)
    if isinstance(item, tuple) and len(item) in (2, 3) and isinstance(item[0], str):
        return _input(item[0], item[1], item[2] if len(item) == 3 else None)
    if isinstance(item, Mapping) and isinstance(item.get("type"), str):
        event = events.Event({"kind": "dora", **item})
        if event["type"] == "INPUT":
            event.update(_input(event["id"], event["value"], event["metadata"]))
        return event
    raise TypeError(
        f"expected (input_id, data), (input_id, data, metadata), at(...) or an event dict with a `type`, found {item!r}"
    )


def _input(input_id: str, data: Any, metadata: dict[str, Any] | None) -> events.Event:
    return events.input_event(input_id, value_of(data), received_metadata(metadata))
