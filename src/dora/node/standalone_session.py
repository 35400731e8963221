"""What is behind a `Node` that has no runner: a source of events, and a sink for what it sends.

Strategy: the very `Node` class of a dataflow, with doubles of the few parts it talks to (link, receiver, outputs).
What is sent is laid out and read back by the code of the real data path, so arrays, metadata and errors are what
a receiver would get; samples (`send_output_raw`) are real samples over ordinary memory.
"""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from dora import arrow
from dora.clock import HybridClock
from dora.errors import NodeError
from dora.ids import data_id_fault
from dora.messages import metadata as metadata_codec
from dora.node import events
from dora.node.receiver import Taken
from dora.node.sample_memory import Chunk
from dora.transport import libc


class Source(Protocol):
    """Where events come from.  `take` never waits; `wait` returns whether to look again."""

    def take(self) -> Taken: ...
    def wait(self, timeout_s: float | None) -> bool: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Sink(Protocol):
    """Where messages go: output, value and metadata as a receiver would get them."""

    def take(self, output: str, value: Any, metadata: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


class MessageClock(Protocol):
    """The clock of timestamps, nanoseconds since 1970."""

    def now_ns(self) -> int: ...
    def observe(self, received_ns: int) -> None: ...


@dataclass
class StandaloneConfig:
    """What the node is told about itself.

    Attributes:
        outputs: the declared outputs; None: every output exists.
        stated_descriptor: what `dataflow_descriptor()` returns; None: there is none, and it raises.
    """

    node_id: str
    dataflow_id: str = ""
    io: dict[str, Any] = field(default_factory=lambda: {"inputs": {}, "outputs": []})
    outputs: list[str] | None = None
    restart_count: int = 0
    stated_descriptor: dict[str, Any] | None = None

    @property
    def descriptor(self) -> dict[str, Any]:
        """The dataflow file.

        Raises:
            NodeError: this node belongs to none.
        """
        if self.stated_descriptor is None:
            raise NodeError("this node runs without a dataflow, so there is no dataflow descriptor")
        return self.stated_descriptor


class StandaloneLink:
    """In place of the link to a runner: who the node is, and the clock of its messages."""

    def __init__(self, config: StandaloneConfig, clock: MessageClock | None = None) -> None:
        self.config: Final = config
        self.clock: Final = HybridClock() if clock is None else clock
        self.pid: Final = os.getpid()
        self.is_forked = False
        self.is_closed = False
        self.is_lost = False


class StandaloneReceiver:
    """In place of the receiver: hands out the events of a source, with the timestamps that messages have."""

    def __init__(self, source: Source, clock: MessageClock) -> None:
        self.lock: Final = threading.RLock()
        self.restarted: Final[list[str]] = []
        self._source = source
        self._clock = clock
        self._leaves_timestamp_out = os.environ.get("DORA_NO_TIMESTAMP") == "1"
        self._pending: Taken = None

    def take(self) -> Taken:
        """The next event without waiting."""
        taken, self._pending = self._pending, None
        return self._stamped(self._source.take()) if taken is None else taken

    take_before_wait = take

    def _stamped(self, taken: Taken) -> Taken:
        if isinstance(taken, events.Event) and taken["type"] == "NODE_RESTARTED":
            self.restarted.append(taken["id"])
        if isinstance(taken, events.Event) and taken["type"] == "INPUT":
            metadata = taken["metadata"]
            if not self._leaves_timestamp_out and "timestamp" not in metadata:
                metadata["timestamp"] = events.instant_of(self._clock.now_ns())
        return taken

    def hear(self) -> None:
        """There is no runner."""

    def begin_wait(self) -> None:
        """Nobody has to be told."""

    def count_receiving(self, change: int) -> None:
        """Nobody counts."""

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait for the source; not empty: look again."""
        return [(0, 0)] if self._source.wait(timeout_s) else []

    def note(self, ready: list[tuple[int, int]]) -> None:
        """`take` looks by itself."""

    def take_after_wait(self, ready: list[tuple[int, int]]) -> Taken:
        """`take` after a wait that found this."""
        return self.take()

    def queued_by_input(self) -> dict[str, int]:
        """Nothing: no sender is faster than the node."""
        return {}

    def pause(self, input_id: str) -> None:
        """There is no queue to leave anything in."""

    def resume(self, input_id: str) -> None:
        """Nothing was left."""

    def count_dropped(self, input_id: str) -> None:
        """Nobody counts."""

    def is_input_closed(self, input_id: str) -> bool:
        """Not known."""
        return False

    def is_empty(self) -> bool:
        """Whether `take` would give nothing now."""
        if self._pending is None:
            self._pending = self._stamped(self._source.take())
        return self._pending is None

    def fileno(self) -> int:
        """A descriptor that is readable when an event may be there."""
        return self._source.fileno()

    def close(self) -> None:
        """Give the source back."""
        self._source.close()


class StandaloneOutput:
    """In place of an output: reads back what would travel, and hands it to the sink."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name: Final = name
        self._sink = sink
        self._chunks: dict[int, Any] = {}
        self._next_chunk = 0
        self._lock = threading.Lock()

    def send(self, data: Any, metadata: dict[str, Any] | None) -> None:
        """One message."""
        received = received_metadata(metadata)
        self._sink.take(self.name, delivered(data), received)

    def take_chunk(self, size: int) -> Chunk:
        """Memory for a sample."""
        memory = (ctypes.c_char * (size + 64))()
        with self._lock:
            self._next_chunk += 1
            self._chunks[self._next_chunk] = memory
            return Chunk(self.give_back, self._next_chunk, ctypes.addressof(memory))

    def give_back(self, offset: int) -> None:
        """That sample will not be sent."""
        self._chunks.pop(offset, None)

    def send_chunk(self, chunk: Chunk, size: int, encoded: tuple[bytes, int]) -> None:
        """A sample was filled."""
        chunk.is_sent = True
        received = metadata_codec.decode(encoded[0]) if encoded[0] else {}
        self._sink.take(self.name, delivered(self._chunks.pop(chunk.offset).raw[:size]), received)


class StandaloneOutputs(dict[str, StandaloneOutput]):
    """Outputs that come into being when something is sent on them, unless they are declared."""

    def __init__(self, declared: list[str] | None, sink: Sink) -> None:
        super().__init__({name: StandaloneOutput(name, sink) for name in declared or ()})
        self._is_open = declared is None
        self._sink = sink

    def get(self, output_id: Any, default: Any = None) -> Any:
        """The output, made if need be; None if there cannot be one of that name."""
        found = super().get(output_id, default) if isinstance(output_id, str) else None
        if found is None and self._is_open and isinstance(output_id, str) and data_id_fault(output_id) is None:
            found = self[output_id] = StandaloneOutput(output_id, self._sink)
        return found


class StandaloneSession:
    """Everything behind the handles of a node without a runner."""

    def __init__(self, config: StandaloneConfig, source: Source, sink: Sink, clock: MessageClock | None = None) -> None:
        self.link: Final = StandaloneLink(config, clock)
        self.receiver: Final = StandaloneReceiver(source, self.link.clock)
        self.outputs: Final = StandaloneOutputs(config.outputs, sink)
        self.handles = 0
        self.warned: set[str] = set()
        self._sink = sink

    def close(self) -> None:
        """The last handle is gone."""
        if not self.link.is_closed:
            self.link.is_closed = True
            self.receiver.close()
            self._sink.close()

    def forget(self) -> None:
        """In a forked child: as with a runner, the node belongs to the parent."""
        self.link.is_forked = True


def delivered(data: Any) -> Any:
    """The array that a receiver gets for what was sent: copied, by the code of the data path.

    Raises:
        InvalidDataError: `data` is nothing that can be sent.
    """
    body = arrow.body_of(data)
    if body.write is None:
        content = bytes(body.buffer)
    else:
        memory = (ctypes.c_char * (body.size + 1))()
        body.write(ctypes.addressof(memory), libc.copy)
        content = memory.raw[: body.size]
    buffer = arrow.small_buffer(content)
    if body.encoding == arrow.STREAM:
        return arrow.decode_stream(buffer)
    return arrow.decoder_of(arrow.describe_type(body.type))(body.encoding, body.length, buffer)


def received_metadata(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """The metadata that a receiver gets, without the automatic timestamp."""
    encoded = b"" if metadata is None else metadata_codec.encode(metadata)[0]
    return metadata_codec.decode(encoded) if encoded else {}
