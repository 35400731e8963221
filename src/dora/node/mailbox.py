"""Who waits for which reply, and what is kept for the main loop meanwhile.

Strategy: while somebody waits for a reply, a `Mailbox` stands in front of the receiver's `take`: whoever takes an
event, the main loop included, hands a reply to the one who waits for it, and a waiter keeps every other event for the
main loop, in order, as far as the queue of its input would (`kept_events.py`).  A lossless input that is full here is
left in its queue, where its sender waits, unless the awaited server feeds it: the reply may be behind.  When
nobody waits and nothing is kept, the mailbox steps aside, so a node that uses no pattern pays nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dora.errors import NodeError
from dora.node import events
from dora.node.kept_events import KeptEvents, rules_of

if TYPE_CHECKING:
    from dora.node.node import Node

_MOST_REQUESTS: Final = (
    10_000  # remembered as unanswered; who matches replies in the main loop never says that one came
)
_MOST_AT_ONCE: Final = 256  # then the time-out is looked at
_IN_FRONT: Final = ("take", "is_empty", "queued_by_input")
_RESTARTED: Final = "was restarted"
_ENDINGS: Final = {
    "NODE_FAILED": "has failed",
    "NODE_RESTARTED": _RESTARTED,
    "INPUT_CLOSED": "has closed its output",
}


class Expected:
    """A reply that somebody waits for.

    Args:
        request_id: of the request, as this node may have sent it.

    Attributes:
        server: the node that must send it, or None: not known.
        inputs: those that this node feeds.
        outcome: the reply, once it is there.
        ending: what has become of the server, or "": the reply may still be among what it has sent.
        failure: why it will not come, or "".
    """

    def __init__(
        self, what: str, server: str | None, matches: Callable[[dict[str, Any]], bool], *, request_id: str = ""
    ) -> None:
        self.what: Final = what
        self.server: Final = server
        self.request_id: Final = request_id
        self._matches = matches
        self.inputs: list[str] = []
        self.outcome: events.Event | None = None
        self.ending = ""
        self.failure = ""

    @property
    def is_decided(self) -> bool:
        """The wait is over."""
        return self.outcome is not None or bool(self.failure)

    @property
    def end_of_server(self) -> str:
        """What has become of the server, in words, or ""."""
        return self.ending and f"node `{self.server}` {self.ending}"

    def matches(self, event: events.Event) -> bool:
        """Whether the event is this reply."""
        return self.outcome is None and event.get("type") == "INPUT" and self._matches(event["metadata"])

    def result(self) -> events.Event:
        """The reply.

        Raises:
            NodeError: it will not come.
        """
        if self.outcome is None:
            raise NodeError(f"no reply to {self.what}: {self.failure}")
        return self.outcome


class Mailbox:
    """In front of a receiver while replies are waited for.  The receiver's lock guards it."""

    def __init__(self, node: Node) -> None:
        self._link = node._link  # not the node: it would keep its own handle alive
        self._receiver = node._receiver
        self._take = self._receiver.take
        self._is_empty = self._receiver.is_empty
        self._queued_by_input = self._receiver.queued_by_input
        self._rules = rules_of(node.node_config())
        self._kept = KeptEvents(self._rules, self._receiver.count_dropped)
        self._expected: list[Expected] = []
        self._inputs = _inputs_by_node(node.node_config())
        self._requests: dict[str, int] = {}  # the restarts of nodes that were known when it was sent
        self._reply_inputs: set[str] = set()
        self._paused: set[str] = set()

    def note_request(self, request_id: str) -> None:
        """This node is about to ask that; the reply must not give way to those of others."""
        self._receiver.hear()
        self._requests[request_id] = len(self._receiver.restarted)
        if len(self._requests) > _MOST_REQUESTS:
            self._requests.pop(next(iter(self._requests)), None)

    def add(self, expected: Expected) -> None:
        """Somebody waits from now on."""
        self._expected.append(expected)
        expected.inputs = self._inputs.get(expected.server or "", [])
        vars(self._receiver).update({name: getattr(self, name) for name in _IN_FRONT})
        found = self._kept.take_first(expected.matches)
        if found is not None:
            self._answer(expected, found)
        elif expected.server is not None and not expected.inputs:
            expected.failure = f"no input of this node is fed by `{expected.server}`"
        elif expected.inputs and all(map(self._receiver.is_input_closed, expected.inputs)):
            expected.ending = _ENDINGS["INPUT_CLOSED"]
        elif self._was_restarted_since(expected):
            expected.ending = _RESTARTED
        for name in [name for name in self._paused if self._may_carry_reply(name)]:
            self._resume(name)
        self._conclude()

    def remove(self, expected: Expected) -> None:
        """He waits no longer."""
        self._expected.remove(expected)
        self._leave_if_idle()

    # -- in front of the receiver ----------------------------------------------------------------------------

    def take(self, looks: bool = True) -> Any:
        """The next event for the main loop; `looks` as the receiver's `take` has it."""
        event = self._kept.pop()
        if event is not None:
            for name in [name for name in self._paused if not self._kept.is_full(name)]:
                self._resume(name)
            self._leave_if_idle()
            return event
        while isinstance(taken := self._take(looks), events.Event) and self._deliver(taken):
            continue
        return taken

    def is_empty(self) -> bool:
        """Whether `take` has nothing."""
        return not self._kept and self._is_empty()

    def queued_by_input(self) -> dict[str, int]:
        """Messages that wait, where some do."""
        return dict(Counter(self._queued_by_input()) + Counter(self._kept.messages_by_input()))

    # -- waiting ---------------------------------------------------------------------------------------------

    def look_for(self, expected: Expected) -> None:
        """Take what is there until the reply is, and keep the rest; many at once, but not for ever."""
        kept_before = len(self._kept)
        for _ in range(_MOST_AT_ONCE):
            taken = None if expected.is_decided else self._take()
            if taken is None:
                break
            if not isinstance(taken, events.Event):
                expected.failure = expected.end_of_server or "the stream of events has ended"
            elif not self._deliver(taken):
                self._keep(taken)
        self._conclude()
        if len(self._kept) > kept_before or any(other.is_decided for other in self._expected if other is not expected):
            self._wake()

    def _deliver(self, event: events.Event) -> bool:
        for expected in self._expected:
            if expected.matches(event):
                self._answer(expected, event)
                self._wake()
                return True
        for expected in self._expected:
            self._hear(expected, event)
        return False

    def _answer(self, expected: Expected, event: events.Event) -> None:
        expected.outcome = event
        self._reply_inputs.add(event["id"])
        self._requests.pop(event["metadata"].get("request_id"), None)

    def _hear(self, expected: Expected, event: events.Event) -> None:
        """Note an event that says that the server can no longer reply."""
        kind = event.get("type", "")
        if kind not in _ENDINGS or expected.server is None or expected.ending:
            return
        if kind == "INPUT_CLOSED":
            is_over = event["id"] in expected.inputs and all(map(self._receiver.is_input_closed, expected.inputs))
        elif kind == "NODE_RESTARTED" and expected.request_id in self._requests:
            is_over = self._was_restarted_since(expected)
        else:
            is_over = event["id"] == expected.server
        if is_over:
            expected.ending = _ENDINGS[kind]

    def _was_restarted_since(self, expected: Expected) -> bool:
        """The server was restarted after this node's request, whoever got the event that says so."""
        known = self._requests.get(expected.request_id)
        return known is not None and expected.server in self._receiver.restarted[known:]

    def _conclude(self) -> None:
        """A server has ended, and what it had sent is read: no reply will come."""
        for expected in self._expected:
            if not expected.ending or expected.is_decided:
                continue
            if self._queued_by_input().keys().isdisjoint(expected.inputs):
                expected.failure = expected.end_of_server
                if expected.request_id in self._requests:  # told once: the next run of the server may still reply
                    self._requests[expected.request_id] = len(self._receiver.restarted)

    def _keep(self, event: events.Event) -> None:
        name = event["id"]
        request_id = event["metadata"].get("request_id") if event.get("type") == "INPUT" else None
        is_own = request_id in self._requests
        self._kept.keep(event, is_own=is_own, is_of_others=request_id is not None and name in self._reply_inputs)
        if self._kept.is_full(name) and not self._may_carry_reply(name):
            self._paused.add(name)
            self._receiver.pause(name)

    def _may_carry_reply(self, name: str) -> bool:
        return any(expected.server is None or name in expected.inputs for expected in self._expected)

    def _resume(self, name: str) -> None:
        self._paused.discard(name)
        self._receiver.resume(name)

    def _wake(self) -> None:
        wake = getattr(self._link, "wake_receiver", None)
        if wake is not None and (len(self._expected) > 1 or self._kept):
            wake()

    def _leave_if_idle(self) -> None:
        if not self._kept and not self._expected:
            for name in _IN_FRONT:
                vars(self._receiver).pop(name, None)


def mailbox_of(node: Node) -> Mailbox:
    """The node's mailbox."""
    found: Mailbox | None = vars(node._receiver).get("mailbox")
    if found is None:
        found = vars(node._receiver)["mailbox"] = Mailbox(node)
    return found


def _inputs_by_node(config: dict[str, Any]) -> dict[str, list[str]]:
    """The inputs that each node feeds, from what `node_config` returns."""
    found: dict[str, list[str]] = {}
    for name, stated in (config.get("inputs") or {}).items():
        source = stated.get("source", "") if isinstance(stated, dict) else stated
        found.setdefault(str(source).partition("/")[0], []).append(name)
    return found
