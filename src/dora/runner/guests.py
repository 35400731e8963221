"""Who publishes on outputs from outside while they run: `topic pub` (design.md 11.15).

Strategy: a guest is one more sender of an output, with an arena of its own and one more edge to each input that reads
the output.  Its ends go over the admin socket to who asked, who then writes to the readers directly; the runner sees no
data here either.  It ends when its connection does, however that came.  What readers take of it is counted in places of
its own in the counters page, so that the counters of the node's own edges stay true.
"""

from __future__ import annotations

from collections.abc import Callable

from dora.errors import ResourceError
from dora.messages import node_runner
from dora.messages import runner_daemon as messages
from dora.runner import stimuli as s
from dora.runner.admin import Refusal, Visitor
from dora.runner.state.node_life import NodeLife
from dora.runner.state.routes import guest_sender, sender_of
from dora.runner.state.supervisor import Supervisor
from dora.runner.taps import expect_output
from dora.runner.type_checks import accepted_types
from dora.runner.wiring import Parcel, Wiring
from dora.transport.control import close_all


class Guests:
    """Where the wiring of each guest goes."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._visitors: dict[str, Visitor] = {}

    def add(self, guest: str, visitor: Visitor) -> None:
        """From now on, what is for that guest goes to the visitor."""
        self._visitors[guest] = visitor

    def remove(self, guest: str) -> None:
        """Nobody hears what is for that guest any more."""
        self._visitors.pop(guest, None)

    def arena(self, guest: str, output: str) -> tuple[int, int]:
        """The memfd that the guest writes to, which stays ours, and its size."""
        return self._wiring.arena(guest, output)

    def give(self, guest: str, parcel: Parcel) -> None:
        """Hand over one more edge.  Closes what the parcel owns."""
        message = parcel.message
        assert isinstance(message, node_runner.AddOutputEdge)  # what `Wiring.writer` makes
        try:
            self._say(guest, message, parcel.owned)
        finally:
            close_all(parcel.owned)

    def end_edge(self, guest: str, ended: node_runner.RemoveOutputEdge) -> None:
        """An edge of it is over."""
        self._say(guest, ended)

    def dismiss(self, guest: str) -> None:
        """The node of the output has ended."""
        self._say(guest, messages.PublishOver())

    def refuse(self, guest: str, why: str) -> None:
        """The machine has no descriptors left for it."""
        self._say(guest, messages.Refused(messages.NOT_POSSIBLE, why))

    def _say(self, guest: str, message: messages.Reply, fds: tuple[int, ...] = ()) -> None:
        visitor = self._visitors.get(guest)
        if visitor is not None:
            visitor.say(message, fds)


class GuestDesk:
    """Lets visitors publish.

    Args:
        life: the node of that name, or raises `Refusal`.
        tell: passes a stimulus to the rules.
    """

    def __init__(
        self,
        guests: Guests,
        supervisor: Supervisor,
        life: Callable[[str], NodeLife],
        *,
        tell: Callable[[s.Stimulus], None],
    ) -> None:
        self._guests = guests
        self._supervisor = supervisor
        self._life = life
        self._tell = tell
        self._last_number = 0
        self._open: dict[Visitor, str] = {}

    def open(self, request: messages.Publish, visitor: Visitor) -> None:
        """`Publish`: answer first, then wire."""
        node = self._life(request.node).plan
        expect_output(node, request.output)
        sender = sender_of(node, request.output)
        if visitor in self._open:
            raise Refusal(messages.NOT_POSSIBLE, "this connection publishes already")
        if self._supervisor.is_stopping:
            raise Refusal(messages.NOT_POSSIBLE, "the dataflow is stopping")
        if self._supervisor.is_output_ended(sender, request.output):
            raise Refusal(
                messages.NOT_POSSIBLE,
                f"node `{node.id}` has ended and its outputs are closed: nobody would hear what is sent on them",
            )
        self._last_number += 1
        guest = guest_sender(self._last_number)
        try:
            fd, size_bytes = self._guests.arena(guest, request.output)
        except (ResourceError, OSError) as error:
            raise Refusal(messages.NOT_POSSIBLE, str(error)) from error
        self._open[visitor] = guest
        self._guests.add(guest, visitor)
        stated = node.output_types.get(request.output, "")
        answer = messages.Publishing(
            size_bytes, stated, accepted_types(stated), self._unreachable(request.node, request.output)
        )
        visitor.say(answer, (fd,))
        self._tell(s.GuestCame(guest, sender, request.output))

    def forget(self, visitor: Visitor) -> None:
        """That visitor has left."""
        guest = self._open.pop(visitor, None)
        if guest is not None:
            self._guests.remove(guest)
            self._tell(s.GuestLeft(guest))

    def _unreachable(self, node: str, output: str) -> list[str]:
        """Operators of the node that read it in their own process."""
        routes = self._supervisor.topology.siblings
        return [f"{route.reader}/{route.input}" for route in routes if (route.source, route.output) == (node, output)]
