"""Events from outside of dora, merged into a node's stream (`Node.merge_external_events`).

Strategy: a thread asks the subscription for one item at a time and puts it at the end of the receiver's round, so that
inputs and the subscription take turns; the next item is asked for when this one was taken.  An async iterator gets a
loop of its own in that thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from dora.errors import NodeError
from dora.node import events

_ACCEPTED: Final = "an object with next() (None at its end), an iterator or an async iterator"


class Arrival:
    """In the receiver's inbox: an item of a subscription is there."""

    def __init__(self, external: External) -> None:
        self.external: Final = external


class External:
    """One merged subscription; a source in the receiver's round.

    Args:
        announce: makes the receiver look; called from another thread.
    """

    def __init__(self, subscription: Any, announce: Callable[[Arrival], None]) -> None:
        self.served = 0
        self._announce = announce
        self._event: events.Event | None = None
        self._room = threading.Semaphore(1)
        is_async = hasattr(subscription, "__anext__") or hasattr(subscription, "__aiter__")
        if not (is_async or hasattr(subscription, "next") or hasattr(subscription, "__next__")):
            raise TypeError(f"cannot merge {type(subscription).__name__}: expected {_ACCEPTED}")
        run = self._run_async if is_async else self._run
        threading.Thread(target=run, args=(subscription,), name="dora-external", daemon=True).start()

    def take_event(self) -> events.Event | None:
        """The item that arrived."""
        event, self._event = self._event, None
        self._room.release()
        return event

    def _run(self, subscription: Any) -> None:
        has_next = hasattr(subscription, "next")
        next_item, end = (subscription.next, None) if has_next else (subscription.__next__, self)
        try:
            while (item := next_item()) is not end:  # an iterator's None is an item
                self._put(events.Event(kind="external", value=item))
        except StopIteration:
            return
        except Exception as error:  # the boundary to code that is not ours: the node hears of it
            self._put(_failure(error))

    def _run_async(self, subscription: Any) -> None:
        import asyncio  # few nodes need it

        try:
            asyncio.run(self._follow(subscription))
        except Exception as error:  # as above
            self._put(_failure(error))

    async def _follow(self, subscription: Any) -> None:
        async for item in subscription:
            self._put(events.Event(kind="external", value=item))

    def _put(self, event: events.Event) -> None:
        self._room.acquire()
        self._event = event
        self._announce(Arrival(self))


def _failure(error: Exception) -> events.Event:
    return events.error(f"external event stream error: {type(error).__name__}: {error}")


def merge(receiver: Any, subscription: Any) -> None:
    """Merge the subscription into what the receiver gives."""
    announce = getattr(receiver, "announce", None)
    if announce is None:
        raise NodeError("external events can be merged in a running dataflow only")
    External(subscription, announce)
