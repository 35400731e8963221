"""Changes of runtime parameters on their way to the user's code.

Strategy: they wait in the inbox of the link, in order with all else that the runner says.  A program that only sends
reads no events, so its inbox is not let grow without end: when very many have piled up, those go that a later change
of the same parameter has made void.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any, Final

from dora.messages import node_runner as messages
from dora.messages.params import decode_value
from dora.node import events

MOST_UNREAD: Final = 4096
KINDS: Final = frozenset({"PARAM_UPDATE", "PARAM_DELETED"})


def event_of(message: messages.Param) -> events.Event:
    """The event that tells of a change."""
    if message.value is None:
        return events.param_deleted(message.key)
    return events.param_update(message.key, decode_value(message.value))


def drop_void(inbox: deque[tuple[Any, list[int]]]) -> None:
    """Leave of the changes of each parameter the latest only.  The receiver may take from the inbox meanwhile."""
    known: set[str] = set()
    void: list[tuple[Any, list[int]]] = []
    for entry in reversed(list(inbox)):
        if isinstance(entry[0], messages.Param):
            if entry[0].key in known:
                void.append(entry)
            known.add(entry[0].key)
    for entry in reversed(void):  # the oldest first: it stands in front
        with contextlib.suppress(ValueError):  # it was taken just now
            inbox.remove(entry)
