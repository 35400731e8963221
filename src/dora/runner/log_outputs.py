"""The runner as a sender: `send_stdout_as`, `send_logs_as` and `dora/logs` (design.md 11.15).

Strategy: ordinary outputs with ordinary edges, `drop_oldest` always, so a slow reader of logs holds up nobody.  A
message is a one-element string array, written without pyarrow: two 4-byte offsets, padding to 64, the characters
(`dora.arrow`, encoding TEXT, type reference 1).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Final

from dora.clock import HybridClock
from dora.dataflow.descriptor import Dataflow, LogSettings
from dora.logs.encoding import encode_log_message
from dora.logs.entry import LogEntry
from dora.logs.levels import STDOUT, passes
from dora.messages import node_runner as messages
from dora.runner.state.routes import ALL_LOGS, logs_sender
from dora.runner.wiring import Parcel
from dora.transport import libc
from dora.transport.arena import Arena
from dora.transport.counters import CountersPage
from dora.transport.pipes import RECORD
from dora.transport.sending import SendEdge

_TEXT: Final = 3
_TEXT_REFERENCE: Final = 1
_OFFSETS: Final = struct.Struct("<II56x")


class _LogOutput:
    """One output that the runner sends."""

    def __init__(self, arena: Arena) -> None:
        self.arena: Final = arena
        self.edges: list[SendEdge] = []
        self.retired: list[SendEdge] = []
        self._sequence = 0

    def send(self, text: bytes, sent_ns: int, skip: str = "") -> None:
        """Send `text` to all readers but the node `skip`."""
        edges = [edge for edge in self.edges if edge.reader != skip]
        if not edges:
            return
        size = _OFFSETS.size + len(text)
        offset = self.arena.take_free(size)
        if offset < 0:
            for edge in self.edges:
                edge.reclaim()
            self.let_go_of_retired()
            try:
                offset = self.arena.allocate(size)
            except MemoryError:  # a reader that gives nothing back: its loss, and it is counted
                for edge in edges:
                    edge.count_lost(size)
                return
        raw = _OFFSETS.pack(0, len(text)) + text
        libc.memmove_held(self.arena.address + offset, raw, size)
        record = RECORD.pack(self._sequence, offset, size, 1, sent_ns, _TEXT_REFERENCE, 0, 0, _TEXT, 0)
        self._sequence += 1
        now_ns = time.monotonic_ns()
        holders = sum(edge.push(record, offset, size, _TEXT, now_ns) for edge in edges)
        self.arena.hand_over(offset, holders)

    def let_go_of_retired(self) -> None:
        """Give back what readers that were disconnected have taken."""
        self.retired = [edge for edge in self.retired if not edge.is_over()]

    def close(self) -> None:
        """Nothing more is sent."""
        for edge in (*self.edges, *self.retired):
            edge.close()
        self.arena.close()


class LogOutputs:
    """All outputs that the runner sends.

    Args:
        arena: gives the memfd of (sender, output), which this class then owns, and its size.
    """

    def __init__(
        self, dataflow: Dataflow, dataflow_id: str, page: CountersPage, arena: Callable[[str, str], tuple[int, int]]
    ) -> None:
        self._settings = {str(node.id): node.log for node in dataflow.nodes}
        self._dataflow_id = dataflow_id
        self._page = page
        self._make_arena = arena
        self._clock = HybridClock()
        self._outputs: dict[tuple[str, str], _LogOutput] = {}

    def open(self, sender: str, output: str) -> None:
        """Make ready to send on that output.

        Raises:
            ResourceError, OSError: there are no descriptors left.
        """
        if (sender, output) not in self._outputs:
            self._outputs[sender, output] = _LogOutput(Arena(*self._make_arena(sender, output)))

    def add_edge(self, sender: str, parcel: Parcel) -> None:
        """Take over the sender's ends of an edge of an output that is open."""
        message = parcel.message
        assert isinstance(message, messages.AddOutputEdge)  # what `Wiring.writer` makes
        output = self._outputs[sender, message.output]
        queue_read, queue_write, release_read = parcel.owned
        counters = (self._page.words, self._page.edge_word(message.slot))
        edge = SendEdge(
            message.edge, (queue_read, queue_write, release_read), output.arena, counters, message.queue_size
        )
        edge.reader = message.reader
        for old in [old for old in output.edges if old.number == message.replaces]:
            edge.inherit(old)
            output.edges.remove(old)
            old.close()
        output.edges.append(edge)

    def close_edge(self, sender: str, number: int) -> None:
        """Nothing more is sent on that edge; what is queued is still read."""
        for (name, _), output in self._outputs.items():
            for edge in [edge for edge in output.edges if name == sender and edge.number == number]:
                output.edges.remove(edge)
                edge.close()

    def retire_edge(self, sender: str, number: int) -> None:
        """As `close_edge`, while the output goes on: what is queued stays as it is until it was read."""
        for (name, _), output in self._outputs.items():
            output.let_go_of_retired()
            for edge in [edge for edge in output.edges if name == sender and edge.number == number]:
                output.edges.remove(edge)
                edge.retire()
                output.retired.append(edge)

    def set_log(self, node: str, settings: LogSettings) -> None:
        """What a node that is new, or stated anew, says about its lines."""
        self._settings[node] = settings

    def forget_sender(self, sender: str) -> None:
        """That sender is no more."""
        for key in [key for key in self._outputs if key[0] == sender]:
            self._outputs.pop(key).close()

    def line_sink(self, node: str) -> Callable[[str], None] | None:
        """What takes every raw line of the node, for `send_stdout_as`; None when nobody wants it."""
        output = self._settings[node].send_stdout_as
        return None if output is None else lambda line: self._send(logs_sender(node), output, line.encode())

    def entries(self, entries: list[LogEntry]) -> None:
        """Entries of one node, for `send_logs_as` and `dora/logs`."""
        wanted = [key for key in self._outputs if key[0] == ALL_LOGS]
        for entry in entries:
            settings = self._settings.get(entry.node)
            own = settings.send_logs_as if settings is not None and entry.level != STDOUT else None
            if own is None and not wanted:
                continue
            text = encode_log_message(entry, self._dataflow_id)
            if own is not None:
                self._send(logs_sender(entry.node), own, text)
            for sender, output in wanted:
                _, level, node = (*output.split("/", 2), "", "")[:3]
                if passes(entry.level, level or None) and node in ("", entry.node):
                    self._send(sender, output, text, skip=entry.node)

    def close(self) -> None:
        """Close every edge."""
        for output in self._outputs.values():
            output.close()
        self._outputs.clear()

    def _send(self, sender: str, output: str, text: bytes, skip: str = "") -> None:
        found = self._outputs.get((sender, output))
        if found is not None:
            found.send(text, self._clock.now_ns(), skip)
