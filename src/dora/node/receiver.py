"""What a node receives, and in which order.

Strategy: one epoll set holds the queue pipes, the control socket, a timerfd and a wake-up eventfd, so one descriptor
tells that something is there (`fileno` for select, asyncio, Qt).  Ready inputs are served in rounds, least recently
served first, one message each, so a 1 kHz input cannot starve a 1 Hz one.  No thread of ours, no prefetch: a
message leaves its queue when the user asks for it.

Order (design.md, section 4): manual STOP, restarts and parameters overtake data; NODE_FAILED, INPUT_CLOSED and
STOP/ALL_INPUTS_CLOSED come after the last message of the edge they speak of, in this order.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Collection
from typing import Any, Final

from dora.messages import node_runner as messages
from dora.node import events, params
from dora.node.external import Arrival, External
from dora.node.inputs import Edge, Hand, Input, tick_event
from dora.node.link import Link, RunnerGone
from dora.node.silence import Silence
from dora.node.timers import AlarmClock, Timer, monotonic_ns
from dora.transport.counters import NODE_CALLS, NODE_LAST_CALL_NS, NODE_NEXT_TICK_NS, NODE_RECEIVING
from dora.transport.receiving import ReceiveEdge

_MAX_READY: Final = 64
_NO_LIMIT: Final = 1 << 62


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
        self._inputs: Final = {
            name: Input(name, config.node_id, link.clock, self._untold, self._hand)
            for name in config.inputs
            if name not in timer_ids
        }
        self._timers: Final = [Timer(timer.input, timer.period_ns) for timer in config.timers]
        self._silences: Final = [name for name in config.input_timeouts_ns if name in self._inputs]
        for name in self._silences:
            self._inputs[name].silence = Silence(config.input_timeouts_ns[name], link.page.words)
        self._drains_timers = config.drains_timers
        self._round: deque[Input | Timer | External] = deque()
        self._ending: list[Input] = []
        self._paused: list[Input] = []
        self._has_externals = False
        self._waiting = 0
        self._end_fd = -1
        self._pending: deque[events.Event] = deque()
        self._told: set[tuple[str, str, int]] = set()
        self.restarted: Final[list[str]] = []  # nodes that feed this one, each time that one of them was restarted
        self._is_ended = False
        self._allowed: dict[str, int] | None = None
        self._served = 0
        self._alarm: AlarmClock | None = None
        self._by_fd: dict[int, Input] = {}
        self._epoll = select.epoll()
        self._epoll.register(link.wake_fd, select.EPOLLIN)
        self._leaves_timestamp_out = os.environ.get("DORA_NO_TIMESTAMP") == "1"

    def map_edges(self) -> None:
        """Map what was wired so far, so that the first message can be taken at once."""
        with self.lock:
            self._read_inbox()

    def begin(self) -> None:
        """The barrier is open: watch the control socket and start the timers."""
        self._epoll.register(self._link.socket.fileno(), select.EPOLLIN)
        if self._timers or self._silences:
            self._alarm = AlarmClock()
            self._epoll.register(self._alarm.fd, select.EPOLLIN)
            for timer in self._timers:
                timer.start(self._link.start_ns)
            self._set_alarm()
        if self._link.inbox:
            self._link.wake_receiver()

    # -- taking ----------------------------------------------------------------------------------------------

    def take(self) -> Taken:
        """The next event without waiting; None: nothing there; END: the stream has ended.  Holds the lock."""
        link = self._link
        words = link.page.words
        words[link.at + NODE_LAST_CALL_NS] = monotonic_ns()
        words[link.at + NODE_CALLS] += 1
        if link.has_news():
            link.pump()
        if link.inbox:
            self._read_inbox()
        try:
            event = self._next_event()
            if self._pending or self._is_ended or self._ending or (self._has_externals and self._external_waits()):
                link.wake_receiver()  # there is more that no other descriptor shows, for a thread or loop that waits
        except BaseException:
            self._put_back()
            raise
        self._hand.event = None
        return event

    def _put_back(self) -> None:
        """A signal handler has raised in the middle of taking an event: the next call gives what was taken."""
        if self._hand.event is not None:
            self._pending.append(self._hand.event)
            self._hand.event = None
        for source in self._inputs.values():
            if source.was_cut_off and source not in self._round and source not in self._paused:
                self._round.appendleft(source)
        self._link.wake_receiver()

    def _external_waits(self) -> bool:
        return any(isinstance(source, External) for source in self._round)

    def _next_event(self) -> Taken:
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
                self._look()
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

    def _take_allowed(self, allowed: dict[str, int]) -> Taken:
        """After STOP (MANUAL): what was queued at that moment, and no ticks."""
        for source in sorted(self._inputs.values(), key=_served):
            while allowed[source.id]:
                event = source.take()
                if event is not None:
                    allowed[source.id] -= 1
                    self._served += 1
                    source.served = self._served
                    return event
                if len(source.edges) < 2:
                    break
                self._unwatch(source.edges[0])
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
        elif not self._round and not self._timers and len(self._inputs) == 1:
            self._round.append(source)  # the only input: no need to ask the kernel who is next
        return event

    def _ends_silence(self, silence: Silence) -> bool:
        ends = silence.note_heard(monotonic_ns())
        self._set_alarm()
        return ends

    def _look_for_silence(self, now_ns: int) -> None:
        for source in self._listened():
            if source.silence.look(now_ns, source.queued()):
                print(f"dora: nothing came on input {source.id!r} for its input_timeout", file=sys.stderr)
                self._pending.append(events.input_closed(source.id))
        self._set_alarm()

    def _listened(self) -> list[Any]:
        """Inputs with an `input_timeout` that has begun."""
        found = [self._inputs[name] for name in self._silences if name in self._inputs]
        return [source for source in found if source.silence is not None and source.silence.due_ns]

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
        self._set_alarm()
        return tick_event(
            timer.input, count, self._link.clock.now_ns(), leaves_timestamp_out=self._leaves_timestamp_out
        )

    # -- looking ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self.note(self._epoll.poll(0, _MAX_READY))

    def note(self, ready: list[tuple[int, int]]) -> None:
        """Take note of what epoll found.  Holds the lock."""
        link = self._link
        found: list[Input | Timer] = []
        for fd, _ in ready:
            ready_input = self._by_fd.get(fd)
            if ready_input is not None:
                found.append(ready_input)
            elif self._alarm is not None and fd == self._alarm.fd:
                now = monotonic_ns()
                found += [timer for timer in self._timers if timer.due_ns <= now]
                if self._silences and not self._is_stopping:
                    self._look_for_silence(now)
            elif fd == link.wake_fd:
                self._drain_wake()
            else:
                link.pump()
        if link.inbox:
            self._read_inbox()
        found += self._ending
        if len(found) > 1:
            found.sort(key=_served)
        waiting = self._round
        for source in found:
            if source not in waiting:
                waiting.append(source)

    def _drain_wake(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # another thread was quicker, or closes the node
            os.eventfd_read(self._link.wake_fd)

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait until something is there.  Does not hold the lock; signal handlers run and may raise."""
        return self._epoll.poll(timeout_s, _MAX_READY)

    def begin_wait(self) -> None:
        """Tell senders what is free again, and publish that one more thread waits.  Holds the lock."""
        for edge in self._untold:
            edge.tell_released()
        self._untold.clear()
        self.count_receiving(1)

    def count_receiving(self, change: int) -> None:
        """Publish how many threads wait for an event.  Holds the lock."""
        self._waiting += change
        if self._end_fd >= 0 and not self._waiting:
            self._close_fds()
        self._link.page.words[self._link.at + NODE_RECEIVING] += change

    def _set_alarm(self) -> None:
        due = min((timer.due_ns for timer in self._timers), default=0)
        self._link.page.words[self._link.at + NODE_NEXT_TICK_NS] = due
        if self._alarm is not None:
            dues = [due or _NO_LIMIT, *(source.silence.due_ns for source in self._listened())]
            self._alarm.ring_at(min(dues))

    def fileno(self) -> int:
        """A descriptor that is readable when an event may be there."""
        return self._epoll.fileno()

    def queued_by_input(self) -> dict[str, int]:
        """Messages that wait in the queues of those inputs where some do.  Holds the lock."""
        return {source.id: count for source in self._inputs.values() if (count := source.queued())}

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
            return not any(self._allowed.get(source.id) and source.queued() for source in self._inputs.values())
        now = monotonic_ns()
        if any(timer.due_ns <= now for timer in self._timers):
            return False
        if any(source.silence.due_ns <= now for source in self._listened()):
            self._look_for_silence(now)
            if self._pending:
                return False
        return not any(source.queued() or _ends_now(source) for source in self._inputs.values())

    # -- leaving inputs alone --------------------------------------------------------------------------------

    def pause(self, input_id: str) -> None:
        """Leave what comes on this input in its queue, where the sender sees it.  Holds the lock."""
        source = self._inputs.get(input_id)
        if source is None or source in self._paused:
            return
        self._paused.append(source)
        if source.edges:
            self._unwatch(source.edges[0])
        if source in self._round:
            self._round.remove(source)
        self._note_ending(source)

    def resume(self, input_id: str) -> None:
        """Read that input again.  Holds the lock."""
        source = self._inputs.get(input_id)
        if source is None or source not in self._paused:
            return
        self._paused.remove(source)
        self._watch(source)
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
        link = self._link
        is_new = message.input not in self._inputs
        if message.input in self._let_go or (is_new and self._is_stopping):  # the runner has not heard of that yet
            for fd in fds:
                os.close(fd)
            return
        source = self._inputs.get(message.input)
        if source is None:  # `dora node connect`
            source = self._inputs[message.input] = Input(message.input, link.config.node_id, link.clock, self._untold)
        at = link.page.edge_word(message.slot)
        source.add(message, fds, link.page.words, at)
        if source.silence is not None:
            source.silence.place(at)
        if source.is_closed:
            source.is_closed = False
        if source in self._paused:
            return
        if len(source.edges) == 1:
            self._watch(source)
        else:
            self._round.append(source)

    def _on_verdict(self, message: messages.EdgeVerdict, fds: list[int]) -> None:
        for source in self._inputs.values():
            edge = source.edge(message.edge)
            if edge is None:
                continue
            edge.verdict = message.verdict
            edge.error = message.error
            edge.run = message.run
            if message.verdict == messages.RESTARTING and not self._is_stopping and self._tell_once(edge):
                self.restarted.append(edge.source)
                self._pending.append(events.node_restarted(edge.source))
            if source.edges[0] is edge:
                self._note_ending(source)

    def _note_ending(self, source: Input) -> None:
        """Keep looking for the end of its edge, also if a forked child of the sender keeps the pipe open."""
        is_ending = bool(source.edges and source.edges[0].verdict) and source not in self._paused
        if is_ending != (source in self._ending):
            (self._ending.append if is_ending else self._ending.remove)(source)

    def _tell_once(self, edge: Edge) -> bool:
        told = (edge.source, edge.verdict, edge.run)
        if told in self._told:
            return False
        self._told.add(told)
        return True

    def _on_param(self, message: messages.Param, fds: list[int]) -> None:
        if not self._is_stopping:
            self._pending.append(params.event_of(message))

    def _on_stop(self, message: messages.Stop, fds: list[int]) -> None:
        if self._is_stopping:
            return
        self._allowed = {source.id: source.queued() for source in self._inputs.values()}
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
        self._epoll.unregister(self._link.socket.fileno())
        if self._is_stopping:
            return
        self._drains_timers = True
        for source in self._inputs.values():
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
                for edge in source.edges:
                    self._unwatch(edge)
                    edge.link.close()
                source.edges.clear()
            self._timers[:] = [timer for timer in self._timers if timer.input not in input_ids]
            self._round = deque(s for s in self._round if s in self._timers or s in self._inputs.values())
            self._set_alarm()
            if not self._inputs and not self._timers and not self._is_stopping:
                self._is_ended = True
            self._end_if_all_closed()

    def _watch(self, source: Input) -> None:
        fd = source.fd
        if fd >= 0:
            self._by_fd[fd] = source
            self._epoll.register(fd, select.EPOLLIN)

    def _unwatch(self, edge: Edge) -> None:
        fd = edge.link.queue_read
        if self._by_fd.pop(fd, None) is not None:
            self._epoll.unregister(fd)  # a pipe at EOF left in epoll would spin

    def _end_edges(self, source: Input) -> None:
        while source.edges:
            edge = source.edges[0]
            if edge.link.is_ended:
                self._unwatch(edge)
            if not source.is_drained():
                break
            self._unwatch(edge)
            source.drop_edge()
            self._after_edge(source, edge)
        self._note_ending(source)

    def _after_edge(self, source: Input, edge: Edge) -> None:
        if source.edges:
            self._watch(source)
            self._round.append(source)
            return
        if edge.verdict == messages.RESTARTING or self._is_stopping or source.is_closed:
            return
        if edge.verdict == messages.FAILED and self._tell_once(edge):
            self._pending.append(events.node_failed(edge.source, edge.error, self._inputs_from(edge, source)))
        source.is_closed = True
        if source.silence is not None:
            source.silence.end()
        if source.silence is None or not source.silence.is_silent:
            self._pending.append(events.input_closed(source.id))
        self._end_if_all_closed()

    def _inputs_from(self, edge: Edge, first: Input) -> list[str]:
        others = (s for s in self._inputs.values() if any(e.source == edge.source for e in s.edges))
        return sorted({first.id, *(source.id for source in others)})

    def _end_if_all_closed(self) -> None:
        if not self._inputs or self._is_stopping or (self._timers and not self._drains_timers):
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
            for source in self._inputs.values():
                for edge in source.edges:
                    self._unwatch(edge)
                    edge.link.close()
                source.edges.clear()
            if self._waiting:  # other threads: they would not hear that what they wait on is closed
                self._end_fd = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                self._epoll.register(self._end_fd, select.EPOLLIN)
            else:
                self._close_fds()

    def _close_fds(self) -> None:
        self._epoll.close()
        if self._alarm is not None:
            self._alarm.close()
        if self._end_fd >= 0:
            os.close(self._end_fd)
            self._end_fd = -1

    def forget(self) -> None:
        """In a forked child: leave the parent's descriptors alone."""
        self._epoll.close()
        if self._alarm is not None:
            self._alarm.close()
        for source in self._inputs.values():
            source.forget()


def _served(source: Input | Timer) -> int:
    return source.served


def _ends_now(source: Input) -> bool:
    edges = source.edges
    if not edges or edges[-1].verdict in ("", messages.RESTARTING) or source.is_closed:
        return False
    return all(edge.verdict for edge in edges) and not source.queued()


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
