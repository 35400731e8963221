"""One input of a node: an ordered list of edges, read to their end one after the other.

An edge belongs to one run of its sender; after a restart the reader drains the old edge, then reads the
new one (design.md 11.2).  A closed verdict takes effect once the edge is drained, so INPUT_CLOSED never
overtakes a message.

A signal handler may raise in the middle of taking a message (Ctrl-C that the program survives).  The message is then
taken once more: until its event is made and noted in `hand`, its chunk is not given back.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import Any, Final

from dora import arrow
from dora.clock import HybridClock
from dora.errors import ProtocolError
from dora.messages import metadata as metadata_codec
from dora.messages import node_runner as messages
from dora.node import events
from dora.node.silence import Heard, Silence
from dora.transport.counters import EDGE_LET_GO
from dora.transport.pipes import ENCODING_MASK
from dora.transport.receiving import Hold, Mapping, ReceiveEdge, Record
from dora.transport.sending import queued_records

_COPY_UP_TO: Final = 4096
_WARN_HELD_BYTES: Final = 1 << 30
_TEXT_REFERENCE: Final = 1
_DECODING: Final = frozenset({"dora", "pyarrow", "numpy"})
"""packages in which a damaged message may raise"""
_MOST_DESCRIPTION_BYTES: Final = 1 << 28
_MOST_TYPES: Final = 1024
"""a sender describes 256 types by reference, later ones in each message"""


class Edge:
    """A receiving edge, what is known of its sender, and its type cache."""

    __slots__ = ("again", "decoders", "error", "has_warned", "link", "output", "run", "source", "verdict")

    def __init__(self, link: ReceiveEdge, source: str, output: str) -> None:
        self.link = link
        self.source = source
        self.output = output
        self.decoders: dict[int, arrow.Decoder] = {}
        self.verdict = ""
        self.error = ""
        self.run = 0
        self.has_warned = False
        self.again: tuple[Record, Any] | None = None
        """a record that was popped, and whose event was not made, with its body if that is in the arena"""


class Hand:
    """What one receiver has just taken.

    Attributes:
        event: of a message that has left its queue, until whoever took it lets go; or None.
        body: of the message that is being taken, if it stays in the arena; or None.
    """

    __slots__ = ("body", "event")

    def __init__(self) -> None:
        self.event: events.Event | None = None
        self.body: Any = None


class Input:
    """One data input.  The node's receive lock guards it.

    Attributes:
        served: when it last gave an event, as a running number; the least recent is served first.
        is_closed: INPUT_CLOSED was given.
        silence: watches its `input_timeout`, if it has one.
        hand: what was taken last.
    """

    def __init__(
        self, input_id: str, node_id: str, clock: HybridClock, untold: list[ReceiveEdge], hand: Hand | None = None
    ) -> None:
        self.id: Final = input_id
        self.served = 0
        self.is_closed = False
        self.edges: deque[Edge] = deque()
        self.silence: Silence | Heard | None = None
        self._node_id = node_id
        self._clock = clock
        self._untold = untold
        self.hand: Final = hand or Hand()
        self._leaves_timestamp_out = os.environ.get("DORA_NO_TIMESTAMP") == "1"
        self._counted: tuple[memoryview, int] | None = None

    @property
    def fd(self) -> int:
        """The queue pipe to wait on, or -1: nothing can come at present."""
        if not self.edges or self.edges[0].link.is_ended:
            return -1
        return self.edges[0].link.queue_read

    def add(self, message: messages.AddInputEdge, fds: list[int], words: memoryview, at: int) -> None:
        """One more edge, to be read after those that are there."""
        edge = ReceiveEdge(message.edge, fds[0], fds[1], Mapping(fds[2], message.arena_bytes))
        edge.count_into(words, at)
        self._counted = (words, at + EDGE_LET_GO)
        edge.tell_through(self._untold)
        self.edges.append(Edge(edge, message.source, message.output))

    def edge(self, number: int) -> Edge | None:
        """The edge of that number, if it is still being read."""
        return next((edge for edge in self.edges if edge.link.number == number), None)

    def queued(self) -> int:
        """Messages that wait."""
        links = [edge.link for edge in self.edges]
        cut_off = sum(edge.again is not None for edge in self.edges)
        queued = (queued_records(link.queue_read) for link in links if link.queue_read >= 0 and not link.is_ended)
        return sum(queued) + cut_off

    @property
    def was_cut_off(self) -> bool:
        """A message has left its queue, and `take` gives it."""
        return bool(self.edges) and self.edges[0].again is not None

    def count_dropped(self) -> None:
        """One message that was taken will not be given to the user."""
        if self._counted is not None:
            words, at = self._counted
            words[at] += 1

    def take(self) -> events.Event | None:
        """The oldest message as an event, or None: nothing there, look at `is_drained`."""
        if not self.edges:
            return None
        edge = self.edges[0]
        if edge.again is not None:
            return self._take_again(edge, *edge.again)
        record = edge.link.pop()
        if record is None:
            return self._damage(edge) if edge.link.is_damaged else None
        try:
            return self._event(edge, record)
        except BaseException as error:
            if self._is_cut_off(edge, record, error):
                raise
            return self._undecodable(edge, record, error)

    def _take_again(self, edge: Edge, record: Record, body: Any) -> events.Event:
        self.hand.body = body
        try:
            event = self._event(edge, record)
        except BaseException as error:
            edge.again = None
            if self._is_cut_off(edge, record, error):
                raise
            return self._undecodable(edge, record, error)
        edge.again = None
        return event

    def _is_cut_off(self, edge: Edge, record: Record, error: BaseException) -> bool:
        """Whether a signal handler raised that while a message was taken; then it will be taken again."""
        hand = self.hand
        body, hand.body = hand.body, None
        if isinstance(error, Exception) and not _is_of_user(error):
            return False
        if hand.event is None and (body is not None or record[2] <= _COPY_UP_TO):
            edge.again = (record, body)
        elif hand.event is None:  # cut off where nobody can tell who has its chunk
            self.count_dropped()
        return True

    def _undecodable(self, edge: Edge, record: Record, error: BaseException) -> events.Event:
        """A process boundary: whatever a sender wrote must not end this node."""
        if record[2] <= _COPY_UP_TO:
            edge.link.release_soon(record[1])
        return events.error(
            f"fatal event stream error: undecodable message on input {self.id!r} from {edge.source}/{edge.output}: "
            f"{type(error).__name__}: {error}"
        )

    def _damage(self, edge: Edge) -> events.Event:
        """The one word about a queue that holds something else than records; it is not read any further."""
        edge.link.is_damaged = False
        return events.error(
            f"fatal event stream error: input {self.id!r} is closed: {edge.source} wrote something that is no message "
            f"into the queue of {edge.source}/{edge.output}"
        )

    def is_drained(self) -> bool:
        """Whether the present edge has a verdict and nothing queued any more."""
        if not self.edges or not self.edges[0].verdict:
            return False
        link = self.edges[0].link
        return link.is_ended or not queued_records(link.queue_read)

    def ends_now(self) -> bool:
        """Whether all that was sent is read and INPUT_CLOSED follows."""
        edges = self.edges
        if not edges or edges[-1].verdict in ("", messages.RESTARTING) or self.is_closed:
            return False
        return all(edge.verdict for edge in edges) and not self.queued()

    def drop_edge(self) -> None:
        """Go on to the next edge; arrays of this one that the user holds stay valid."""
        self.edges.popleft().link.close()

    def _event(self, edge: Edge, record: Record) -> events.Event:
        _, offset, size, length, sent_ns, reference, metadata_bytes, type_bytes, flags, _ = record
        link = edge.link
        view = link.mapping.view
        tail = offset + ((size + 7) & ~7)
        if tail + metadata_bytes + type_bytes > len(view) or metadata_bytes + type_bytes > _MOST_DESCRIPTION_BYTES:
            if size > _COPY_UP_TO:
                link.release_soon(offset)
            raise ProtocolError(f"a body of {size} bytes at {offset} and {metadata_bytes} bytes of metadata")
        encoded = view[tail : tail + metadata_bytes].tobytes() if metadata_bytes else b""
        tail += metadata_bytes
        encoded_type = view[tail : tail + type_bytes].tobytes() if type_bytes else b""
        if size <= _COPY_UP_TO:
            body = arrow.small_buffer(view[offset : offset + size].tobytes())
        else:
            body = self.hand.body
            if body is None:
                body = arrow.foreign_buffer(link.mapping.address + offset, size, Hold(link, offset, size))
                self.hand.body = body
            if link.held_bytes > _WARN_HELD_BYTES and not edge.has_warned:
                self._warn_held(edge)
        metadata = metadata_codec.decode(encoded) if encoded else {}
        encoding = flags & ENCODING_MASK
        if encoding == arrow.STREAM:
            value = arrow.decode_stream(body)
        else:
            decode = edge.decoders.get(reference) or self._decoder(edge, reference, encoded_type)
            value = decode(encoding, length, body)
        self._clock.observe(sent_ns)
        if not self._leaves_timestamp_out and "timestamp" not in metadata:
            metadata["timestamp"] = events.instant_of(sent_ns)
        hand = self.hand
        hand.event = event = events.input_event(self.id, value, metadata)
        if size <= _COPY_UP_TO:
            link.release_soon(offset)
        else:
            hand.body = None
        return event

    @staticmethod
    def _decoder(edge: Edge, reference: int, encoded_type: bytes) -> arrow.Decoder:
        if encoded_type:
            return arrow.decoder_of(encoded_type)
        if reference == _TEXT_REFERENCE:
            decoder = arrow.text_decoder()
        else:
            view = edge.link.mapping.view
            length = int.from_bytes(view[reference : reference + 4], "little")
            if length > _MOST_DESCRIPTION_BYTES or len(edge.decoders) >= _MOST_TYPES:
                raise ProtocolError(f"a type of {length} bytes after {len(edge.decoders)} others")
            decoder = arrow.decoder_of(view[reference + 4 : reference + 4 + length].tobytes())
        edge.decoders[reference] = decoder
        return decoder

    def _warn_held(self, edge: Edge) -> None:
        edge.has_warned = True
        print(
            f"dora: node {self._node_id!r} keeps more than 1 GiB of arrays from input {self.id!r} "
            f"({edge.source}/{edge.output}); the sender cannot use that memory again until they are let go",
            file=sys.stderr,
        )

    def forget(self) -> None:
        """In a forked child: leave the parent's pipes alone."""
        for edge in self.edges:
            edge.link.abandon()
        self.edges.clear()


def _is_of_user(error: Exception) -> bool:
    """Whether a signal handler raised it in the middle of our work: it is not about the message then."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] not in _DECODING


def tick_event(input_id: str, count: int, now_ns: int, *, leaves_timestamp_out: bool) -> events.Event:
    """A timer's tick."""
    metadata: dict[str, Any] = {} if leaves_timestamp_out else {"timestamp": events.instant_of(now_ns)}
    return events.input_event(input_id, arrow.tick_value(count), metadata)
