"""Who publishes on outputs from outside while the dataflow runs, beside their nodes: `topic pub` (design.md 11.15).

Strategy: a guest is one more sender.  After every stimulus it has a route to whoever reads its output then: nodes come
and go, inputs are connected, taps open.  Its edges are like any other's, but no rule asks how it ends: it closes no
input, no node waits for it, and when the node of the output ends for good, it goes, too.
"""

from __future__ import annotations

from msgspec.structs import replace

from dora.runner import stimuli as s
from dora.runner.effects import CloseOutputs, DismissGuest, Effect, Route
from dora.runner.state.edges import EdgeBook
from dora.runner.state.routes import is_tap
from dora.runner.state.topology import Slots

_Output = tuple[str, str]


class GuestBook:
    """The guests of a run.

    Args:
        slots: of the counters page; each input that a guest feeds needs one.
    """

    def __init__(self, book: EdgeBook, slots: Slots) -> None:
        self._book = book
        self._slots = slots
        self._outputs: dict[str, _Output] = {}

    def admit(self, stimulus: s.GuestCame, _: int) -> list[Effect]:
        """One more; `settle` wires it."""
        self._outputs[stimulus.guest] = (stimulus.sender, stimulus.output)
        return []

    def dismiss(self, stimulus: s.GuestLeft, _: int) -> list[Effect]:
        """That one has left."""
        return self._end(stimulus.guest)

    def settle(self) -> list[Effect]:
        """After every stimulus: bring the guests' routes up to date."""
        effects: list[Effect] = []
        for guest, output in list(self._outputs.items()):
            if self._book.is_output_ended(*output):
                effects += [*self._end(guest), DismissGuest(guest)]
            else:
                effects += self._follow(guest, output)
        return effects

    def _follow(self, guest: str, output: _Output) -> list[Effect]:
        wanted = {(route.reader, route.input): route for route in self._book.readers(*output)}
        effects: list[Effect] = []
        for route in self._book.readers(guest, output[1]):
            if wanted.pop((route.reader, route.input), None) is None:
                effects += self._book.withdraw(route)
                self._give_up_slot(route)
        for route in wanted.values():
            # who looks from outside counts nothing in the page, so needs no place there
            slot = route.slot if is_tap(route.reader) else self._slots.take()
            effects += self._book.admit(replace(route, sender=guest, slot=slot))
        return effects

    def _end(self, guest: str) -> list[Effect]:
        output = self._outputs.pop(guest, None)
        if output is None:
            return []
        for route in self._book.readers(guest, output[1]):
            self._give_up_slot(route)
        return [*self._book.dismiss(guest), CloseOutputs(guest)]

    def _give_up_slot(self, route: Route) -> None:
        if not is_tap(route.reader):
            self._slots.give_up(route.slot)
