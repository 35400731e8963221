"""What a node receives, and in which order.

Strategy: one epoll set holds the queue pipes, the control socket, a timerfd and a wake-up eventfd, so one descriptor
tells that something is there (`fileno` for select, asyncio, Qt).  Ready inputs are served in rounds, least recently
served first, one message each, so a 1 kHz input cannot starve a 1 Hz one.  No thread of ours, no prefetch: a
message leaves its queue when the user asks for it.

Order (design.md, section 4): manual STOP, restarts and parameters overtake data; NODE_FAILED, INPUT_CLOSED and
STOP/ALL_INPUTS_CLOSED come after the last message of the edge they speak of, in this order.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Collection
from operator import attrgetter
from typing import Any, Final

from dora.messages import node_runner as messages
from dora.node import events, params
from dora.node.alarms import Alarms
from dora.node.external import Arrival, External
from dora.node.farewells import Farewells
from dora.node.guests import Guests
from dora.node.inputs import Edge, Hand, Input, tick_event
from dora.node.link import Link, RunnerGone
from dora.node.silence import Heard, Silence
from dora.node.timers import Timer, monotonic_ns
from dora.node.wait_set import Ready, WaitSet
from dora.transport.counters import NODE_CALLS, NODE_LAST_CALL_NS, NODE_NEXT_TICK_NS, NODE_RECEIVING
from dora.transport.receiving import ReceiveEdge, tell_all

_ASLEEP_NS: Final = 50_000
_SERVED: Final = attrgetter("served")


class _End:
    """The stream has ended."""


END: Final = _End()
Taken = events.Event | _End | None


class Receiver:
    """The receiving half of a node.  `lock` guards all of it; nothing waits while holding it."""

    def __init__(self, link: Link) -> None:
        self.lock: Final = threading.RLock()
        self._link: Final = link
        config = link.config
        self._untold: list[ReceiveEdge] = []
        self._let_go: set[str] = set()
        self._hand: Final = Hand()
        timer_ids = {timer.input for timer in config.timers}
        self._inputs: Final = {name: self._make_input(name) for name in config.inputs if name not in timer_ids}
        for name, timeout_ns in config.input_timeouts_ns.items():
            if name in self._inputs:
                self._inputs[name].silence = Silence(timeout_ns, link.page.words)
        timers = [Timer(timer.input, timer.period_ns) for timer in config.timers]
        next_tick = (link.page.words, link.at + NODE_NEXT_TICK_NS)
        self._alarms: Final = Alarms(timers, self._inputs.values(), next_tick)
        self._guests: Final = Guests()
        self._only: Input | None = None
        self._find_only()
        self._drains_timers = config.drains_timers
        self._round: deque[Input | Timer | External] = deque()
        self._ending: list[Input] = []
        self._paused: list[Input] = []
        self._has_externals = False
        self._waiting = 0
        self._called_ns = 0
        self._is_paced = False
        self._pending: deque[events.Event] = deque()
        self._farewells: Final = Farewells()
        self.restarted: Final = self._farewells.restarted
        self._is_ended = False
        self._allowed: dict[Input, int] | None = None
        self._served = 0
        self._wait_set: Final = WaitSet()
        self._wait_set.add(link.wake_fd)
        self.wait: Final = self._wait_set.wait
        """`wait(timeout_s)` until something is there; without the lock"""
        self.fileno: Final = self._wait_set.fileno
        self._leaves_timestamp_out = os.environ.get("DORA_NO_TIMESTAMP") == "1"

    def map_edges(self) -> None:
        """Map what was wired so far, so that the first message can be taken at once."""
        with self.lock:
            self._read_inbox()

    def begin(self) -> None:
        """The barrier is open: watch the control socket and start the timers."""
        self._wait_set.add(self._link.socket.fileno())
        self._alarms.begin(self._link.start_ns)
        if self._alarms.fd >= 0:
            self._wait_set.add(self._alarms.fd)
        if self._link.inbox:
            self._link.wake_receiver()

    def _sources(self) -> list[Input]:
        """What messages come from: the inputs, and guests beside them."""
        return [*self._inputs.values(), *self._guests]

    def _find_only(self) -> None:
        """The input that is served without asking the kernel who is next, as long as nothing else can come."""
        is_alone = len(self._inputs) == 1 and not self._alarms.timers and not self._guests
        self._only = next(iter(self._inputs.values())) if is_alone else None

    # -- taking ----------------------------------------------------------------------------------------------

    def take(self, looks: bool = True) -> Taken:
        """The next event without waiting; None: nothing there; END: the stream has ended.  Holds the lock.

        Without `looks` the kernel is not asked for what has come since it was asked last.
        """
        link = self._link
        words = link.page.words
        words[link.at + NODE_LAST_CALL_NS] = self._called_ns = monotonic_ns()
        words[link.at + NODE_CALLS] += 1
        if link.has_news():
            link.pump()
        if link.inbox:
            self._read_inbox()
        try:
            event = self._next_event(looks)
            if self._pending or self._is_ended or self._ending or (self._has_externals and self._external_waits()):
                link.wake_receiver()  # there is more that no other descriptor shows, for a thread or loop that waits
        except BaseException:
            self._put_back()
            raise
        self._hand.event = None
        return event

    def take_after_wait(self, ready: Ready) -> Taken:
        """`take` after a wait that found this.  Holds the lock."""
        self._is_paced = monotonic_ns() - self._called_ns > _ASLEEP_NS
        self.note(ready)
        return self.take()

    def take_before_wait(self) -> Taken:
        """`take` for who will wait if it gives nothing.  Holds the lock.

        A reader that slept before its last event will most likely sleep again: then only `wait` asks the kernel.
        """
        return self.take(looks=not self._is_paced)

    def _put_back(self) -> None:
        """A signal handler has raised in the middle of taking an event: the next call gives what was taken."""
        if self._hand.event is not None:
            self._pending.append(self._hand.event)
            self._hand.event = None
        for source in self._sources():
            if source.was_cut_off and source not in self._round and source not in self._paused:
                self._round.appendleft(source)
        self._link.wake_receiver()

    def _external_waits(self) -> bool:
        return any(isinstance(source, External) for source in self._round)

    def _next_event(self, looks: bool) -> Taken:
        while True:
            if self._pending:
                return self._pending.popleft()
            if self._is_ended:
                return END
            if self._allowed is not None:
                return self._take_allowed(self._allowed)
            event = self._take_from_round()
            if event is not None:
                return event
            if not self._pending:
                if not looks:
                    return None
                self.note(self.wait(0))
                if not self._round and not self._pending:
                    return None

    def _take_from_round(self) -> events.Event | None:
        round_ = self._round
        while round_:
            source = round_.popleft()
            event = self._take_input(source) if isinstance(source, Input) else self._take_tick(source)
            if event is not None:
                self._served += 1
                source.served = self._served
                return event
            if self._pending:
                break
        return None

    def _take_allowed(self, allowed: dict[Input, int]) -> Taken:
        """After STOP (MANUAL): what was queued at that moment, and no ticks."""
        for source in sorted(allowed, key=_SERVED):
            while allowed[source]:
                event = source.take()
                if event is not None:
                    allowed[source] -= 1
                    self._served += 1
                    source.served = self._served
                    return event
                if len(source.edges) < 2:
                    break
                self._wait_set.unwatch(source.edges[0])
                source.drop_edge()
        self._is_ended = True
        return END

    def _take_input(self, source: Input) -> events.Event | None:
        event = source.take()
        if event is None:
            self._end_edges(source)
        elif source.silence is not None and not source.silence.due_ns and self._ends_silence(source.silence):
            self._pending += (events.input_recovered(source.id), event)
            return None
        elif source is self._only and not (self._round or self._is_paced):
            self._round.append(source)
        return event

    def _ends_silence(self, silence: Silence | Heard) -> bool:
        ends = silence.note_heard(monotonic_ns())
        self._alarms.set()
        return ends

    def _look_for_silence(self, now_ns: int) -> None:
        for name in self._alarms.look_for_silence(now_ns):
            print(f"dora: nothing came on input {name!r} for its input_timeout", file=sys.stderr)
            self._pending.append(events.input_closed(name))

    def announce(self, arrival: Arrival) -> None:
        """An external item is there.  Any thread."""
        if not self._is_ended:
            self._link.inbox.append((arrival, []))
            self._link.wake_receiver()

    def _on_arrival(self, message: Arrival, fds: list[int]) -> None:
        self._has_externals = True
        self._round.append(message.external)

    def _take_tick(self, timer: Timer | External) -> events.Event | None:
        if isinstance(timer, External):
            return timer.take_event()
        count = timer.take(monotonic_ns())
        if count is None:
            return None
        self._alarms.set()
        return tick_event(
            timer.input, count, self._link.clock.now_ns(), leaves_timestamp_out=self._leaves_timestamp_out
        )

    # -- looking ---------------------------------------------------------------------------------------------

    def note(self, ready: Ready) -> None:
        """Take note of what `wait` found.  Holds the lock."""
        link = self._link
        found: list[Input | Timer] = []
        for fd, _ in ready:
            ready_input = self._wait_set.input_of(fd)
            if ready_input is not None:
                found.append(ready_input)
            elif fd == self._alarms.fd:
                now = monotonic_ns()
                found += self._alarms.due_timers(now)
                if not self._is_stopping:
                    self._look_for_silence(now)
            elif fd == link.wake_fd:
                link.drain_wake()
            else:
                link.pump()
        if link.inbox:
            self._read_inbox()
        found += self._ending
        if len(found) > 1:
            found.sort(key=_SERVED)
        waiting = self._round
        for source in found:
            if source not in waiting:
                waiting.append(source)

    def begin_wait(self) -> None:
        """Tell senders what is free again, and publish that one more thread waits.  Holds the lock."""
        if self._untold:
            tell_all(self._untold)
        self.count_receiving(1)

    def count_receiving(self, change: int) -> None:
        """Publish how many threads wait for an event.  Holds the lock."""
        self._waiting += change
        if self._wait_set.is_over and not self._waiting:
            self._close_fds()
        self._link.page.words[self._link.at + NODE_RECEIVING] += change

    def queued_by_input(self) -> dict[str, int]:
        """Messages that wait in the queues of those inputs where some do.  Holds the lock."""
        found: Counter[str] = Counter()
        for source in self._sources():
            found[source.id] += source.queued()
        return dict(+found)

    def hear(self) -> None:
        """Note what the runner has said.  Holds the lock."""
        link = self._link
        if link.has_news():
            link.pump()
        if link.inbox:
            self._read_inbox()

    def is_empty(self) -> bool:
        """Whether `take` would give nothing.  Holds the lock."""
        self.hear()
        if self._pending or self._external_waits():
            return False
        if self._is_ended:
            return True
        if self._allowed is not None:
            return not any(left and source.queued() for source, left in self._allowed.items())
        now = monotonic_ns()
        if self._alarms.due_timers(now):
            return False
        if self._alarms.is_due(now):
            self._look_for_silence(now)
            if self._pending:
                return False
        return not any(source.queued() or source.ends_now() for source in self._sources())

    # -- leaving inputs alone --------------------------------------------------------------------------------

    def pause(self, input_id: str) -> None:
        """Leave what comes on this input in its queue, where the sender sees it.  Holds the lock."""
        for source in [one for one in self._sources() if one.id == input_id and one not in self._paused]:
            self._paused.append(source)
            if source.edges:
                self._wait_set.unwatch(source.edges[0])
            if source in self._round:
                self._round.remove(source)
            self._note_ending(source)

    def resume(self, input_id: str) -> None:
        """Read that input again.  Holds the lock."""
        for source in [one for one in self._paused if one.id == input_id]:
            self._paused.remove(source)
            self._wait_set.watch(source)
            self._round.append(source)
            self._note_ending(source)
            self._link.wake_receiver()

    def count_dropped(self, input_id: str) -> None:
        """A message of that input was taken, and nobody will get it.  Holds the lock."""
        source = self._inputs.get(input_id)
        if source is not None:
            source.count_dropped()

    # -- what the runner said --------------------------------------------------------------------------------

    def _read_inbox(self) -> None:
        inbox = self._link.inbox
        while inbox:
            message, fds = inbox.popleft()
            _HANDLERS[type(message)](self, message, fds)

    def _on_add(self, message: messages.AddInputEdge, fds: list[int]) -> None:
        source = self._input_for(message)
        if source is None:  # it is closed, and the runner has not heard of that yet
            for fd in fds:
                os.close(fd)
            return
        page = self._link.page
        at = page.edge_word(message.slot)
        source.add(message, fds, page.words, at)
        if isinstance(source.silence, Silence):
            source.silence.place(at)
        source.is_closed = message.is_guest
        if source in self._paused:
            return
        if len(source.edges) == 1:
            self._wait_set.watch(source)
        else:
            self._round.append(source)

    def _input_for(self, message: messages.AddInputEdge) -> Input | None:
        name = message.input
        source = self._inputs.get(name)
        if message.is_guest:
            return None if source is None or source.is_closed else self._make_guest(source)
        if name in self._let_go or (source is None and self._is_stopping):
            return None
        if source is None:  # `dora node connect`
            source = self._inputs[name] = self._make_input(name)
            self._find_only()
        return source

    def _make_guest(self, host: Input) -> Input:
        guest = self._make_input(host.id)
        self._guests.add(guest, host)
        if host in self._paused:
            self._paused.append(guest)
        self._find_only()
        return guest

    def _make_input(self, name: str) -> Input:
        return Input(name, self._link.config.node_id, self._link.clock, self._untold, self._hand)

    def _on_verdict(self, message: messages.EdgeVerdict, fds: list[int]) -> None:
        for source in self._sources():
            edge = source.edge(message.edge)
            if edge is None:
                continue
            edge.verdict = message.verdict
            edge.error = message.error
            edge.run = message.run
            if message.verdict == messages.RESTARTING and not self._is_stopping:
                self._pending += self._farewells.of(edge, source, self._inputs.values())
            if source.edges[0] is edge:
                self._note_ending(source)

    def _note_ending(self, source: Input) -> None:
        """Keep looking for the end of its edge, also if a forked child of the sender keeps the pipe open."""
        is_ending = bool(source.edges and source.edges[0].verdict) and source not in self._paused
        if is_ending != (source in self._ending):
            (self._ending.append if is_ending else self._ending.remove)(source)

    def _on_param(self, message: messages.Param, fds: list[int]) -> None:
        if not self._is_stopping:
            self._pending.append(params.event_of(message))

    def _on_stop(self, message: messages.Stop, fds: list[int]) -> None:
        if self._is_stopping:
            return
        self._allowed = {source: source.queued() for source in self._sources()}
        set_before = [event for event in self._pending if event["type"] in params.KINDS]
        taken = [event for event in self._pending if event["type"] == "INPUT"]  # it had left its queue
        self._pending = deque([*set_before, events.stop("MANUAL"), *taken])
        self._round.clear()

    def _on_late_start(self, message: messages.Start, fds: list[int]) -> None:
        """The node was stopped while it started, so it did not wait for this."""

    def _on_drained(self, message: messages.Drained, fds: list[int]) -> None:
        self._drains_timers = True
        self._end_if_all_closed()

    def _on_runner_gone(self, message: RunnerGone, fds: list[int]) -> None:
        """The run is over, or its runner was killed: nobody will say any more how senders end."""
        self._wait_set.remove(self._link.socket.fileno())
        if self._is_stopping:
            return
        self._drains_timers = True
        for source in self._sources():
            for edge in source.edges:
                if edge.verdict in ("", messages.RESTARTING):
                    edge.verdict = messages.CLOSED
            self._note_ending(source)
            if not source.edges and not source.is_closed:
                source.is_closed = True
                self._pending.append(events.input_closed(source.id))
            if source not in self._round:
                self._round.append(source)
        self._end_if_all_closed()
        if not self._inputs:
            self._pending.append(events.stop("MANUAL"))
            self._is_ended = True

    @property
    def _is_stopping(self) -> bool:
        return self._allowed is not None or self._is_ended

    # -- ends of edges ---------------------------------------------------------------------------------------

    def is_input_closed(self, input_id: str) -> bool:
        """INPUT_CLOSED was given, and nothing has been wired to the input since."""
        source = self._inputs.get(input_id)
        return source is None or source.is_closed

    def close_inputs(self, input_ids: Collection[str]) -> None:
        """Nobody wants these inputs any more: let go of what is queued, of their edges, and of timers."""
        with self.lock:
            self._let_go.update(input_ids)
            for source in [self._inputs.pop(name) for name in input_ids if name in self._inputs]:
                self._drop_guests(source.id)
                self._shut(source)
            self._alarms.drop(input_ids)
            timers, sources = self._alarms.timers, self._sources()
            self._round = deque(one for one in self._round if one in timers or one in sources)
            self._find_only()
            if not self._inputs and not timers and not self._is_stopping:
                self._is_ended = True
            self._end_if_all_closed()

    def _shut(self, source: Input) -> None:
        """Of its edges, and of what is queued there."""
        for edge in source.edges:
            self._wait_set.unwatch(edge)
            edge.link.close()
        source.edges.clear()

    def _drop_guests(self, input_id: str) -> None:
        """That input is closed, also for those who publish on it."""
        for guest in self._guests.of(input_id):
            self._shut(guest)
            self._forget_guest(guest)

    def _forget_guest(self, guest: Input) -> None:
        self._guests.remove(guest)
        for places in (self._round, self._ending, self._paused):
            if guest in places:
                places.remove(guest)
        self._find_only()

    def _end_edges(self, source: Input) -> None:
        while source.edges:
            edge = source.edges[0]
            if edge.link.is_ended:
                self._wait_set.unwatch(edge)
            if not source.is_drained() or (not source.is_closed and self._guests.wait_on(source.id)):
                break
            self._wait_set.unwatch(edge)
            source.drop_edge()
            self._after_edge(source, edge)
        self._note_ending(source)

    def _after_edge(self, source: Input, edge: Edge) -> None:
        if source.edges:
            self._wait_set.watch(source)
            self._round.append(source)
            return
        if source in self._guests:
            self._forget_guest(source)
            return
        if edge.verdict == messages.RESTARTING or self._is_stopping or source.is_closed:
            return
        self._pending += self._farewells.of(edge, source, self._inputs.values())
        source.is_closed = True
        is_told = False
        if isinstance(source.silence, Silence):
            source.silence.end()
            is_told = source.silence.is_silent
        if not is_told:
            self._pending.append(events.input_closed(source.id))
        self._drop_guests(source.id)
        self._end_if_all_closed()

    def _end_if_all_closed(self) -> None:
        if not self._inputs or self._is_stopping or (self._alarms.timers and not self._drains_timers):
            return
        if all(source.is_closed for source in self._inputs.values()):
            self._pending.append(events.stop("ALL_INPUTS_CLOSED"))
            self._is_ended = True

    # -- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give everything back; arrays that the user holds stay valid."""
        with self.lock:
            self._is_ended = True
            self._pending.clear()
            for told in self._untold:
                told.tell_released()
            self._untold.clear()  # so that an edge that nobody holds an array of gives its last descriptor back now
            self._round.clear()
            for source in self._sources():
                self._shut(source)
            if self._waiting:  # other threads
                self._wait_set.wake_for_good()
            else:
                self._close_fds()

    def _close_fds(self) -> None:
        self._wait_set.close()
        self._alarms.close()

    def forget(self) -> None:
        """In a forked child: leave the parent's descriptors alone."""
        self._wait_set.close()
        self._alarms.close()
        for source in self._sources():
            source.forget()


_HANDLERS: Final[dict[type, Any]] = {
    messages.AddInputEdge: Receiver._on_add,
    messages.EdgeVerdict: Receiver._on_verdict,
    messages.Param: Receiver._on_param,
    messages.Stop: Receiver._on_stop,
    messages.Drained: Receiver._on_drained,
    messages.Start: Receiver._on_late_start,
    RunnerGone: Receiver._on_runner_gone,
    Arrival: Receiver._on_arrival,
}
