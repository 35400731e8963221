"""Messages sent on an output of a run from outside, beside its node: what `dora topic pub` does.

Strategy: the runner gives every input that reads the output one more edge, whose sender is this process; what is sent
goes to the readers directly, as from any node.  Where the node would wait for room, so does `send`: for `backpressure`
inputs as long as it takes, for inputs that state nothing at most half a second in all.  Everything sent is counted:
taken by the reader, dropped, or still in its queue.

Usage:

    with Publication(RunnerLink.open(path), "camera", "image") as publication:
        publication.send(pa.array([1, 2, 3]), {"frame": 7})
        publication.wait_taken(timeout_s=1.0)
"""

from __future__ import annotations

import select
import time
from types import TracebackType
from typing import Any, Final, NamedTuple

from dora import arrow
from dora.clock import HybridClock
from dora.errors import NodeError
from dora.messages import metadata as metadata_codec
from dora.messages import node_runner
from dora.messages import runner_daemon as messages
from dora.runs.counters import CountersView
from dora.runs.framing import Arrived, RunnerRefused
from dora.runs.link import RunnerLink
from dora.transport import libc
from dora.transport.arena import Arena
from dora.transport.control import close_all
from dora.transport.counters import EDGE_DROPPED, EDGE_SENT
from dora.transport.pipes import CORRELATED, FLUSH, RECORD
from dora.transport.sending import SendEdge, queued_records

_OWN_WORDS: Final = 16
_BURST_PATIENCE_S: Final = 0.5
_FIRST_LOOK_S: Final = 0.001
_LONGEST_LOOK_S: Final = 0.02
_TAP: Final = "dora/tap/"


class OutputClosed(NodeError):
    """The node of the output has ended: its readers hear nothing more on it."""


class Delivery(NamedTuple):
    """What became of the messages to one input.

    Attributes:
        reader: `node/input`.
        taken: by the reader.
        dropped: they gave way to newer ones, or the reader ended before it took them.
        queued: they wait in its queue, and will be read also when this process has ended.
    """

    reader: str
    sent: int
    taken: int
    dropped: int
    queued: int


class _Reader:
    """One input that reads the output."""

    def __init__(self, name: str, slot: int) -> None:
        self.name: Final = name
        self.slot: Final = slot
        self.taken_before = 0
        self.words: Final = memoryview(bytearray(8 * _OWN_WORDS)).cast("Q")  # where a node would count what it sends
        self.edge: SendEdge | None = None
        self.is_lossless = False
        self.makes_wait = False

    @property
    def is_counted(self) -> bool:
        """It is an input of a node, not somebody who looks from outside."""
        return not self.name.startswith(_TAP)


class Publication:
    """One output that is sent on.  Not for several threads; closes the link.

    Args:
        link: to the run, for this alone.

    Attributes:
        stated_type: of the output, as the file has it; or empty.
        accepted: names of the Arrow types that its messages may have; empty: any.
        unreachable: inputs that read the output within its node's process, where nothing can be sent to.

    Raises:
        RunnerRefused: there is no such output, or its node has ended.
    """

    def __init__(self, link: RunnerLink, node: str, output: str) -> None:
        self._link: Final = link
        answer, fds = link.ask_for_fds(messages.Publish(node, output), messages.Publishing)
        self._arena: Final = Arena(fds[0], answer.arena_bytes)
        self.stated_type: Final = answer.stated_type
        self.accepted: Final = answer.accepted
        self.unreachable: Final = answer.unreachable
        self._clock: Final = HybridClock()
        self._readers: dict[str, _Reader] = {}
        self._sequence = 0
        self._waited_s = 0.0
        self._is_over = False
        self._counters: Final = CountersView(link)  # its answer comes behind all edges that there are
        self._hear()

    def send(self, data: Any, metadata: dict[str, Any] | None = None) -> None:
        """Send one message to everybody who reads the output.

        Args:
            data: whatever `Node.send_output` takes.

        Raises:
            OutputClosed: nobody reads it any more.
            ConnectionLost: the run is over.
        """
        body = arrow.body_of(data)
        encoded, is_correlated, is_flush = metadata_codec.encode(metadata or {})
        flags = body.encoding | is_correlated * CORRELATED | is_flush * FLUSH
        self._hear()
        if not is_flush:
            self._wait_for_room()
        if self._is_over:
            raise OutputClosed("the node of this output has ended: nobody hears what is sent on it any more")
        described = b"" if body.key is None else arrow.describe_type(body.type)
        offset = self._write(body, encoded + described)
        head = (self._sequence, offset, body.size, body.length, self._clock.now_ns(), 0, len(encoded), len(described))
        self._publish(RECORD.pack(*head, flags, 0), offset, body.size, flags)

    def deliveries(self) -> list[Delivery]:
        """What became of what was sent so far, by reader."""
        self._hear()
        return [self._delivery(reader) for reader in self._readers.values() if reader.is_counted]

    def wait_taken(self, timeout_s: float) -> bool:
        """Wait until nothing is queued any more; False: something still is."""
        due_s = time.monotonic() + timeout_s
        pause_s = _FIRST_LOOK_S
        while any(delivery.queued for delivery in self.deliveries()):
            left_s = due_s - time.monotonic()
            if left_s <= 0:
                return False
            self._pause(min(left_s, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)
        return True

    def close(self) -> None:
        """Send no more; what is queued will still be read."""
        for reader in self._readers.values():
            if reader.edge is not None:
                reader.edge.close_fds()
        self._counters.close()
        self._link.close()
        self._arena.close()

    def __enter__(self) -> Publication:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- sending ---------------------------------------------------------------------------------------------

    def _write(self, body: arrow.Body, described: bytes) -> int:
        tail = (body.size + 7) & ~7
        size = tail + len(described)
        for edge in self._edges():
            edge.reclaim()
        offset = self._arena.allocate(size)
        address = self._arena.address + offset
        if body.write is not None:
            body.write(address, libc.copy)
        else:
            libc.copy(address, body.buffer.address, body.size)
        self._arena.view[offset + tail : offset + size] = described
        return offset

    def _publish(self, record: bytes, offset: int, size: int, flags: int) -> None:
        self._sequence += 1
        now_ns = time.monotonic_ns()
        edges = self._edges()
        self._arena.hand_over(offset, len(edges))
        holders = sum(edge.push(record, offset, size, flags, now_ns) for edge in edges)
        if holders != len(edges):
            self._arena.hand_over(offset, holders)

    def _wait_for_room(self) -> None:
        """As the node would."""
        pause_s = _FIRST_LOOK_S
        while not self._is_over:
            full = [reader for reader in self._readers.values() if reader.edge is not None and reader.makes_wait]
            full = [reader for reader in full if reader.edge is not None and not reader.edge.has_room()]
            if not full:
                return
            if not any(reader.is_lossless for reader in full):
                if self._waited_s >= _BURST_PATIENCE_S:
                    return
                self._waited_s += pause_s
            self._pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    def _edges(self) -> list[SendEdge]:
        return [reader.edge for reader in self._readers.values() if reader.edge is not None]

    def _delivery(self, reader: _Reader) -> Delivery:
        sent = reader.words[EDGE_SENT]
        taken = self._counters.edge(reader.slot).taken - reader.taken_before
        queued = 0 if reader.edge is None else queued_records(reader.edge.queue_read)
        dropped = reader.words[EDGE_DROPPED] if queued else max(0, sent - taken)
        return Delivery(reader.name, sent, taken, dropped, queued)

    # -- what the runner says --------------------------------------------------------------------------------

    def _pause(self, timeout_s: float) -> None:
        """Wait for that long, or for a word of the runner."""
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.poll(timeout_s * 1000)
        self._hear()

    def _hear(self) -> None:
        while (arrived := self._link.next_arrived(0)) is not None:
            message = arrived.message
            if isinstance(message, node_runner.AddOutputEdge):
                self._add(message, arrived)
                continue
            close_all(arrived.fds)
            if isinstance(message, node_runner.RemoveOutputEdge):
                self._remove(message.edge)
            elif isinstance(message, messages.PublishOver):
                self._is_over = True
            elif isinstance(message, messages.Refused):
                raise RunnerRefused(message.code, message.message)

    def _add(self, message: node_runner.AddOutputEdge, arrived: Arrived) -> None:
        name = f"{message.reader}/{message.input}"
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = _Reader(name, message.slot)
            reader.taken_before = self._counters.edge(message.slot).taken  # by the reader of another guest, long ago
        queue_read, queue_write, release_read = arrived.fds
        edge = SendEdge(
            message.edge, (queue_read, queue_write, release_read), self._arena, (reader.words, 0), message.queue_size
        )
        if reader.edge is not None and reader.edge.number == message.replaces:
            edge.inherit(reader.edge)
            reader.edge.close()
        elif reader.edge is not None:
            reader.edge.close_fds()
        reader.edge = edge
        reader.is_lossless = message.is_lossless
        reader.makes_wait = message.is_lossless or not message.is_stated

    def _remove(self, number: int) -> None:
        for reader in self._readers.values():
            if reader.edge is not None and reader.edge.number == number:
                reader.edge.close_fds()  # what it has not read yet stays: the input may be disconnected only
                reader.edge = None
