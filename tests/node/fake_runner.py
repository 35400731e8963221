"""A runner played by the test: wires a node of this same process and holds the other ends of its edges.

The node is real, its control socket, pipes and shared memory are real; only who answers it is the test.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from dora import arrow
from dora.clock import HybridClock
from dora.messages import metadata as metadata_codec
from dora.messages import node_runner as m
from dora.node import node as node_module
from dora.node import session as session_module
from dora.node.inputs import Input
from dora.node.link import Link, RunnerGone
from dora.node.node import Node
from dora.transport import control, libc, pipes
from dora.transport.arena import Arena
from dora.transport.counters import NODE_BLOCKED, NODE_RECEIVING, CountersPage, EdgeCounts, NodeCounts
from dora.transport.receiving import Record
from dora.transport.sending import SendEdge

PATIENCE_S = 20
_LOOK_EVERY_S = 0.0005


def wait_until(condition: Any) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(_LOOK_EVERY_S)


def inode_of(fd: int) -> int:
    """By which the memory behind a descriptor is known when the descriptor is closed."""
    return os.fstat(fd).st_ino


def mapped(inode: int) -> list[str]:
    """With which permissions this process has mapped that memory, once for each mapping."""
    with open("/proc/self/maps") as file:
        lines = [line.split() for line in file]
    return sorted(line[1] for line in lines if line[4] == str(inode))


def _lose(link: Link) -> None:
    """As of a dynamic node: the real one of a spawned node kills the process, which here is that of the tests."""
    link.is_lost = True
    link.inbox.append((RunnerGone(), []))


class Feed:
    """The sending end of one of the node's inputs."""

    def __init__(self, runner: FakeRunner, message: m.AddInputEdge, queue_size: int) -> None:
        memory, size = pipes.make_arena()
        self.inode = inode_of(memory)
        fds = pipes.make_edge(queue_size)
        self.reader_fds = (fds.queue_read, fds.release_write, pipes.reopen_read_only(memory))
        self.message = message
        self._runner = runner
        self._arena = Arena(memory, size)
        self._clock = HybridClock()
        at = runner.page.edge_word(message.slot)
        ends = (os.dup(fds.queue_read), fds.queue_write, fds.release_read)
        self.edge = SendEdge(message.edge, ends, self._arena, (runner.page.words, at), queue_size)

    def send(self, *values: Any, metadata: dict[str, Any] | None = None, array: Any = None) -> None:
        """Send each value as an array of one element, or one array."""
        for data in [pa.array([value]) for value in values] if array is None else [array]:
            body = arrow.body_of(data)
            encoded, is_correlated, is_flush = metadata_codec.encode(metadata or {})
            described = b"" if body.key is None else arrow.describe_type(body.type)
            self._put(body, encoded, described, is_correlated * pipes.CORRELATED | is_flush * pipes.FLUSH)

    def _put(self, body: arrow.Body, encoded: bytes, described: bytes, flags: int) -> None:
        tail = (body.size + 7) & ~7
        offset = self._arena.allocate(tail + len(encoded) + len(described))
        address = self._arena.address + offset
        if body.write is not None:
            body.write(address, libc.copy)
        else:
            libc.copy(address, body.buffer.address, body.size)
        libc.memmove_held(address + tail, encoded + described, len(encoded + described))
        sent_ns = self._clock.now_ns()
        head = (0, offset, body.size, body.length, sent_ns, 0, len(encoded), len(described), flags | body.encoding, 0)
        self._arena.hand_over(offset, self.edge.push(pipes.RECORD.pack(*head), offset, body.size, flags, 1))

    def send_record(self, *fields: int) -> None:
        """Send a record as it is, however wrong."""
        offset = self._arena.allocate(4096)
        record = pipes.RECORD.pack(0, offset, *fields)
        self._arena.hand_over(offset, self.edge.push(record, offset, 0, 0, 1))

    def send_body(self, encoding: int, length: int, raw: bytes, described: bytes) -> None:
        """Send a body as it is, however wrong, of the type that is described."""
        buffer = arrow.small_buffer(raw)
        self._put(arrow.Body(encoding, len(raw), length, None, None, None, buffer), b"", described, 0)

    def send_metadata(self, encoded: bytes) -> None:
        """Send a message with these bytes as its metadata, whatever they hold."""
        self._put(arrow.body_of(b"x"), encoded, arrow.describe_type(pa.uint8()), 0)

    @property
    def held(self) -> int:
        """Chunks that are queued or with the node."""
        self.edge.reclaim()
        return self._arena.used_chunks

    @property
    def counts(self) -> EdgeCounts:
        """The edge's counters."""
        return self._runner.page.edge(self.message.slot)

    def end(self) -> None:
        """The sender's process is gone: its ends are closed."""
        self.edge.close_fds()

    def verdict(self, verdict: str, error: str = "", run: int = 0) -> None:
        """Tell how the sender ended."""
        self._runner.say(m.EdgeVerdict(self.message.edge, verdict, error, run))

    def finish(self, verdict: str = m.CLOSED, error: str = "", run: int = 0) -> None:
        """The sender ends, and the node is told how."""
        self.end()
        self.verdict(verdict, error, run)


class Sink:
    """The reading end of an edge of one of the node's outputs."""

    def __init__(self, runner: FakeRunner, message: m.AddOutputEdge, arena: tuple[int, int]) -> None:
        fds = pipes.make_edge(message.queue_size)
        self.message = message
        self.sender_fds = (os.dup(fds.queue_read), fds.queue_write, fds.release_read)
        self._runner = runner
        self._input = Input(message.input, message.reader, HybridClock(), [])
        own = m.AddInputEdge(message.edge, message.input, "node", message.output, message.slot, arena[1])
        ends = [fds.queue_read, fds.release_write, pipes.reopen_read_only(arena[0])]
        self._input.add(own, ends, runner.page.words, runner.page.edge_word(message.slot))
        self._link = self._input.edges[0].link

    def take(self) -> Any:
        """The oldest message as an event, or None."""
        event = self._input.take()
        self._input.hand.event = None
        self._link.tell_released()
        return event

    def take_all(self) -> list[Any]:
        """The values of all that is queued, each a list."""
        found = []
        while (event := self.take()) is not None:
            assert event["type"] == "INPUT", event
            found.append(event["value"].to_pylist())
        return found

    def take_records(self) -> list[Record]:
        """All that is queued, as it stands in the queue."""
        return list(iter(self._link.pop, None))

    @property
    def cached_types(self) -> int:
        """How many types were read from the sender's memory, where they stand once for all messages."""
        return len(self._input.edges[0].decoders)

    @property
    def is_ended(self) -> bool:
        """Whether the sender is gone and everything was taken."""
        return self._link.pop() is None and self._link.is_ended

    @property
    def counts(self) -> EdgeCounts:
        """The edge's counters."""
        return self._runner.page.edge(self.message.slot)

    def die(self) -> None:
        """The reader's process is gone."""
        self._link.abandon()


class FakeRunner:
    """Says what a runner says, when the test wants it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DORA_ARENA_BYTES", str(1 << 26))
        monkeypatch.setattr(Link, "_lose", _lose)
        monkeypatch.setattr(node_module, "bridge_logging", lambda log: None)
        self._monkeypatch = monkeypatch
        self._path = str(folder / "nodes.sock")
        self._listener = control.listen(self._path)
        self._listener.setblocking(True)
        self._listener.settimeout(PATIENCE_S)
        self.page = CountersPage.create()
        self.link: Any = None
        self.hello: Any = None
        self.inputs: list[str] = []
        self.timers: list[m.TimerInput] = []
        self.config: dict[str, Any] = {}
        self.start_ns = 0
        self.start_message: m.ToNode | None = None
        self.on_ready: Callable[[], object] = lambda: None
        self._arenas: dict[str, tuple[int, int]] = {}
        self._waiting: list[tuple[m.ToNode, tuple[int, ...]]] = []
        self._edges = 0
        self._feeds: list[Feed] = []
        self._sinks: list[Sink] = []
        self._nodes: list[Node] = []

    # -- wiring ----------------------------------------------------------------------------------------------

    def feed(self, input_id: str, *, source: str = "camera", queue_size: int = 1000, is_guest: bool = False) -> Feed:
        """A new edge to that input; before the node opens it is part of the wiring."""
        if input_id not in self.inputs:
            self.inputs.append(input_id)
        self._edges += 1
        message = m.AddInputEdge(
            self._edges, input_id, source, "out", self._edges, pipes.arena_bytes(), is_guest=is_guest
        )
        feed = Feed(self, message, queue_size)
        self._feeds.append(feed)
        self._tell(message, feed.reader_fds)
        return feed

    def output(self, name: str) -> tuple[int, int]:
        """Declare an output; returns its memfd and size."""
        if name not in self._arenas:
            self._arenas[name] = pipes.make_arena()
        return self._arenas[name]

    def sink(self, name: str, *, queue_size: int = 1000, **options: Any) -> Sink:
        """A new edge of that output."""
        arena = self.output(name)
        self._edges += 1
        settings = {"reader": "reader", "input": "in", "is_lossless": False, "is_stated": True, "replaces": 0}
        settings |= {"slot": self._edges} | options
        message = m.AddOutputEdge(self._edges, name, queue_size=queue_size, **settings)
        sink = Sink(self, message, arena)
        self._sinks.append(sink)
        self._tell(message, sink.sender_fds)
        return sink

    def say_early(self, message: m.ToNode) -> None:
        """Something that the node is told before its start."""
        self._tell(message, ())

    def timer(self, input_id: str, period_ns: int) -> None:
        """Declare a timer input."""
        self.inputs.append(input_id)
        self.timers.append(m.TimerInput(input_id, period_ns))

    def _tell(self, message: m.ToNode, fds: tuple[int, ...]) -> None:
        if self.link is None:
            self._waiting.append((message, fds))
        else:
            self.say(message, fds)
            for fd in fds:
                os.close(fd)

    # -- the link --------------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """What a process needs to open the node."""
        return json.dumps({"socket": self._path, "node": "node", "token": "secret"})

    def node(self) -> Node:
        """Open the node of this process and play its runner until it is started."""
        self._monkeypatch.setenv("DORA_NODE_CONFIG", self.identity)
        greeting = threading.Thread(target=self.greet)
        greeting.start()
        try:
            node = Node()
        finally:
            greeting.join()
        self._nodes.append(node)
        return node

    def greet(self) -> None:
        """Answer one process that opens the node, until it is started."""
        if self.link is not None:
            self.link.close()
        self.link, _ = self._listener.accept()
        self.link.settimeout(PATIENCE_S)
        self.hello = self.hear()
        fd = os.memfd_create("config", os.MFD_CLOEXEC)
        os.write(fd, msgspec.msgpack.encode(self._config()))
        control.send(self.link, m.encode(m.Configure(m.VERSION)), [fd, self.page.fd])
        os.close(fd)
        for name, (memory, size) in self._arenas.items():
            control.send(self.link, m.encode(m.AddOutput(name, size)), [memory])
        for message, fds in self._waiting:
            self._tell(message, fds)
        self._waiting.clear()
        control.send(self.link, m.encode(m.Wired()))
        assert isinstance(self.hear(), m.Ready)
        self.on_ready()
        self.start_ns = time.monotonic_ns() if not self.start_ns else self.start_ns
        control.send(self.link, m.encode(self.start_message or m.Start(self.start_ns)))

    def _config(self) -> m.NodeConfig:
        return m.NodeConfig(
            **{
                "dataflow_id": "018f8b5e-0000-7000-8000-000000000000",
                "node_id": "node",
                "node_slot": 0,
                "timers": self.timers,
                "inputs": self.inputs,
                "outputs": list(self._arenas),
                "io": {"inputs": {}, "outputs": []},
                "descriptor": {"nodes": []},
            }
            | self.config
        )

    def say(self, message: m.ToNode, fds: tuple[int, ...] = ()) -> None:
        """Say something to the node."""
        control.send(self.link, m.encode(message), fds)
        self.page.announce(0)

    def end_sends(self) -> None:
        """No send has to wait any more."""
        for sink in self._sinks:
            self.say(m.RemoveOutputEdge(sink.message.edge))
        for node in self._nodes:
            node._link.pump()

    def hear(self) -> Any:
        """What the node says next; None at the end of the link."""
        payload, _ = control.receive(self.link)
        return m.decode_to_runner(payload) if payload else None

    # -- what the node publishes -----------------------------------------------------------------------------

    @property
    def counts(self) -> NodeCounts:
        """The node's words."""
        return self.page.node(0)

    def wait_until_receiving(self, threads: int = 1) -> None:
        """The node waits for events."""
        word = self.page.node_word(0) + NODE_RECEIVING
        wait_until(lambda: self.page.words[word] == threads)

    def wait_until_blocked(self) -> None:
        """A send of the node waits for room."""
        word = self.page.node_word(0) + NODE_BLOCKED
        wait_until(lambda: self.page.words[word] > 0)

    def expect_another(self) -> None:
        """The node was closed and opens its link anew: what is wired from now on is for that one."""
        self.link.close()
        self.link = None

    def forget_nodes(self) -> None:
        """Hold no handle of the node any more."""
        self._nodes.clear()

    def close(self) -> None:
        """Close the node, then everything else."""
        while self._nodes:
            self._nodes.pop().close()
        session_module.current = None
        self._listener.close()
        if self.link is not None:
            self.link.close()
        for _, fds in self._waiting:
            for fd in fds:
                os.close(fd)
        for feed in self._feeds:
            feed.edge.close()
        for sink in self._sinks:
            sink.die()
        for fd, _ in self._arenas.values():
            os.close(fd)


def told(event: Any) -> str:
    """An event in a few words: `a=1` for data, `STOP MANUAL`, ..., `-` for None."""
    if event is None:
        return "-"
    if event["type"] == "INPUT":
        return f"{event['id']}={','.join(map(str, event['value'].to_pylist()))}"
    return " ".join(filter(None, [event["type"], event["id"]]))
