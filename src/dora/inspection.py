"""Messages of a run, read from outside while it runs: what `dora topic echo` shows.

Strategy: a tap is an ordinary reader of an output, with a queue of its own that drops the oldest, so it holds nobody
up and loses alone what it is too slow for (design.md 11.13).  The runner hands its ends over on the admin socket; from
then on messages come from the sender's own memory.  A sender takes up a new reader at its next call to dora.

Usage:

    with Inspection(RunnerLink.open(path)) as inspection:
        inspection.open("camera", "image", queue_size=10)
        for message in inspection.take(timeout_s=1.0):
            print(message.value)
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple

from dora.clock import HybridClock
from dora.messages import node_runner
from dora.messages import runner_daemon as messages
from dora.node.inputs import Input
from dora.runs.counters import CountersView
from dora.runs.framing import RunnerRefused
from dora.runs.link import RunnerLink
from dora.transport.control import close_all
from dora.transport.receiving import ReceiveEdge, tell_all

_OWN_WORDS: Final = 16
_IS_OVER: Final = (node_runner.CLOSED, node_runner.FAILED)


class Message(NamedTuple):
    """One message of an output.

    Attributes:
        value: the array; valid as long as it is held.  None: it could not be decoded, `error` says why.
        metadata: as the sender stated it, with `timestamp`, the time of sending.
        received_ns: when it was read here, nanoseconds since 1970.
    """

    node: str
    output: str
    value: Any
    metadata: dict[str, Any]
    received_ns: int
    error: str = ""


class Counts(NamedTuple):
    """What a tap's sender has sent to it, and how much of that was dropped because it was not read in time."""

    sent: int
    dropped: int
    size_bytes: int


class Tap:
    """One output that is looked at.

    Attributes:
        is_closed: nothing more will come; the sender has ended for good and all is read.
        guests: what others publish on the output (`topic pub`), as long as they do.
    """

    def __init__(self, node: str, output: str, clock: HybridClock, untold: list[ReceiveEdge]) -> None:
        self.node: Final = node
        self.output: Final = output
        self.is_closed = False
        self.slot = -1
        self.input: Final = Input(f"{node}/{output}", "dora", clock, untold)
        self.guests: Final[list[Input]] = []

    @property
    def sources(self) -> list[Input]:
        """All that messages come from."""
        return [self.input, *self.guests]


class Inspection:
    """All that one command looks at in one run.  Not for several threads; closes the link.

    Args:
        link: to the run, for this alone.
    """

    def __init__(self, link: RunnerLink) -> None:
        self.taps: Final[dict[int, Tap]] = {}
        self._link: Final = link
        self._clock: Final = HybridClock()
        self._untold: list[ReceiveEdge] = []
        self._own: Final = memoryview(bytearray(8 * _OWN_WORDS)).cast("Q")  # where a node would count what it takes
        self._poll: Final = select.epoll()
        self._poll.register(link.fileno(), select.EPOLLIN)
        self._counters: Final = CountersView(link)

    def open(self, node: str, output: str, *, queue_size: int) -> Tap:
        """Look at one more output, from now on.

        Raises:
            RunnerRefused: there is no such node or output.
        """
        number = len(self.taps) + 1
        self._link.ask(messages.Tap(number, node, output, queue_size), messages.Done)
        tap = self.taps[number] = Tap(node, output, self._clock, self._untold)
        return tap

    def counts(self, tap: Tap) -> Counts:
        """What was sent to a tap so far."""
        if tap.slot < 0:
            return Counts(0, 0, 0)
        counts = self._counters.edge(tap.slot)
        return Counts(counts.sent, counts.dropped, counts.bytes)

    @property
    def path(self) -> str:
        """The admin socket of the run."""
        return self._link.path

    @property
    def is_over(self) -> bool:
        """Nothing more will come from any output."""
        return all(tap.is_closed for tap in self.taps.values())

    def take(self, timeout_s: float) -> Iterator[Message]:
        """What has come; waits up to that long for the first, and ends when there is nothing any more.

        Raises:
            ConnectionLost: the run is over.
        """
        due_s = time.monotonic() + timeout_s
        while True:
            self._read_link()
            found = False
            for message in self._round():
                found = True
                yield message
            if found:
                due_s = 0.0
                continue
            left_s = due_s - time.monotonic()
            if left_s <= 0 or self.is_over:
                return
            tell_all(self._untold)
            self._poll.poll(left_s)

    def close(self) -> None:
        """Look no longer; arrays that are held stay valid."""
        for source in [source for tap in self.taps.values() for source in tap.sources]:
            for edge in source.edges:
                edge.link.close()
            source.edges.clear()
        self._untold.clear()
        self._counters.close()
        self._poll.close()
        self._link.close()

    def __enter__(self) -> Inspection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _round(self) -> Iterator[Message]:
        """One message of every output that has some."""
        for tap, source in [(one, source) for one in self.taps.values() for source in one.sources]:
            event = self._take_one(tap, source)
            if event is None:
                continue
            error = event.get("error") or ""
            yield Message(
                tap.node, tap.output, event["value"], event["metadata"] or {}, time.time_ns(), _without_prefix(error)
            )

    def _take_one(self, tap: Tap, source: Input) -> Any:
        while source.edges:
            event = source.take()
            if event is not None:
                source.hand.event = None
                return event
            edge = source.edges[0]
            if edge.link.is_ended:
                self._unwatch(edge.link)
            if not source.is_drained():
                return None
            self._unwatch(edge.link)
            source.drop_edge()
            if source in tap.guests:
                tap.guests.remove(source)
            else:
                tap.is_closed = not source.edges and edge.verdict in _IS_OVER
                self._watch(source)
        return None

    def _watch(self, source: Input) -> None:
        if source.fd >= 0:
            self._poll.register(source.fd, select.EPOLLIN)

    def _unwatch(self, link: ReceiveEdge) -> None:
        try:
            self._poll.unregister(link.queue_read)
        except FileNotFoundError:
            return  # at its end already

    def _read_link(self) -> None:
        while (arrived := self._link.next_arrived(0)) is not None:
            tap = self.taps.get(getattr(arrived.message, "tap", 0))
            if isinstance(arrived.message, messages.TapEdge) and tap is not None:
                self._add(tap, arrived.message.edge, arrived.fds)
                continue
            close_all(arrived.fds)
            if isinstance(arrived.message, messages.TapVerdict) and tap is not None:
                for edge in filter(None, (source.edge(arrived.message.edge) for source in tap.sources)):
                    edge.verdict = arrived.message.verdict
            elif isinstance(arrived.message, messages.Refused):
                raise RunnerRefused(arrived.message.code, arrived.message.message)

    def _add(self, tap: Tap, edge: node_runner.AddInputEdge, fds: list[int]) -> None:
        if edge.is_guest:
            guest = Input(tap.input.id, "dora", self._clock, self._untold)
            guest.add(edge, fds, self._own, 0)
            tap.guests.append(guest)
            self._watch(guest)
            return
        tap.input.add(edge, fds, self._own, 0)
        tap.slot = edge.slot
        tap.is_closed = False
        if len(tap.input.edges) == 1:
            self._watch(tap.input)


def _without_prefix(error: str) -> str:
    return error.removeprefix("fatal event stream error: ")
