"""Which edges exist: one run of a sender joined with one run of a reader (design.md 11.1-11.3).

Strategy: a route lives as long as the dataflow, an edge only as long as both its ends.  Each end is handed over
once, to the run of the node that is connected when its turn comes; a restarted node gets new edges.
An edge whose other side is not there yet waits with the runner, so nothing that is sent into it is lost.  That holds
for the next run of a reader, too: its sender is given the new edge as soon as the old run has ended, and moves the
queue there, so that the queue outlives a sender that ends before the reader is back.  Every edge that a reader was
given gets at most one verdict.  No descriptors here: `wiring.py` holds those, by edge number.

What ended runs of a sender have left for a reader that is not there costs descriptors, so it has a bound: no more than
its queue could hold, of at most `MOST_QUEUES` runs; what is older is dropped and counted.  Of a lossless input nothing
is dropped: a sender of which so many runs are unread is not started again before the reader is back (`unread_by`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dora.messages.node_runner import CLOSED, RESTARTING
from dora.runner.effects import (
    DropQueue,
    Edge,
    Effect,
    ForgetEdge,
    GiveReader,
    GiveWriter,
    RemoveEdge,
    RetireEdge,
    Route,
    SendVerdict,
)
from dora.runner.state.routes import is_guest

MOST_QUEUES: Final = 16
"""of ended runs of one sender that are kept for one input: three descriptors each"""
Verdict = tuple[str, str, int]
"""how a run of a sender ended, what is told of it, and the number of that ending: told once per reader"""


@dataclass
class _Entry:
    edge: Edge
    has_writer: bool = False
    has_reader: bool = False
    is_writer_ended: bool = False
    is_reader_ended: bool = False
    verdict: Verdict | None = None

    @property
    def is_over(self) -> bool:
        """Nothing is left to do about it: the reader has what is queued and the verdict, or wants neither."""
        return self.is_writer_ended and (self.has_reader or self.is_reader_ended)

    @property
    def is_unread(self) -> bool:
        """It holds what an ended run of the sender has left for a reader that is still to come."""
        return self.has_writer and self.is_writer_ended and not self.has_reader and not self.is_reader_ended

    @property
    def promises_restart(self) -> bool:
        return self.verdict is not None and self.verdict[0] == RESTARTING

    @property
    def is_open_to_writer(self) -> bool:
        return self.has_writer and not self.is_writer_ended


class EdgeBook:
    """The edges of a run; its methods return what must be done, in order."""

    def __init__(self, routes: Iterable[Route], queued: Callable[[Edge], int]) -> None:
        """`queued` counts the messages in a queue that no reader has yet."""
        self._queued: Final = queued
        self._outgoing: dict[str, list[Route]] = {}
        self._incoming: dict[str, list[Route]] = {}
        self._entries: dict[Route, list[_Entry]] = {}
        self._connected: set[str] = set()
        self._ended: dict[str, Verdict] = {}
        self._closed_outputs: dict[tuple[str, str], Verdict] = {}
        self._closed_inputs: set[tuple[str, str]] = set()
        self._endings: dict[str, int] = {}
        self._last_number = 0
        self._unplugged: set[tuple[str, str]] = set()
        for route in routes:
            self._enter(route)

    def _enter(self, route: Route) -> None:
        self._outgoing.setdefault(route.sender, []).append(route)
        self._incoming.setdefault(route.reader, []).append(route)
        self._entries[route] = []

    def add(self, route: Route) -> list[Effect]:
        """The graph has one more route; its messages count from the moment in which both its ends are there."""
        self._enter(route)
        self._unplugged.discard((route.reader, route.input))
        return self._connect_reader(route) if route.reader in self._connected else []

    def remove(self, route: Route) -> list[Effect]:
        """The graph has lost a route: what is queued is still read, then the input is closed."""
        effects = self._cut(route)
        others = [other for other in self._incoming[route.reader] if not is_guest(other.sender)]
        if all(other.input != route.input for other in others):
            self._unplugged.add((route.reader, route.input))
        return effects

    def _cut(self, route: Route) -> list[Effect]:
        effects: list[Effect] = []
        for entry in self._entries[route]:
            is_read = entry.has_reader and not entry.is_reader_ended and route.reader in self._connected
            if entry.is_open_to_writer and route.sender in self._connected:
                effects.append(RetireEdge(entry.edge) if is_read else RemoveEdge(entry.edge))
            if entry.has_writer and not entry.has_reader:
                effects.append(ForgetEdge(entry.edge))
        effects += self._end_writer(route, (CLOSED, "", self._endings.get(route.sender, 0)), is_final=True)
        self._outgoing[route.sender].remove(route)
        self._incoming[route.reader].remove(route)
        del self._entries[route]
        return effects

    def forget(self, name: str) -> None:
        """That node is no more, and no route leads to it or from it, but for taps."""
        self._connected.discard(name)
        for route in list(self._incoming.get(name, [])):
            self._cut(route)  # of those who publish from outside: they were told before
        self._incoming.pop(name, None)
        if not self._outgoing.get(name):
            self._outgoing.pop(name, None)
        self._ended.pop(name, None)  # but not its number of endings: another node of that name goes on counting
        self._reopen_ports(name)
        self._unplugged = {port for port in self._unplugged if port[0] != name}

    def is_input_closed(self, name: str, port: str) -> bool:
        """Whether nothing can be wired to that input any more: the operator that had it has ended."""
        return (name, port) in self._closed_inputs

    def connect(self, name: str) -> list[Effect]:
        """A run of `name` has opened its link: hand it all of its ends."""
        self._ended.pop(name, None)
        self._reopen_ports(name)
        effects: list[Effect] = []
        for route in self._outgoing.get(name, []):
            effects += self._connect_writer(route)
        self._connected.add(name)
        for route in self._incoming.get(name, []):
            effects += self._connect_reader(route)
        return effects

    def leave(self, name: str, verdict: str, error: str = "") -> list[Effect]:
        """That run of `name` is over; `RESTARTING` if another follows.  Harmless when repeated."""
        self._connected.discard(name)
        is_final = verdict != RESTARTING
        self._endings[name] = self._endings.get(name, 0) + 1
        told = (verdict, error, self._endings[name])
        if is_final:
            self._ended.setdefault(name, told)
        effects: list[Effect] = []
        for route in self._outgoing.get(name, []):
            effects += self._end_writer(route, told, is_final)
        for route in self._incoming.get(name, []):
            effects += self._end_reader(route, is_final)
        return effects

    def close_ports(self, name: str, inputs: Iterable[str], outputs: Iterable[str]) -> list[Effect]:
        """An operator of `name` has ended, the node lives on; a later run of it opens these ports again."""
        verdict = (CLOSED, "", self._endings.get(name, 0))
        self._closed_outputs |= {(name, output): verdict for output in outputs}
        self._closed_inputs |= {(name, port) for port in inputs}
        effects: list[Effect] = []
        for route in self._outgoing.get(name, []):
            if (name, route.output) in self._closed_outputs:
                effects += self._end_writer(route, verdict, is_final=True)
        for route in self._incoming.get(name, []):
            if self._is_reader_ended(route):
                effects += self._end_reader(route, is_final=True)
        return effects

    def _reopen_ports(self, name: str) -> None:
        for port in [port for port in self._closed_inputs if port[0] == name]:
            self._closed_inputs.discard(port)
        for port in [port for port in self._closed_outputs if port[0] == name]:
            del self._closed_outputs[port]

    def attach(self, route: Route) -> list[Effect]:
        """One more reader, which is there already and is no node (see `routes.tap_reader`)."""
        self._outgoing.setdefault(route.sender, []).append(route)
        self._incoming[route.reader] = [route]
        self._entries[route] = []
        self._connected.add(route.reader)
        return self._connect_reader(route)

    def detach(self, route: Route) -> list[Effect]:
        """That reader has left.  Harmless when repeated."""
        if route not in self._entries:
            return []
        effects = self.leave(route.reader, CLOSED)
        for incoming in self._incoming.pop(route.reader):
            self._outgoing[incoming.sender].remove(incoming)
            del self._entries[incoming]
        for book in (self._ended, self._endings):
            book.pop(route.reader, None)
        return effects

    def readers(self, sender: str, output: str) -> list[Route]:
        """Who reads an output now, taps included."""
        return [route for route in self._outgoing.get(sender, []) if route.output == output]

    def is_output_ended(self, sender: str, output: str) -> bool:
        """Whether its sender has ended for good."""
        return sender in self._ended or (sender, output) in self._closed_outputs

    def admit(self, route: Route) -> list[Effect]:
        """One more route, from a sender that is there already and is no node (see `routes.guest_sender`)."""
        self._enter(route)
        self._connected.add(route.sender)
        return self._connect_writer(route)

    def withdraw(self, route: Route) -> list[Effect]:
        """That sender sends no more to that reader; what a reader that is there has not read yet, it still reads."""
        return self._cut(route)

    def dismiss(self, guest: str) -> list[Effect]:
        """That sender has left; what it sent to a reader that is not there is lost."""
        effects = self.leave(guest, CLOSED)
        for route in list(self._outgoing.get(guest, [])):
            effects += [ForgetEdge(entry.edge) for entry in self._entries[route] if not entry.has_reader]
            self._incoming[route.reader].remove(route)
            del self._entries[route]
        for book in (self._outgoing, self._ended, self._endings):
            book.pop(guest, None)
        return effects

    def are_inputs_closed(self, name: str) -> bool:
        """Whether every sender of this node has ended for good, or was disconnected; False without any.

        That the node itself has closed its inputs, and then its process ends, is no reason not to restart it.
        """
        routes = [route for route in self._incoming.get(name, []) if not is_guest(route.sender)]
        has_any = bool(routes) or any(port[0] == name for port in self._unplugged)
        return has_any and all(
            (name, route.input) in self._closed_inputs or self._sender_verdict(route) for route in routes
        )

    def _sender_verdict(self, route: Route) -> Verdict | None:
        """How the sender of that route has ended for good, or None."""
        return self._ended.get(route.sender) or self._closed_outputs.get((route.sender, route.output))

    def _is_reader_ended(self, route: Route) -> bool:
        """Nobody will read that route: its reader has ended for good, or has closed the input."""
        return route.reader in self._ended or (route.reader, route.input) in self._closed_inputs

    def _new(self, route: Route) -> _Entry:
        self._last_number += 1
        entry = _Entry(Edge(self._last_number, route))
        self._entries[route].append(entry)
        return entry

    def _connect_writer(self, route: Route) -> list[Effect]:
        entries = self._entries[route]
        if entries and not entries[-1].has_writer and not entries[-1].is_writer_ended:
            entry = entries[-1]
        elif self._is_reader_ended(route):
            return []
        else:
            entry = self._new(route)
        entry.has_writer = True
        effects: list[Effect] = [GiveWriter(entry.edge)]
        if route.reader in self._connected and not entry.has_reader:
            entry.has_reader = True
            effects.append(GiveReader(entry.edge))
        self._tidy(route)
        return effects

    def _connect_reader(self, route: Route) -> list[Effect]:
        entries = self._entries[route]
        effects: list[Effect] = []
        if all(entry.has_reader for entry in entries):
            effects += self._edge_for_new_reader(route)
        for entry in entries:
            if entry.has_reader:
                continue
            entry.has_reader = True
            effects.append(GiveReader(entry.edge))
            if entry.is_writer_ended and not entry.has_writer:
                effects.append(ForgetEdge(entry.edge))
            if entry.verdict is not None:
                effects.append(SendVerdict(entry.edge, *entry.verdict))
        self._tidy(route)
        return effects

    def _edge_for_new_reader(self, route: Route) -> list[Effect]:
        entry = self._new(route)
        ended = self._sender_verdict(route)
        if ended is not None:
            entry.is_writer_ended = True
            entry.verdict = ended
        elif route.sender in self._connected:
            entry.has_writer = True
            return [GiveWriter(entry.edge)]
        return []

    def _end_writer(self, route: Route, verdict: Verdict, is_final: bool) -> list[Effect]:
        effects: list[Effect] = []
        entries = self._entries[route]
        is_heard = route.reader in self._connected
        is_promise_broken = is_final and bool(entries) and entries[-1].promises_restart
        has_run = False
        for entry in entries:
            if entry.is_writer_ended or not (entry.has_writer or is_final):
                continue
            has_run = entry.is_writer_ended = True
            entry.verdict = verdict
            if not entry.has_writer:
                effects.append(ForgetEdge(entry.edge))
            if entry.has_reader and is_heard and not entry.is_reader_ended:
                effects.append(SendVerdict(entry.edge, *verdict))
        if is_promise_broken:
            effects += self._correct_verdict(route, verdict, is_heard)
        elif not (is_final or has_run or self._sender_verdict(route)) and is_heard:
            effects += self._tell_alone(route, verdict)  # a run that ended before it was wired
        effects += self._let_go_of_oldest(route)
        self._tidy(route)
        return effects

    def _correct_verdict(self, route: Route, verdict: Verdict, is_heard: bool) -> list[Effect]:
        """The restart that was announced will not come: an edge without a writer carries the final verdict."""
        last = self._entries[route][-1]
        if not last.has_reader:
            last.verdict = verdict
            return []
        return self._tell_alone(route, verdict) if is_heard else []

    def _tell_alone(self, route: Route, verdict: Verdict) -> list[Effect]:
        """To a reader that is there, on an edge that nobody writes: the one that it waits on, or one more."""
        if self._is_reader_ended(route):
            return []
        last = self._entries[route][-1] if self._entries[route] else None
        is_waited_on = last is not None and last.has_reader and not (last.has_writer or last.is_writer_ended)
        entry = last if last is not None and is_waited_on else self._new(route)
        given: list[Effect] = [] if is_waited_on else [GiveReader(entry.edge)]
        entry.has_reader = entry.is_writer_ended = True
        entry.verdict = verdict
        return [*given, ForgetEdge(entry.edge), SendVerdict(entry.edge, *verdict)]

    def _let_go_of_oldest(self, route: Route) -> list[Effect]:
        """Of what is kept for an absent reader: empty queues, and what is older than what its queue could hold."""
        effects: list[Effect] = []
        kept = queues = 0
        for entry in [entry for entry in reversed(self._entries[route]) if entry.is_unread]:
            count = self._queued(entry.edge)
            is_old = not route.is_lossless and (kept >= route.queue_size or queues >= MOST_QUEUES)
            if is_old or not count:
                effects.append(DropQueue(entry.edge))
                self._entries[route].remove(entry)
            else:
                kept += count
                queues += 1
        return effects

    def unread_by(self, sender: str) -> Route | None:
        """A lossless route on which so much of ended runs of that sender is unread that another one has to wait."""
        for route in self._outgoing.get(sender, []):
            if route.is_lossless and sum(entry.is_unread for entry in self._entries[route]) >= MOST_QUEUES:
                return route
        return None

    def _end_reader(self, route: Route, is_final: bool) -> list[Effect]:
        effects: list[Effect] = []
        for entry in list(self._entries[route]):
            if not (entry.has_reader or is_final):
                continue
            if not entry.is_reader_ended and not (entry.has_writer and entry.has_reader):
                effects.append(ForgetEdge(entry.edge))
                entry.is_writer_ended = entry.is_writer_ended or not entry.has_writer
            if entry.is_open_to_writer:
                effects += self._take_from_writer(entry, is_final)
            entry.is_reader_ended = True
        self._tidy(route)
        return effects

    def _take_from_writer(self, entry: _Entry, is_final: bool) -> list[Effect]:
        """The reader of that edge is gone: nobody needs its queue, or it moves to the edge of the reader's next run."""
        route = entry.edge.route
        entry.is_writer_ended = True
        if route.sender not in self._connected:
            return []
        if is_final:
            return [RemoveEdge(entry.edge)]
        successor = self._new(route)
        successor.has_writer = True
        return [GiveWriter(successor.edge, entry.edge.number)]

    def _tidy(self, route: Route) -> None:
        """Forget edges that are over, but for the last one: it remembers the verdict that was told."""
        entries = self._entries[route]
        entries[:] = [entry for entry in entries[:-1] if not entry.is_over] + entries[-1:]
