"""Who looks at outputs from outside while they run: `topic echo`, `record`, a dashboard (design.md 11.13).

Strategy: a tap is one more reader of an output.  The rules wire it like a node's input (`EdgeBook.attach`), but it is
none: no start waits for it, no rule asks whether it has closed.  Its ends go over the admin socket to who asked, who
then reads the sender's memory directly; the runner sees no data here either.  Each tap has a place of its own in the
counters page, behind those of the dataflow's routes, and never used again: a sender may still write in it for a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from dora.dataflow.descriptor import Node
from dora.hints import near_and_all
from dora.messages import node_runner
from dora.messages import runner_daemon as messages
from dora.runner import stimuli as s
from dora.runner.admin import Refusal, Visitor
from dora.runner.effects import Route
from dora.runner.state.node_life import NodeLife
from dora.runner.state.routes import tap_route
from dora.runner.state.topology import Slots
from dora.runner.wiring import Parcel
from dora.transport.control import close_all
from dora.transport.pipes import MAX_QUEUE_SIZE

MAX_TAPS: Final = 1024
"""at a time, of all visitors"""


class Taps:
    """Where the wiring of each tap goes, by the reader's name."""

    def __init__(self) -> None:
        self._visitors: dict[str, tuple[Visitor, int]] = {}

    def add(self, reader: str, visitor: Visitor, tap: int) -> None:
        """From now on, what is for that reader goes to the visitor, who calls it `tap`."""
        self._visitors[reader] = (visitor, tap)

    def remove(self, reader: str) -> None:
        """Nobody hears what is for that reader any more."""
        self._visitors.pop(reader, None)

    def give(self, reader: str, parcel: Parcel) -> None:
        """Hand over one more edge.  Closes what the parcel owns."""
        message = parcel.message
        assert isinstance(message, node_runner.AddInputEdge)  # what `Wiring.reader` makes
        known = self._visitors.get(reader)
        try:
            if known is not None:
                visitor, tap = known
                visitor.say(messages.TapEdge(tap, message), parcel.owned)
        finally:
            close_all(parcel.owned)

    def tell(self, reader: str, verdict: node_runner.EdgeVerdict) -> None:
        """How the sender of an edge ended."""
        known = self._visitors.get(reader)
        if known is not None:
            visitor, tap = known
            visitor.say(messages.TapVerdict(tap, verdict.edge, verdict.verdict))

    def refuse(self, reader: str, why: str) -> None:
        """The machine has no descriptors left for it."""
        known = self._visitors.get(reader)
        if known is not None:
            known[0].say(messages.Refused(messages.NOT_POSSIBLE, why))


def expect_output(node: Node, output: str) -> None:
    """Raises `Refusal` where the node has no such output."""
    if output in node.outputs:
        return
    has = near_and_all(output, node.outputs, "outputs")
    raise Refusal(messages.UNKNOWN_OUTPUT, f"node `{node.id}` has no output `{output}` ({has})")


class _Open(NamedTuple):
    visitor: Visitor
    tap: int


class TapDesk:
    """Opens and closes taps as visitors ask.

    Args:
        life: the node of that name, or raises `Refusal`.
        slots: of the counters page; `clear` makes one that was used before as new.
        tell: passes a stimulus to the rules.
    """

    def __init__(
        self,
        taps: Taps,
        life: Callable[[str], NodeLife],
        *,
        slots: Slots,
        clear: Callable[[int], None],
        tell: Callable[[s.Stimulus], None],
    ) -> None:
        self._taps = taps
        self._life = life
        self._slots = slots
        self._clear = clear
        self._next_number = 1
        self._tell = tell
        self._open: dict[_Open, Route] = {}

    def open(self, request: messages.Tap, visitor: Visitor) -> None:
        """`Tap`: answer first, then wire."""
        node = self._life(request.node).plan
        expect_output(node, request.output)
        key = _Open(visitor, request.tap)
        if key in self._open:
            raise Refusal(messages.NOT_POSSIBLE, f"this connection has a tap {request.tap} already")
        if len(self._open) >= MAX_TAPS:
            raise Refusal(messages.BUSY, f"{MAX_TAPS} outputs of this run are being looked at already")
        size = min(max(1, request.queue_size), MAX_QUEUE_SIZE)
        slot = self._slots.take()
        self._clear(slot)
        route = tap_route(node, request.output, number=self._next_number, slot=slot, queue_size=size)
        self._next_number += 1
        self._open[key] = route
        self._taps.add(route.reader, visitor, request.tap)
        visitor.say(messages.Done())
        self._tell(s.TapOpened(route))

    def close(self, request: messages.Untap, visitor: Visitor) -> None:
        """`Untap`."""
        if _Open(visitor, request.tap) not in self._open:
            raise Refusal(messages.NOT_POSSIBLE, f"this connection has no tap {request.tap}")
        self._close(_Open(visitor, request.tap))
        visitor.say(messages.Done())

    def forget(self, visitor: Visitor) -> None:
        """That visitor has left, and all that they looked at with them."""
        for key in [key for key in self._open if key.visitor is visitor]:
            self._close(key)

    def _close(self, key: _Open) -> None:
        route = self._open.pop(key)
        self._taps.remove(route.reader)
        self._tell(s.TapClosed(route))
        self._slots.give_up(route.slot)
