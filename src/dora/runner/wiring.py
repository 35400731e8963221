"""The descriptors of the data plane, from making them to handing them over (design.md 11.3).

Strategy: one memfd per output while its sender lives; two pipes per edge, made when the first of its ends is handed
over.  Every pipe end is given away once and closed here in the same moment, so that EOF means what it says.  Which
edges there are is decided by `state/edges.py`; here they are numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import NamedTuple

from dora.messages import node_runner as messages
from dora.runner.effects import Edge
from dora.runner.state.routes import is_guest
from dora.transport import pipes


class Parcel(NamedTuple):
    """A control message with its descriptors.

    Attributes:
        owned: closed as soon as they are sent.
        lent: stay open here.
    """

    message: messages.ToNode
    owned: tuple[int, ...] = ()
    lent: tuple[int, ...] = ()


class _Arena(NamedTuple):
    fd: int
    size_bytes: int


@dataclass
class _Ends:
    """What the runner still holds of an edge."""

    writer: tuple[int, ...]
    reader: tuple[int, ...]
    shared: int
    """the read end of the queue, which both sides get"""
    arena: _Arena | None = field(default=None)
    """kept for a reader that has not come yet, when the sender has gone"""

    def close(self) -> None:
        fds = [*self.writer, *self.reader, *([self.shared] if self.shared >= 0 else [])]
        for fd in fds:
            os.close(fd)
        if self.arena is not None:
            os.close(self.arena.fd)
        self.writer = self.reader = ()
        self.shared = -1
        self.arena = None


class Wiring:
    """All arenas and pipe ends that have not been given away."""

    def __init__(self) -> None:
        self._arenas: dict[tuple[str, str], _Arena] = {}
        self._is_used: set[tuple[str, str]] = set()
        self._ends: dict[int, tuple[Edge, _Ends]] = {}

    def output(self, sender: str, output: str) -> Parcel:
        """`AddOutput` for a sender."""
        fd, size_bytes = self.arena(sender, output)
        return Parcel(messages.AddOutput(output, size_bytes), lent=(fd,))

    def arena(self, sender: str, output: str) -> tuple[int, int]:
        """The memfd of an output and its size, for its sender; the descriptor stays here."""
        arena = self._arena(sender, output)
        self._is_used.add((sender, output))
        return arena

    def writer(self, edge: Edge, replaces: int) -> Parcel:
        """`AddOutputEdge` for the edge's sender; the ends are the parcel's."""
        route = edge.route
        ends = self._edge(edge)
        queue_write, release_read = ends.writer
        ends.writer = ()
        queue_read = self._share(ends)
        self._drop_if_empty(edge, ends)
        message = messages.AddOutputEdge(
            edge=edge.number,
            output=route.output,
            reader=route.reader,
            input=route.input,
            slot=route.slot,
            queue_size=route.queue_size,
            is_lossless=route.is_lossless,
            is_stated=route.is_stated,
            replaces=replaces,
        )
        return Parcel(message, owned=(queue_read, queue_write, release_read))

    def reader(self, edge: Edge) -> Parcel:
        """`AddInputEdge` for the edge's reader; the ends are the parcel's."""
        route = edge.route
        ends = self._edge(edge)
        (release_write,) = ends.reader
        ends.reader = ()
        queue_read = self._share(ends)
        kept, ends.arena = ends.arena, None
        arena = kept or self._arena(route.sender, route.output)
        memfd = pipes.reopen_read_only(arena.fd)
        if kept is not None:
            os.close(kept.fd)
        self._drop_if_empty(edge, ends)
        message = messages.AddInputEdge(
            edge=edge.number,
            input=route.input,
            source=route.source,
            output=route.output,
            slot=route.slot,
            arena_bytes=arena.size_bytes,
            is_guest=is_guest(route.sender),
        )
        return Parcel(message, owned=(queue_read, release_write, memfd))

    def forget(self, edge: Edge) -> None:
        """Close what was not given away of an edge."""
        _, ends = self._ends.pop(edge.number, (edge, None))
        if ends is not None:
            ends.close()

    def close_outputs(self, sender: str) -> None:
        """That run of the sender is over; a reader that still has to come gets what is queued for it.

        An arena that the sender never got waits for its next run: readers may have been given it.
        """
        used = [key for key in self._is_used if key[0] == sender]
        self._is_used.difference_update(used)
        arenas = {key[1]: self._arenas.pop(key) for key in used}
        for edge, ends in self._ends.values():
            if edge.route.sender == sender and ends.reader and not ends.writer and ends.arena is None:
                arena = arenas[edge.route.output]
                ends.arena = _Arena(os.dup(arena.fd), arena.size_bytes)
        for arena in arenas.values():
            os.close(arena.fd)

    def forget_sender(self, sender: str) -> None:
        """That sender is no more: its arenas that nobody was given are not needed."""
        for key in [key for key in self._arenas if key[0] == sender]:
            self._is_used.discard(key)
            os.close(self._arenas.pop(key).fd)

    def close(self) -> None:
        """Close everything."""
        for _, ends in self._ends.values():
            ends.close()
        self._ends.clear()
        for arena in self._arenas.values():
            os.close(arena.fd)
        self._arenas.clear()

    def _arena(self, sender: str, output: str) -> _Arena:
        arena = self._arenas.get((sender, output))
        if arena is None:
            arena = self._arenas[sender, output] = _Arena(*pipes.make_arena())
        return arena

    def _edge(self, edge: Edge) -> _Ends:
        known = self._ends.get(edge.number)
        if known is not None:
            return known[1]
        fds = pipes.make_edge(edge.route.queue_size)
        ends = _Ends(writer=(fds.queue_write, fds.release_read), reader=(fds.release_write,), shared=fds.queue_read)
        self._ends[edge.number] = (edge, ends)
        return ends

    def _share(self, ends: _Ends) -> int:
        """The queue's read end for one side: a copy for the first, the original for the second."""
        if ends.writer or ends.reader:
            return os.dup(ends.shared)
        queue_read, ends.shared = ends.shared, -1
        return queue_read

    def _drop_if_empty(self, edge: Edge, ends: _Ends) -> None:
        if not ends.writer and not ends.reader:
            self._ends.pop(edge.number, None)
            ends.close()
