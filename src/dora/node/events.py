"""Events as the user sees them: plain dicts, only that a few absent keys read as None."""

from __future__ import annotations

import datetime
from typing import Any, Final

_READ_AS_NONE: Final = frozenset({"id", "value", "metadata", "error"})
_UTC: Final = datetime.timezone.utc
_instant = datetime.datetime.fromtimestamp

TIMEOUT_TEXT: Final = "Timeout event stream error: Receiver timed out"


class Event(dict[str, Any]):
    """One event.  `event["value"]` of an event without a value is None; `in`, `get`, `len` are those of a dict."""

    __slots__ = ()

    def __missing__(self, key: str) -> None:
        if key in _READ_AS_NONE:
            return
        raise KeyError(key)


def instant_of(time_ns: int) -> datetime.datetime:
    """Nanoseconds since 1970-01-01 UTC as an aware datetime, to the microsecond."""
    return _instant(time_ns / 1e9, _UTC)


def input_event(input_id: str, value: Any, metadata: dict[str, Any]) -> Event:
    """A message or a tick."""
    return Event(type="INPUT", id=input_id, value=value, metadata=metadata, kind="dora")


def input_closed(input_id: str) -> Event:
    """No more messages will come on that input."""
    return Event(type="INPUT_CLOSED", id=input_id, kind="dora")


def input_recovered(input_id: str) -> Event:
    """A message has come on an input that had been silent for its `input_timeout`; it follows."""
    return Event(type="INPUT_RECOVERED", id=input_id, kind="dora")


def stop(reason: str) -> Event:
    """`MANUAL` or `ALL_INPUTS_CLOSED`."""
    return Event(type="STOP", id=reason, kind="dora")


def error(text: str) -> Event:
    """Something that the user should know and that does not end the stream."""
    return Event(type="ERROR", error=text, kind="dora")


def timed_out(timeout_s: float | None) -> Event:
    """Nothing came in that time."""
    return error(f"{TIMEOUT_TEXT} after {timeout_s:g} s")


def node_failed(source: str, text: str, inputs: list[str]) -> Event:
    """A node that feeds these inputs ended badly and will not be restarted."""
    value = {"source_node_id": source, "error": text, "affected_input_ids": inputs}
    return Event(type="NODE_FAILED", id=source, value=value, kind="dora")


def node_restarted(source: str) -> Event:
    """The process of a node that feeds this one has ended, and it is being started again."""
    return Event(type="NODE_RESTARTED", id=source, kind="dora")


def param_update(key: str, value: Any) -> Event:
    """A runtime parameter of this node has that value now, as Python has what JSON says."""
    return Event(type="PARAM_UPDATE", id=key, value=value, kind="dora")


def param_deleted(key: str) -> Event:
    """A runtime parameter of this node is there no more."""
    return Event(type="PARAM_DELETED", id=key, kind="dora")


def reload(operator: str) -> Event:
    """The operator's file was saved, and it runs the new version."""
    return Event(type="RELOAD", id=operator, kind="dora")
