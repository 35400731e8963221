"""What waits on an input that an operator of the same process feeds; the rules are those of every queue.

A full queue loses its oldest message: exactly the newest `size` stay.  Messages of a service or an action
(correlated) are lost only when there is no other, and a plain newcomer does not displace them; `flush` empties the
queue of all but those (dora node-api, section 5).  Whether a sender waits before that is decided in `host.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Waiting = TypeVar("Waiting")


class SiblingQueue(Generic[Waiting]):
    """A queue of events, or of what stands for them, in this process.

    Attributes:
        sent, dropped: messages so far.
    """

    __slots__ = ("_events", "dropped", "sent", "size")

    def __init__(self, size: int) -> None:
        self.size: Final = size
        self.sent = 0
        self.dropped = 0
        self._events: deque[tuple[Waiting, bool]] = deque()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        """One more message would push one out."""
        return len(self._events) >= self.size

    def put(self, event: Waiting, *, is_correlated: bool = False, is_flush: bool = False) -> None:
        """Add a message, at the cost of an older one if it must be."""
        self.sent += 1
        if is_flush:
            kept = [entry for entry in self._events if entry[1]]
            self.dropped += len(self._events) - len(kept)
            self._events = deque(kept)
        if not self.is_full or self._make_room(is_correlated):
            self._events.append((event, is_correlated))

    def take(self) -> Waiting | None:
        """The oldest message, or None."""
        return self._events.popleft()[0] if self._events else None

    def peek(self) -> Waiting | None:
        """The oldest message, which stays; or None."""
        return self._events[0][0] if self._events else None

    def take_first(self, matches: Callable[[Waiting], bool]) -> Waiting | None:
        """Take the oldest message that matches, or None."""
        for place, (event, _) in enumerate(self._events):
            if matches(event):
                del self._events[place]
                return event
        return None

    def clear(self) -> None:
        """Nobody will take what is there."""
        self._events.clear()

    def _make_room(self, is_correlated: bool) -> bool:
        """Lose one message; False if that is the newcomer."""
        self.dropped += 1
        for place, (_, is_kept) in enumerate(self._events):
            if not is_kept:
                del self._events[place]
                return True
        if is_correlated:
            self._events.popleft()
        return is_correlated
