"""What somebody outside publishes on outputs that this node reads (`dora topic pub`), beside what their nodes send.

Strategy: a guest is an input of its own, with one edge and the name of the input that it feeds.  It is served in the
same rounds, and goes when its sender has left and all is read.  It counts as closed from the beginning, so that it
neither opens nor closes anything; but an input whose node has ended closes after what guests had sent to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dora.node.inputs import Input
from dora.node.silence import Heard, Silence


class Guests:
    """All guests of a node.  The receive lock guards it."""

    def __init__(self) -> None:
        self._inputs: Final[list[Input]] = []

    def __len__(self) -> int:
        return len(self._inputs)

    def __iter__(self) -> Iterator[Input]:
        return iter(self._inputs)

    def add(self, guest: Input, host: Input) -> None:
        """One more, which still has no edge; what it brings counts as heard on the input that it feeds."""
        guest.is_closed = True
        guest.silence = Heard(host.silence) if isinstance(host.silence, Silence) else None
        self._inputs.append(guest)

    def of(self, input_id: str) -> list[Input]:
        """Those that feed that input."""
        return [guest for guest in self._inputs if guest.id == input_id]

    def wait_on(self, input_id: str) -> bool:
        """Whether something that a guest has sent to that input is not read yet."""
        return any(guest.queued() for guest in self._inputs if guest.id == input_id)

    def remove(self, guest: Input) -> None:
        """That one has left, and is read to its end."""
        if guest in self._inputs:
            self._inputs.remove(guest)
