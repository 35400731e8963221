"""`Node` as dora 0.1 had it: `input_id, value = node.next()`, bytes instead of arrays (dora node-api, section 16).

A node gets it by `DORA_API: "0.1"` in its `env`; nothing of it is loaded otherwise.
"""

from __future__ import annotations

import os
import time

from dora import env
from dora.errors import NodeError
from dora.node import events
from dora.node.node import Node

VERSION = "0.1"


class LegacyNode(Node):
    """Receives `(input_id, bytes)`; everything but inputs is swallowed, and STOP ends the stream."""

    _is_over = False

    def next(self, timeout: float | None = None) -> tuple[str, bytes] | None:  # type: ignore[override]  # as in 0.1
        """Wait for the next input.

        Args:
            timeout: seconds; None waits for ever.

        Returns: its id and its bytes (of a uint8 array its elements, of other arrays their memory), or None: all
            senders are gone, the dataflow stops, or the time is over.
        """
        from dora import arrow  # pyarrow only once a node has connected

        deadline_s = None if timeout is None else time.monotonic() + timeout
        while not self._is_over:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            event = super().next(left_s)
            if event is None or event["type"] == "STOP":
                self._is_over = True
            elif event["type"] == "INPUT":
                return event["id"], arrow.raw_bytes(event["value"])
            elif event["type"] == "ERROR":
                if event["error"].startswith(events.TIMEOUT_TEXT):
                    return None
                self.log("error", event["error"])
        return None

    def id(self) -> str:
        """The node's id."""
        return self._link.config.node_id


def node_class() -> type[Node]:
    """The class of `Node()` where `DORA_API` is set.

    Raises:
        NodeError: to something unknown.
    """
    version = os.environ[env.API]
    if version != VERSION:
        raise NodeError(f"{env.API} is {version!r}: expected {VERSION!r}, or leave it out for the present API")
    return LegacyNode
