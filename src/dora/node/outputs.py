"""One output of a node: lay out, wait for room where the rules say so, publish to all readers.

Strategy: a lock per output keeps its messages in order and lets other outputs and receiving go on.  A send waits
only for lossless inputs (`backpressure`), and, in a burst, for inputs that state nothing; it waits before it
writes, so a message goes to all readers or to none.  A send from a signal handler or finalizer that
interrupts a send on the same output is done right after it.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import Any, Final

from dora import arrow
from dora.errors import NodeError
from dora.messages import metadata as metadata_codec
from dora.messages import node_runner as messages
from dora.node.burst import BurstRule
from dora.node.link import Link, Wait, forked_error
from dora.node.sample_memory import Chunk
from dora.node.timers import monotonic_ns
from dora.transport import libc
from dora.transport.arena import Arena
from dora.transport.pipes import CORRELATED, FLUSH, RECORD
from dora.transport.sending import SendEdge

_MAX_TYPES: Final = 256
_TYPE_PAGE: Final = 4096
_AFTER_STOP_NS: Final = 500_000_000
_NEVER: Final = 1 << 62
_LOOK_AGAIN_NS: Final = 2_000_000  # the reader tells of room in batches: there may be some that it did not tell yet
_LOOK_AGAIN_MAX_NS: Final = 100_000_000


class Output:
    """One output.  `lock` guards it."""

    def __init__(self, name: str, link: Link, arena: Arena) -> None:
        self.name: Final = name
        self.lock: Final = threading.RLock()
        self._link: Final = link
        self._box = link.outboxes[name]
        self._arena = arena
        self._edges: list[SendEdge] = []
        self._lossless: list[SendEdge] = []
        self._default: list[SendEdge] = []
        self._retired: list[SendEdge] = []
        self._burst = BurstRule()
        self._sequence = 0
        self._types: dict[Any, int] = {}
        self._type_page = 0
        self._type_page_left = 0
        self._wait: Wait | None = None
        self._is_busy = False
        self._is_closed = False
        self._deferred: deque[tuple[Any, Any]] = deque()
        self._unsent: deque[int] = deque()

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, data: Any, metadata: dict[str, Any] | None) -> None:
        """Send one message; the data is copied before this returns."""
        with self.lock:
            if self._is_busy:
                self._deferred.append((self._send_data, (data, metadata)))
                return
            self._is_busy = True
            try:
                self._send_data(data, metadata)
                if self._deferred:
                    self._send_deferred()
            finally:
                self._is_busy = False

    def send_chunk(self, chunk: Chunk, size: int, encoded: tuple[bytes, int]) -> None:
        """Send a chunk that was filled in place (see `take_chunk`), with what `encode_metadata` gave."""
        if self._link.is_forked:
            raise forked_error(self._link.pid)
        with self.lock:
            if self._is_busy:
                self._deferred.append((self._send_chunk, (chunk, size, encoded)))
                return
            self._is_busy = True
            try:
                self._send_chunk(chunk, size, encoded)
                if self._deferred:
                    self._send_deferred()
            finally:
                self._is_busy = False

    def _send_deferred(self) -> None:
        """What a signal handler or finalizer sent in the middle of our send."""
        while self._deferred:
            action, arguments = self._deferred.popleft()
            action(*arguments)

    def _send_data(self, data: Any, metadata: dict[str, Any] | None) -> None:
        if self._default:
            self._burst.enter()
        body = arrow.body_of(data)
        size = body.size
        encoded, flags = encode_metadata(metadata)
        if not self._before(size, flags):
            return
        reference, inline = (0, b"") if body.key is None else self._type_reference(body)
        tail = (size + 7) & ~7
        arena = self._arena
        whole = tail + len(encoded) + len(inline)
        offset = arena.take_free(whole)
        if offset < 0:
            offset = self._allocate(whole)
        if body.buffer is not None and size < libc.RELEASE_GIL_FROM:
            arena.signed_view[offset : offset + size] = body.buffer
        else:
            self._fill(offset, body)
        if encoded or inline:
            self._append(offset + tail, encoded + inline)
        flags |= body.encoding
        sent_ns = self._link.clock.now_ns()
        head = (self._sequence, offset, size, body.length, sent_ns, reference, len(encoded), len(inline), flags, 0)
        self._publish(RECORD.pack(*head), offset, size, flags)

    def _send_chunk(self, chunk: Chunk, size: int, described: tuple[bytes, int]) -> None:
        if self._default:
            self._burst.enter()
        encoded, flags = described
        offset = chunk.offset
        tail = (size + 7) & ~7
        if not self._before(size, flags):
            chunk.is_sent = True
            self._arena.drop(offset)
            return
        body = arrow.bytes_body(0, size, None)
        reference, inline = self._type_reference(body)
        extra = encoded + inline
        if tail + len(extra) > 1 << Arena.class_of(tail + _TYPE_PAGE):
            moved = self._allocate(tail + len(extra))
            libc.copy(self._arena.address + moved, self._arena.address + offset, size)
            chunk.is_sent = True
            self._arena.drop(offset)
            offset = moved
        chunk.is_sent = True
        self._append(offset + tail, extra)
        flags |= arrow.FLAT
        sent_ns = self._link.clock.now_ns()
        head = (self._sequence, offset, size, size, sent_ns, reference, len(encoded), len(inline), flags, 0)
        self._publish(RECORD.pack(*head), offset, size, flags)

    def _publish(self, record: bytes, offset: int, size: int, flags: int) -> None:
        self._sequence += 1
        now_ns = monotonic_ns()
        edges = self._edges
        if len(edges) != 1:
            self._arena.hand_over(offset, len(edges))  # before the first has it: Ctrl-C may leak a chunk, never free it
        holders = 0
        for edge in edges:
            holders += edge.push(record, offset, size, flags, now_ns)
        if holders != len(edges):
            self._arena.hand_over(offset, holders)
        burst = self._burst
        if self._default and (
            burst.is_unsure or burst.run == 1 or size >= libc.RELEASE_GIL_FROM or flags & arrow.STREAM
        ):
            burst.finish()

    def _fill(self, offset: int, body: arrow.Body) -> None:
        try:
            if body.write is not None:
                body.write(self._arena.address + offset, libc.copy)
            else:
                libc.copy(self._arena.address + offset, body.buffer.address, body.size)
        except BaseException:
            self._arena.drop(offset)
            raise

    def _append(self, offset: int, extra: bytes) -> None:
        self._arena.view[offset : offset + len(extra)] = extra

    def _before(self, size: int, flags: int) -> bool:
        """Hear what the runner said, then wait for room where the rules say so; False: there is nothing to publish."""
        link = self._link
        if link.page.words[link.announced_at] != link.seen:
            link.pump()
        if self._box:
            self.read_box()
        if self._is_closed or link.is_lost:
            return self._give_up(size)
        if self._default and self._burst.is_burst(self._default[0].queue_size):
            self._wait_in_burst()
        if self._lossless and not flags & FLUSH and not self._wait_lossless(size):
            return False
        return bool(self._edges)

    def _give_up(self, size: int) -> bool:
        """Nobody will hear that message.  A run that was stopped may be over before its STOP was heard: no error."""
        if self._is_closed or not self._link.stopped_ns:
            raise NodeError(f"cannot send on output {self.name!r}: this node's link to dora is closed")
        for edge in self._edges:
            edge.count_lost(size)
        return False

    def _allocate(self, size: int) -> int:
        """A chunk, after looking at what the readers gave back."""
        self._reclaim()
        return self._arena.allocate(size)

    def _reclaim(self) -> None:
        while self._unsent:
            self._arena.drop(self._unsent.popleft())
        for edge in self._edges:
            edge.reclaim()
        self._let_go_of_retired()

    def _type_reference(self, body: arrow.Body) -> tuple[int, bytes]:
        """Where the type stands in the arena, or its description to travel with the message."""
        reference = self._types.get(body.key)
        if reference is not None:
            return reference, b""
        description = arrow.describe_type(body.type)
        needed = (4 + len(description) + 7) & ~7
        if len(self._types) >= _MAX_TYPES or needed > _TYPE_PAGE - 8:
            return 0, description
        if needed > self._type_page_left:
            self._type_page = self._arena.allocate(_TYPE_PAGE) + 8  # never freed; 8: a reference is never 0 or 1
            self._type_page_left = _TYPE_PAGE - 8
        reference = self._type_page
        self._type_page += needed
        self._type_page_left -= needed
        raw = len(description).to_bytes(4, "little") + description
        libc.memmove_held(self._arena.address + reference, raw, len(raw))
        self._types[body.key] = reference
        return reference, b""

    # -- chunks filled in place ------------------------------------------------------------------------------

    def take_chunk(self, size: int) -> Chunk:
        """A chunk for `size` bytes and what travels with them."""
        with self.lock:
            if self._box:
                self.read_box()
            if self._is_closed:
                raise NodeError(f"cannot send on output {self.name!r}: this node's link to dora is closed")
            whole = ((size + 7) & ~7) + _TYPE_PAGE
            offset = self._arena.take_free(whole)
            if offset < 0:
                offset = self._allocate(whole)
            return Chunk(self.give_back, offset, self._arena.address + offset)

    def give_back(self, offset: int) -> None:
        """That chunk will not be sent.  Any thread, also a finalizer."""
        self._unsent.append(offset)

    # -- waiting for room ------------------------------------------------------------------------------------

    def _wait_in_burst(self) -> None:
        is_full = any(not edge.has_room() for edge in self._default)
        budget_ns = self._burst.budget_ns()
        if not is_full or budget_ns <= 0 or self._link.stopped_ns or self._burst.has_slept():
            return
        begun = monotonic_ns()
        self._wait_for_room(begun + budget_ns, is_lossless=False)
        self._burst.count_wait(monotonic_ns() - begun)

    def _wait_lossless(self, size: int) -> bool:
        is_full = any(not edge.has_room() for edge in self._lossless)
        return not is_full or self._wait_for_room(_NEVER, is_lossless=True) or self._give_up(size)

    def _wait_for_room(self, until_ns: int, *, is_lossless: bool) -> bool:
        """Wait until all edges of that kind have room; False when the time is over or the node was stopped."""
        wait = self._wait = self._wait or Wait()
        link = self._link
        link.waits.add(wait)
        look_again_ns = _LOOK_AGAIN_NS
        link.count_blocked(1 if is_lossless else 0)
        try:
            while full := self._full(is_lossless=is_lossless):
                if link.is_lost and link.stopped_ns:
                    return False
                if link.is_lost:
                    raise NodeError(f"send_output({self.name!r}) can never end: the runner of this dataflow is gone")
                self._raise_if_deadlocked(wait, full, is_lossless=is_lossless)
                if link.stopped_ns:
                    until_ns = min(until_ns, link.stopped_ns + _AFTER_STOP_NS)
                left_ns = until_ns - monotonic_ns()
                if left_ns <= 0:
                    return False
                self._poll(full, wait, min(left_ns, look_again_ns))
                look_again_ns = min(look_again_ns * 2, _LOOK_AGAIN_MAX_NS)
            return True
        finally:
            for edge in self._edges:
                edge.set_waiting(False)
            self._burst.leave()
            link.waits.discard(wait)
            link.count_blocked(-1 if is_lossless else 0)
            wait.cycle = ""

    def _full(self, *, is_lossless: bool) -> list[SendEdge]:
        """The edges without room, told to say when there is some; anew each time: a restart replaces an edge."""
        full = [edge for edge in (self._lossless if is_lossless else self._default) if not edge.has_room()]
        for edge in full:
            edge.set_waiting(True)
        return [edge for edge in full if not edge.has_room()]

    def _poll(self, full: list[SendEdge], wait: Wait, left_ns: int) -> None:
        """One wait on the release pipes of the full edges, the control socket and the wake-up."""
        link = self._link
        poll = select.poll()
        for edge in full:
            if not edge.is_hung_up:
                poll.register(edge.release_read, select.POLLIN)
        poll.register(link.socket.fileno(), select.POLLIN)
        poll.register(wait.wake_fd, select.POLLIN)
        found = dict(poll.poll(left_ns / 1e6))
        for edge in full:
            event = found.get(edge.release_read, 0)
            if event:
                edge.reclaim()
            if event & select.POLLHUP:
                edge.is_hung_up = True  # its reader is dead; only the runner's verdict ends the wait
        if link.socket.fileno() in found:
            link.pump()
        if wait.wake_fd in found:
            os.eventfd_read(wait.wake_fd)
        if self._box:
            self.read_box()

    def _raise_if_deadlocked(self, wait: Wait, full: list[SendEdge], *, is_lossless: bool) -> None:
        if not is_lossless:
            return
        if wait.cycle:
            raise NodeError(
                f"send_output({self.name!r}) can never end: full lossless queues form a cycle: {wait.cycle}"
            )
        node = self._link.config.node_id
        for edge in full:
            if edge.reader == node and not libc.thread_count():
                raise NodeError(
                    f"send_output({self.name!r}) can never end: it waits for room in input {edge.input!r} of this same "
                    f"node, and there is no other thread: {node}/{self.name} -> {node}/{edge.input}"
                )

    # -- edges -----------------------------------------------------------------------------------------------

    def has_readers(self) -> bool:
        """Whether anybody reads it, as far as the runner has said."""
        link = self._link
        if link.page.words[link.announced_at] != link.seen:
            link.pump()
        return bool(self._edges or self._box)

    def read_box(self) -> None:
        """Take up new edges and let go of ended ones.  Holds the lock."""
        while self._box:
            message, fds = self._box.popleft()
            if isinstance(message, messages.AddOutputEdge):
                self._add(message, fds)
            elif message.is_read:
                self._retire(message.edge)
            else:
                self._remove(message.edge)
        self._let_go_of_retired()
        self._lossless = [edge for edge in self._edges if edge.is_lossless]
        self._default = [edge for edge in self._edges if not edge.is_stated]
        if self._wait is None and (self._lossless or self._default):
            self._wait = Wait()  # now, so that a node's descriptors do not grow when it first waits

    def _add(self, message: messages.AddOutputEdge, fds: list[int]) -> None:
        page = self._link.page
        counters = (page.words, page.edge_word(message.slot))
        edge = SendEdge(message.edge, (fds[0], fds[1], fds[2]), self._arena, counters, message.queue_size)
        edge.is_lossless = message.is_lossless
        edge.is_stated = message.is_stated
        edge.reader = message.reader
        edge.input = message.input
        dead = next((other for other in self._edges if other.number == message.replaces), None)
        if dead is not None:
            edge.inherit(dead)
            self._remove(dead.number)
        self._edges.append(edge)

    def _remove(self, number: int) -> None:
        for edge in [edge for edge in self._edges if edge.number == number]:
            self._edges.remove(edge)
            edge.close()

    def _retire(self, number: int) -> None:
        """Its input was disconnected: the reader still takes what is queued, and holds what it has taken."""
        for edge in [edge for edge in self._edges if edge.number == number]:
            self._edges.remove(edge)
            edge.retire()
            self._retired.append(edge)

    def _let_go_of_retired(self) -> None:
        if self._retired:
            self._retired = [edge for edge in self._retired if not edge.is_over()]

    def try_read_box(self) -> None:
        """Take up changes now if no send is going on; a send takes them up itself."""
        if self._box and self.lock.acquire(blocking=False):
            try:
                if not self._is_busy:
                    self.read_box()
            finally:
                self.lock.release()

    def close(self) -> None:
        """Nothing more will be sent; readers still get what is queued."""
        with self.lock:
            self._is_closed = True
            if self._box:
                self.read_box()
            for edge in (*self._edges, *self._retired):
                edge.close_fds()
            if self._wait is not None:
                self._wait.close()
            self._edges.clear()
            self._lossless = []
            self._default = []

    def forget(self) -> None:
        """In a forked child: leave the parent's pipes alone."""
        self._is_closed = True
        for edge in (*self._edges, *self._retired):
            edge.close_fds()


def encode_metadata(metadata: dict[str, Any] | None) -> tuple[bytes, int]:
    """The bytes, and the flags of the record."""
    if metadata is None:
        return b"", 0
    encoded, is_correlated, is_flush = metadata_codec.encode(metadata)
    return encoded, (CORRELATED if is_correlated else 0) | (FLUSH if is_flush else 0)
