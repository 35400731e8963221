"""The descriptors of the data plane, from making them to handing them over (design.md 11.3).

Strategy: one memfd per output while its sender lives; two pipes per edge, made when the first of its ends is handed
over.  Every pipe end is given away once and closed here in the same moment, so that EOF means what it says.  Which
edges there are is decided by `state/edges.py`; here they are numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from dora.messages import node_runner as messages
from dora.runner.effects import Edge
from dora.runner.state.routes import is_guest
from dora.transport import pipes
from dora.transport.sending import queued_records


class Parcel(NamedTuple):
    """A control message with its descriptors.

    Attributes:
        owned: closed as soon as they are sent.
        lent: stay open here.
    """

    message: messages.ToNode
    owned: tuple[int, ...] = ()
    lent: tuple[int, ...] = ()


@dataclass
class _Arena:
    """One descriptor, however many need it: when there are none left, ending a sender must not take another one."""

    fd: int
    size_bytes: int
    users: int = 1

    def let_go(self) -> None:
        self.users -= 1
        if not self.users:
            os.close(self.fd)


@dataclass
class _Ends:
    """What the runner still holds of an edge."""

    writer: tuple[int, ...]
    reader: tuple[int, ...]
    shared: int
    """the read end of the queue, which both sides get"""
    arena: _Arena | None = None
    """kept for a reader that has not come yet, when the sender has gone"""

    def close(self) -> None:
        self.close_side(is_writer=True)
        self.close_side(is_writer=False)
        if self.shared >= 0:
            os.close(self.shared)
        if self.arena is not None:
            self.arena.let_go()
        self.shared = -1
        self.arena = None

    def close_side(self, *, is_writer: bool) -> None:
        for fd in self.writer if is_writer else self.reader:
            os.close(fd)
        if is_writer:
            self.writer = ()
        else:
            self.reader = ()


class Wiring:
    """All arenas and pipe ends that have not been given away."""

    def __init__(self) -> None:
        self._arenas: dict[tuple[str, str], _Arena] = {}
        self._is_used: set[tuple[str, str]] = set()
        self._ends: dict[int, tuple[Edge, _Ends]] = {}
        self._abandoned: dict[int, bool] = {}

    def output(self, sender: str, output: str) -> Parcel:
        """`AddOutput` for a sender."""
        fd, size_bytes = self.arena(sender, output)
        return Parcel(messages.AddOutput(output, size_bytes), lent=(fd,))

    def arena(self, sender: str, output: str) -> tuple[int, int]:
        """The memfd of an output and its size, for its sender; the descriptor stays here."""
        arena = self._arena(sender, output)
        self._is_used.add((sender, output))
        return arena.fd, arena.size_bytes

    def writer(self, edge: Edge, replaces: int) -> Parcel:
        """`AddOutputEdge` for the edge's sender; the ends are the parcel's."""
        route = edge.route
        ends = self._edge(edge)
        queue_read = self._share(ends, other=ends.reader)
        queue_write, release_read = ends.writer
        ends.writer = ()
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
        arena = ends.arena or self._arena(route.sender, route.output)
        memfd = pipes.reopen_read_only(arena.fd)
        try:
            queue_read = self._share(ends, other=ends.writer)
        except OSError:
            os.close(memfd)
            raise
        (release_write,) = ends.reader
        ends.reader = ()
        if ends.arena is not None:
            ends.arena.let_go()
            ends.arena = None
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

    def queued(self, edge: Edge) -> int:
        """Messages in the queue of an edge that its reader does not have yet."""
        _, ends = self._ends.get(edge.number, (edge, None))
        return 0 if ends is None or ends.shared < 0 else queued_records(ends.shared)

    def abandon(self, edge: Edge, *, is_writer: bool) -> None:
        """That side's run has ended before it could be given its ends; the other side still gets its own."""
        known = self._ends.get(edge.number)
        if known is not None:
            known[1].close_side(is_writer=is_writer)
            self._drop_if_empty(*known)
        elif self._abandoned.setdefault(edge.number, is_writer) != is_writer:
            del self._abandoned[edge.number]  # neither side will ask for it

    def forget(self, edge: Edge) -> None:
        """Close what was not given away of an edge."""
        self._abandoned.pop(edge.number, None)
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
            is_left = edge.route.sender == sender and ends.reader and not ends.writer and ends.arena is None
            if is_left and edge.route.output in arenas:
                ends.arena = arenas[edge.route.output]
                ends.arena.users += 1
        for arena in arenas.values():
            arena.let_go()

    def forget_sender(self, sender: str) -> None:
        """That sender is no more: its arenas that nobody was given are not needed."""
        for key in [key for key in self._arenas if key[0] == sender]:
            self._is_used.discard(key)
            self._arenas.pop(key).let_go()

    def close(self) -> None:
        """Close everything."""
        for _, ends in self._ends.values():
            ends.close()
        self._ends.clear()
        for arena in self._arenas.values():
            arena.let_go()
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
        if edge.number in self._abandoned:
            ends.close_side(is_writer=self._abandoned.pop(edge.number))
        return ends

    def _share(self, ends: _Ends, *, other: tuple[int, ...]) -> int:
        """The queue's read end for one side: a copy while the `other` is to come, the original for the last."""
        if other:
            return os.dup(ends.shared)
        queue_read, ends.shared = ends.shared, -1
        return queue_read

    def _drop_if_empty(self, edge: Edge, ends: _Ends) -> None:
        if not ends.writer and not ends.reader:
            self._ends.pop(edge.number, None)
            ends.close()
