"""Operators that share a process: who gets which event, and what their answers lead to (dora node-api, section 14).

Strategy: one thread runs them all, one event at a time.  What comes from outside is taken like a node takes it; what
one operator sends to a sibling waits in a `SiblingQueue` as the very array, and inputs with something in them are
served in rounds, one message each, with one look outside after every round, so neither can starve the other.

Nobody can wait for room in a thread that is also the reader's.  So where a node would wait (`backpressure`, and a
burst into an input that states nothing) a full queue's operator handles its oldest message at once, inside
`send_output`: nothing is lost and nothing grows.  If that operator is itself in the middle of an event, room will
never come: a lossless send raises and names the cycle, any other loses the oldest message.

An operator ends by its answer, when all its inputs have closed, or at a manual STOP; only its own ports close then.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from dora import arrow
from dora.errors import NodeError
from dora.hints import outputs_hint
from dora.ids import data_id_fault
from dora.messages import metadata as metadata_codec
from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.node import events
from dora.node.file_watch import FileWatch
from dora.node.operators import STOP_ALL, HostedOperator, OperatorError
from dora.node.receiver import Taken
from dora.node.sibling_queue import SiblingQueue

_BURST_PATIENCE_S: Final = 0.5


class Outside(Protocol):
    """Everything around the operators; inputs and outputs as `<operator>/<name>`."""

    def take(self) -> Taken: ...
    def wait(self, timeout_s: float | None) -> Taken: ...
    def wake(self) -> None: ...
    def has_readers(self, output: str) -> bool: ...
    def send(self, output: str, data: Any, metadata: dict[str, Any] | None) -> None: ...
    def stamp(self, metadata: dict[str, Any]) -> None: ...
    def is_closed(self, input_id: str) -> bool: ...
    def is_timer(self, input_id: str) -> bool: ...
    def close_ports(self, inputs: Sequence[str], outputs: Sequence[str]) -> None: ...
    def stop_all(self, reason: str) -> None: ...
    def count_sent(self, slot: int, size_bytes: int, dropped: int) -> None: ...
    def count_taken(self, slot: int) -> None: ...
    def warn(self, text: str) -> None: ...


class SiblingInput:
    """An input that a sibling feeds.

    Attributes:
        is_scheduled: it stands in the host's round.
        is_source_ended: no more messages will come; INPUT_CLOSED follows the last one.
        is_closed: INPUT_CLOSED was given.
    """

    def __init__(self, member: Member, config: OperatorInput) -> None:
        self.member: Final = member
        self.name: Final = config.input
        self.slot: Final = config.slot
        self.queue: Final[SiblingQueue[events.Event]] = SiblingQueue(config.queue_size)
        self.is_lossless: Final = config.is_lossless
        self.makes_room: Final = config.is_lossless or not config.is_stated
        self.is_scheduled = False
        self.is_source_ended = False
        self.is_closed = False

    @property
    def has_news(self) -> bool:
        """There is something to tell its operator."""
        return bool(len(self.queue)) or (self.is_source_ended and not self.is_closed)


class Member:
    """One operator among those of the process.

    Attributes:
        outside_inputs: what comes from outside, by its own names.
        siblings: what siblings feed.
        readers: for each of its outputs, who reads it in this process.
        is_busy: it is in the middle of an event.
    """

    def __init__(self, code: HostedOperator, config: OperatorConfig) -> None:
        self.code: Final = code
        self.id: Final = config.id
        self.config: Final = config
        self.outside_inputs: Final = [entry.input for entry in config.inputs if not entry.sibling_output]
        self.siblings: Final = [SiblingInput(self, entry) for entry in config.inputs if entry.sibling_output]
        self.readers: Final[dict[str, list[SiblingInput]]] = {output: [] for output in config.outputs}
        self.full_names: Final = {output: f"{self.id}/{output}" for output in config.outputs}
        self.send_output: Callable[..., None] = _not_hosted
        self.is_ended = False
        self.is_busy = False
        self.warned: Final[set[str]] = set()


class Host:
    """Runs operators until all of them have ended.

    Args:
        drains_timers: a timer does not keep an operator alive whose other inputs are closed.
        watch: which of their files were saved, or None: that does not matter.
    """

    def __init__(
        self,
        operators: Sequence[tuple[HostedOperator, OperatorConfig]],
        outside: Outside,
        *,
        drains_timers: bool = False,
        watch: FileWatch | None = None,
    ) -> None:
        self._members: Final = [Member(code, config) for code, config in operators]
        self._outside: Final = outside
        self._drains_timers: Final = drains_timers
        self._watch: Final = watch
        self._failures: list[OperatorError] = []
        self._living = len(self._members)
        self._waiting = 0
        self._round: deque[SiblingInput] = deque()
        self._stack: list[Member] = []
        self._lock: Final = threading.Lock()
        self._room: Final = threading.Condition(self._lock)
        self._thread = threading.get_ident()
        self._is_drained = False
        self._inputs: Final = {
            f"{member.id}/{name}": (member, name) for member in self._members for name in member.outside_inputs
        }
        for member in self._members:
            member.send_output = self._send_output_of(member)
        self._wire()

    def _wire(self) -> None:
        by_id = {member.id: member for member in self._members}
        for member in self._members:
            sources = [entry.sibling_output for entry in member.config.inputs if entry.sibling_output]
            for source, reader in zip(sources, member.siblings, strict=True):
                sender, _, output = source.partition("/")
                by_id[sender].readers[output].append(reader)

    # -- the loop --------------------------------------------------------------------------------------------

    def run(self) -> list[OperatorError]:
        """Run until every operator has ended, or one has failed; returns what failed."""
        self._thread = threading.get_ident()
        patience_s = None if self._watch is None else self._watch.period_s
        while self._living and not self._failures:
            if self._round:
                for _ in range(len(self._round)):
                    self._serve_next()
                self._take_note(self._outside.take() if not self._is_drained else None)
            elif self._is_drained:
                self._stop_quiet()
            else:
                self._take_note(self._outside.wait(patience_s))
            if self._watch is not None:
                self._reload_changed(self._watch)
        return self._failures

    def _take_note(self, taken: Taken) -> None:
        if isinstance(taken, events.Event):
            self._route(taken)
        elif taken is not None:
            self._is_drained = True

    def _serve_next(self) -> None:
        reader = self._round.popleft()
        reader.is_scheduled = False
        self._serve(reader)
        if reader.has_news and not reader.member.is_ended:
            self._schedule(reader)

    def _serve(self, reader: SiblingInput) -> None:
        """Tell an operator the next thing about one of its inputs."""
        with self._lock:
            event = reader.queue.take()
            if event is not None:
                self._outside.count_taken(reader.slot)
            if self._waiting:
                self._room.notify_all()
        if event is not None:
            self._tell(reader.member, event)
        elif reader.is_source_ended and not reader.is_closed:
            reader.is_closed = True
            self._tell(reader.member, events.input_closed(reader.name))
            self._stop_if_closed(reader.member)

    def _schedule(self, reader: SiblingInput) -> None:
        if not reader.is_scheduled:
            reader.is_scheduled = True
            self._round.append(reader)

    # -- events from outside ---------------------------------------------------------------------------------

    def _route(self, event: events.Event) -> None:
        kind = event["type"]
        if kind == "INPUT":
            member, event["id"] = self._inputs[event["id"]]
            self._tell(member, event)
        else:
            _ROUTES.get(kind, Host._tell_all)(self, event)

    def _tell_one(self, event: events.Event) -> None:
        """Something about one input."""
        member, event["id"] = self._inputs[event["id"]]
        self._tell(member, event)
        self._stop_if_closed(member)

    def _tell_fed(self, event: events.Event) -> None:
        """Something about the node that feeds some of them."""
        for member in self._members:
            if any(entry.node == event["id"] and not entry.sibling_output for entry in member.config.inputs):
                self._tell(member, events.Event(event))

    def _tell_affected(self, event: events.Event) -> None:
        """NODE_FAILED: each hears of its own inputs."""
        affected = [self._inputs[name] for name in event["value"]["affected_input_ids"] if name in self._inputs]
        for member in self._members:
            own = [name for reader, name in affected if reader is member]
            if own:
                value = {**event["value"], "affected_input_ids": own}
                self._tell(member, events.Event(event, value=value))

    def _tell_param(self, event: events.Event) -> None:
        """Each has a value of its own, which it may change."""
        for member in self._members:
            self._tell(member, copy.deepcopy(event))

    def _tell_all(self, event: events.Event) -> None:
        for member in self._members:
            self._tell(member, events.Event(event))

    def _stop(self, event: events.Event) -> None:
        """STOP of the whole process.  When all its inputs have closed, each operator comes to that by itself."""
        if event["id"] == "ALL_INPUTS_CLOSED":
            return
        for member in self._members:
            if not member.is_ended:
                self._tell(member, events.Event(event))
                self._end(member)

    def _stop_if_closed(self, member: Member) -> None:
        if member.is_ended or not self._are_inputs_closed(member):
            return
        self._tell(member, events.stop("ALL_INPUTS_CLOSED"))
        self._end(member)

    def _are_inputs_closed(self, member: Member) -> bool:
        names = [f"{member.id}/{name}" for name in member.outside_inputs]
        data = [name for name in names if not self._outside.is_timer(name)]
        if not data and not member.siblings:
            return False
        if len(data) < len(names) and not self._drains_timers:
            return False
        return all(reader.is_closed for reader in member.siblings) and all(map(self._outside.is_closed, data))

    def _stop_quiet(self) -> None:
        """Nothing will come from outside any more and nothing waits inside: operators that feed each other end."""
        member = next(member for member in self._members if not member.is_ended)
        self._tell(member, events.stop("ALL_INPUTS_CLOSED"))
        self._end(member)

    # -- telling ---------------------------------------------------------------------------------------------

    def _tell(self, member: Member, event: events.Event) -> None:
        if member.is_ended:
            return
        member.is_busy = True
        self._stack.append(member)
        try:
            status = member.code.tell(event, member.send_output)
        except OperatorError as error:
            self._failures.append(error)
            return
        finally:
            self._stack.pop()
            member.is_busy = False
        if status:
            if status == STOP_ALL:
                self._outside.stop_all(f"operator `{member.id}` returned STOP_ALL")
            self._end(member)

    def _end(self, member: Member) -> None:
        """It gets nothing any more, and its outputs close after what it has sent."""
        if member.is_ended:
            return
        member.is_ended = True
        self._living -= 1
        for reader in member.siblings:
            with self._room:
                reader.queue.clear()
                self._room.notify_all()
        try:
            member.code.drop()
        except OperatorError as error:
            self._failures.append(error)
        if not self._living:
            return  # the process ends, and whether it is started again is the runner's business
        for reader in [reader for readers in member.readers.values() for reader in readers]:
            reader.is_source_ended = True
            if not reader.member.is_ended:
                self._schedule(reader)
        inputs = [f"{member.id}/{name}" for name in member.outside_inputs]
        self._outside.close_ports(inputs, list(member.full_names.values()))

    # -- sending ---------------------------------------------------------------------------------------------

    def _send_output_of(self, member: Member) -> Callable[..., None]:
        def send_output(
            output_id: str | None = None,
            data: Any = None,
            metadata: dict[str, Any] | None = None,
            *,
            output: str | None = None,
        ) -> None:
            """Send an array on an output of this operator (also `output=`); see `Node.send_output`.

            An operator of the same node gets the very array: do not write to its memory afterwards.
            """
            self._send(member, output_id if output is None else output, data, metadata)

        return send_output

    def _send(self, member: Member, output: Any, data: Any, metadata: dict[str, Any] | None) -> None:
        readers = member.readers.get(output) if isinstance(output, str) else None
        if readers is None or member.is_ended:
            self._refuse(member, output)
            return
        full_name = member.full_names[output]
        if not readers:
            self._outside.send(full_name, data, metadata)
            return
        array = arrow.array_of(data)
        if self._outside.has_readers(full_name):
            self._outside.send(full_name, data, metadata)
        for reader in readers:
            own, is_correlated, is_flush = metadata_codec.hand_over(metadata)
            self._outside.stamp(own)
            event = events.input_event(reader.name, array, own)
            if reader.makes_room and not is_flush and reader.queue.is_full:
                self._make_room(member, output, reader)
            self._put(reader, event, is_correlated=is_correlated, is_flush=is_flush)

    def _put(self, reader: SiblingInput, event: events.Event, *, is_correlated: bool, is_flush: bool) -> None:
        with self._lock:
            if reader.member.is_ended:
                return
            dropped = reader.queue.dropped
            reader.queue.put(event, is_correlated=is_correlated, is_flush=is_flush)
            self._outside.count_sent(reader.slot, event["value"].nbytes, reader.queue.dropped - dropped)
            self._schedule(reader)
        if threading.get_ident() != self._thread:
            self._outside.wake()

    def _make_room(self, sender: Member, output: str, reader: SiblingInput) -> None:
        """Let the reader handle its oldest messages; in a thread of the operator's own, wait until it has."""
        if threading.get_ident() != self._thread:
            self._wait_for_room(reader)
            return
        while reader.queue.is_full and not reader.member.is_ended and not self._failures:
            if reader.member.is_busy:
                if reader.is_lossless:
                    raise NodeError(self._cycle_text(sender, output, reader))
                return
            self._serve(reader)

    def _wait_for_room(self, reader: SiblingInput) -> None:
        with self._room:
            self._waiting += 1
            while reader.queue.is_full and not reader.member.is_ended and not self._failures:
                if not self._room.wait(_BURST_PATIENCE_S) and not reader.is_lossless:
                    break
            self._waiting -= 1

    def _cycle_text(self, sender: Member, output: str, reader: SiblingInput) -> str:
        busy = [member.id for member in self._stack[self._stack.index(reader.member) :]]
        return (
            f"send_output({output!r}) of operator {sender.id!r} can never end: it waits for room in input "
            f"{reader.name!r} of operator {reader.member.id!r}, which is in the middle of an event: "
            f"{' -> '.join([*busy, reader.member.id])}"
        )

    def _refuse(self, member: Member, output: Any) -> None:
        """An output that the operator does not have, or has no more."""
        if not isinstance(output, str):
            raise TypeError(f"{type(output).__name__!r} object is not an instance of 'str'")
        fault = data_id_fault(output)
        if fault is not None:
            raise NodeError(f"invalid output_id: {fault}")
        if output in member.warned:
            return
        member.warned.add(output)
        if member.is_ended:
            self._outside.warn(f"Ignoring output `{output}` of operator `{member.id}`, which has ended.")
            return
        hint = outputs_hint(output, member.readers)
        self._outside.warn(f"Ignoring output `{output}` not in the output list of operator `{member.id}`. {hint}")

    # -- hot reload ------------------------------------------------------------------------------------------

    def _reload_changed(self, watch: FileWatch) -> None:
        for file in watch.changed():
            for member in self._members:
                if member.code.file == file and not member.is_ended:
                    self._reload(member)

    def _reload(self, member: Member) -> None:
        try:
            member.code.reload()
        except OperatorError as error:
            self._outside.warn(error.report())
            return
        event = events.reload(member.id)
        try:
            member.code.tell(event, member.send_output)
        except OperatorError as error:
            self._outside.warn(error.report())


def _not_hosted(*_: object, **__: object) -> None:
    raise NodeError("this operator is not hosted yet")


_ROUTES: Final[dict[str, Callable[[Host, events.Event], None]]] = {
    "INPUT_CLOSED": Host._tell_one,
    "INPUT_RECOVERED": Host._tell_one,
    "NODE_FAILED": Host._tell_affected,
    "NODE_RESTARTED": Host._tell_fed,
    "PARAM_UPDATE": Host._tell_param,
    "STOP": Host._stop,
}
"""what is not for every operator"""
