"""Events that came while a node waited for a reply, until its main loop asks for them.

Strategy: an input keeps here what its queue would keep.  Of an input that may drop, the newest `queue_size` stay, by
the rules of every queue; of a timer the newest tick.  Of a lossless one all stay; whoever fills this is told when its
`queue_size` is reached, so that the rest can be left where it makes the sender wait.  Replies to this node's own
requests stay whatever comes after them, and so does everything that is no message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from dora.node.events import Event
from dora.node.sibling_queue import SiblingQueue

_TIMER: Final = "dora/timer/"
_DEFAULT_SIZE: Final = 10


class Rule(NamedTuple):
    """What the dataflow file says of an input's queue."""

    size: int
    is_lossless: bool


class Kept(NamedTuple):
    """An event and its place in the order."""

    serial: int
    event: Event


def rules_of(config: Mapping[str, Any]) -> dict[str, Rule]:
    """The rule of each input, from what `node_config` returns."""
    return {name: _rule(stated) for name, stated in (config.get("inputs") or {}).items()}


def _rule(stated: Any) -> Rule:
    options = stated if isinstance(stated, dict) else {"source": stated}
    if str(options.get("source", "")).startswith(_TIMER):
        return Rule(1, is_lossless=False)
    size = options.get("queue_size")
    return Rule(_DEFAULT_SIZE if size is None else max(1, size), options.get("queue_policy") == "backpressure")


class KeptEvents:
    """The events, oldest first.

    Args:
        count_dropped: is told the input of each message that is lost here.
    """

    def __init__(self, rules: Mapping[str, Rule], count_dropped: Callable[[str], None]) -> None:
        self._rules: Final = rules
        self._count_dropped: Final = count_dropped
        self._unlimited: deque[Kept] = deque()
        self._limited: dict[str, SiblingQueue[Kept]] = {}
        self._lossless: dict[str, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._unlimited) + sum(map(len, self._limited.values()))

    def messages_by_input(self) -> dict[str, int]:
        """How many messages of which input."""
        found = {name: len(queue) for name, queue in self._limited.items()}
        for kept in self._unlimited:
            if _is_message(kept.event):
                found[kept.event["id"]] = found.get(kept.event["id"], 0) + 1
        return found

    def keep(self, event: Event, *, is_own: bool = False, is_of_others: bool = False) -> None:
        """Add one.

        Args:
            is_own: a reply to a request of this node.
            is_of_others: a reply to a request of another one: of these a lossless input keeps `queue_size`, too.
        """
        self._serial += 1
        rule = self._rules.get(event["id"]) if _is_message(event) else None
        if event.get("type") == "STOP" and event["id"] == "MANUAL":
            self._unlimited.appendleft(Kept(0, event))
        elif rule is None or is_own:
            self._unlimited.append(Kept(self._serial, event))
        elif rule.is_lossless and not is_of_others:
            self._unlimited.append(Kept(self._serial, event))
            self._lossless[event["id"]] = self._lossless.get(event["id"], 0) + 1
        else:
            self._put(event, rule.size)

    def _put(self, event: Event, size: int) -> None:
        queue = self._limited.get(event["id"])
        if queue is None:
            queue = self._limited[event["id"]] = SiblingQueue(size)
        metadata = event["metadata"]
        is_correlated = not metadata.keys().isdisjoint(("request_id", "goal_id", "goal_status"))
        before = queue.dropped
        queue.put(Kept(self._serial, event), is_correlated=is_correlated, is_flush=metadata.get("flush") is True)
        for _ in range(queue.dropped - before):
            self._count_dropped(event["id"])

    def is_full(self, input_id: str) -> bool:
        """As many messages of that lossless input are here as its queue takes."""
        count = self._lossless.get(input_id, 0)
        return bool(count) and count >= self._rules[input_id].size

    def pop(self) -> Event | None:
        """The oldest, or None."""
        oldest = self._unlimited[0] if self._unlimited else None
        queue = None
        for candidate in self._limited.values():
            head = candidate.peek()
            if head is not None and (oldest is None or head.serial < oldest.serial):
                oldest, queue = head, candidate
        if oldest is None:
            return None
        if queue is None:
            self._unlimited.popleft()
            self._forget(oldest.event)
        else:
            queue.take()
        return oldest.event

    def take_first(self, matches: Callable[[Event], bool]) -> Event | None:
        """Take the oldest message that matches out of the order, or None."""
        for place, kept in enumerate(self._unlimited):
            if _is_message(kept.event) and matches(kept.event):
                del self._unlimited[place]
                self._forget(kept.event)
                return kept.event
        for queue in self._limited.values():
            found = queue.take_first(lambda kept: matches(kept.event))
            if found is not None:
                return found.event
        return None

    def _forget(self, event: Event) -> None:
        """A message of a lossless input is gone."""
        count = self._lossless.get(event["id"], 0)
        if count and _is_message(event):
            self._lossless[event["id"]] = count - 1


def _is_message(event: Event) -> bool:
    return event.get("type") == "INPUT"
