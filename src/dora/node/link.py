"""A process's link to its runner: identity, wiring, and what the runner says while the node runs.

Strategy: one link per process, shared by all `Node` handles.  Any thread may read the control socket (`pump`), under a
lock of its own; it only sorts messages into the inboxes of the receiver and the outputs and wakes who
waits.  It never takes a receive or output lock, so no order of locks can deadlock.  A word in the counters
page tells a busy sender that something waits, for 65 ns instead of a system call.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Final

import msgspec

from dora import env
from dora.clock import HybridClock
from dora.errors import DoraError, NodeError
from dora.messages import node_runner as messages
from dora.node import params
from dora.transport import control
from dora.transport.counters import NODE_ANNOUNCED, NODE_BLOCKED, CountersPage

_LOOK_AGAIN_MS: Final = 100
_DESCRIPTORS: Final[dict[type, int]] = {messages.AddOutputEdge: 3, messages.AddInputEdge: 3}
"""how many must come with a message"""
_TO_RECEIVER: Final = frozenset(
    (messages.AddInputEdge, messages.EdgeVerdict, messages.Param, messages.Stop, messages.Drained, messages.Start)
)


class RunnerGone:
    """In the inbox, as the last: a dynamic node reads what is queued, then its stream ends."""


class Wait:
    """One blocked send: how to wake it, and why it can never end."""

    __slots__ = ("cycle", "wake_fd")

    def __init__(self) -> None:
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.cycle = ""

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.wake_fd)


def forked_error(pid: int) -> NodeError:
    """What is raised where a forked child uses the node of its parent, the process `pid`."""
    return NodeError(
        f"this Node belongs to process {pid} and cannot be used in its forked child {os.getpid()}: "
        "pass the data to the parent, or start the child with the `spawn` method"
    )


class Link:
    """The connection to the runner and everything that came over it.

    Attributes:
        config: what the runner told about this node.
        page: the counters page.
        at: the first word of this node in it.
        inbox: messages for the receiver, in order.
        outboxes: messages for each output, in order.
        waits: sends that are blocked, and questions that are not answered.
        replies: answers that were not fetched yet, by the number of the question.
        stopped_ns: when STOP (MANUAL) came, CLOCK_MONOTONIC, or 0.
        announced_at: where the runner counts what it said; `seen`: how much of it was read.
        is_spawned: dora started this process; otherwise it is a dynamic node.
        is_lost: the runner is gone.
        is_forked: this is a forked child; the link belongs to the parent.
    """

    def __init__(self, identity: dict[str, str]) -> None:
        self.is_spawned: Final = env.NODE_CONFIG in os.environ
        self.pid: Final = os.getpid()
        self.clock: Final = HybridClock()
        self.inbox: deque[tuple[Any, list[int]]] = deque()
        self.outboxes: dict[str, deque[tuple[Any, list[int]]]] = {}
        self.waits: set[Wait] = set()
        self.replies: dict[int, tuple[messages.ExtensionReply, list[int]]] = {}
        self.stopped_ns = 0
        self.start_ns = 0
        self.is_lost = False
        self.is_forked = False
        self.is_closed = False
        self.on_news: Any = None
        self._edge_outputs: dict[int, str] = {}
        self._pumping = threading.Lock()
        self._counting = threading.RLock()
        self.seen = 0
        self.outputs_wired: deque[tuple[str, int, int]] = deque()
        self.wake_fd = -1
        self.socket: socket.socket = self._connect(identity)
        self._held_fd = os.dup(self.socket.fileno())
        """so that the runner sees the link end with the process, not when the interpreter begins to clear up"""

    # -- start -----------------------------------------------------------------------------------------------

    def _connect(self, identity: dict[str, str]) -> socket.socket:
        try:
            connection = control.connect(identity["socket"])
        except (OSError, KeyError) as error:
            raise NodeError(
                f"Could not connect to the runner of this dataflow: {error} (is it still running?)"
            ) from error
        hello = messages.Hello(identity["node"], identity["token"], self.pid, messages.VERSION)
        try:
            control.send(connection, messages.encode(hello))
        except OSError as error:
            reason = _last_word(connection) or f"The runner refused this node: {error}"
            connection.close()
            raise NodeError(reason) from error
        return connection

    def wire(self) -> None:
        """Receive the configuration and all edges, up to `Wired`."""
        _, fds = self._next_message(messages.Configure)
        with os.fdopen(fds[0], "rb") as file:
            file.seek(0)
            self.config = messages.decode_config(file.read())
        self.page = CountersPage.attach(fds[1])
        self.at = self.page.node_word(self.config.node_slot)
        self.announced_at = self.at + NODE_ANNOUNCED
        self.outboxes = {output: deque() for output in self.config.outputs}
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        while True:
            message, fds = self._receive()
            if isinstance(message, messages.Wired):
                return
            if isinstance(message, messages.AddOutput):
                self.outputs_wired.append((message.output, fds[0], message.arena_bytes))
            else:
                self._dispatch(message, fds)

    def start(self) -> None:
        """Say that everything is mapped; return when the barrier opens.

        Raises:
            NodeError: the dataflow will not start.
        """
        self._send(messages.Ready())
        while not self.start_ns:
            message, fds = self._receive()
            if isinstance(message, messages.Start):
                self.start_ns = message.start_ns
            else:
                self._dispatch(message, fds)
                if isinstance(message, messages.Stop):
                    self.start_ns = self.stopped_ns
        self.socket.setblocking(False)

    def _next_message(self, kind: type) -> tuple[Any, list[int]]:
        message, fds = self._receive()
        if not isinstance(message, kind):
            raise NodeError(f"expected {kind.__name__} from the runner, found {type(message).__name__}")
        return message, fds

    def _receive(self) -> tuple[Any, list[int]]:
        payload, fds = control.receive(self.socket)
        if not payload:
            raise NodeError("The runner of this dataflow is gone.")
        try:
            message = messages.decode_to_node(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError) as why:
            raise NodeError(f"The runner of this dataflow said something that is not understood: {why}") from why
        if isinstance(message, messages.StartFailed):
            error = NodeError(message.reason + _hint_for_children())
            _tell_without_traceback(error)
            raise error
        return message, fds

    def _send(self, message: messages.ToRunner) -> None:
        with contextlib.suppress(OSError):
            control.send(self.socket, messages.encode(message))

    def say(self, message: messages.ToRunner) -> None:
        """Tell the runner something, waiting while it does not listen; nothing happens when it is gone."""
        payload = messages.encode(message)
        while not self.is_closed:
            try:
                control.send(self.socket, payload)
            except BlockingIOError:
                full = select.poll()
                full.register(self.socket.fileno(), select.POLLOUT)
                full.poll()
            except OSError:
                return
            else:
                return

    def ask(self, message: messages.ExtensionRequest, fds: tuple[int, ...]) -> None:
        """Send a question; the answer will be in `replies`."""
        payload = messages.encode(message)
        while True:
            try:
                control.send(self.socket, payload, fds)
            except BlockingIOError:
                full = select.poll()
                full.register(self.socket, select.POLLOUT)
                full.poll(_LOOK_AGAIN_MS)
            except OSError as error:
                raise NodeError(f"this node's link to dora is closed: {error}") from error
            else:
                return

    # -- while the node runs ---------------------------------------------------------------------------------

    def has_news(self) -> bool:
        """Whether the runner announced messages that were not read yet."""
        return self.page.words[self.announced_at] != self.seen

    def pump(self) -> None:
        """Read everything the runner said and sort it.  Any thread, also a signal handler; never blocks."""
        if not self._pumping.acquire(blocking=False):
            return  # another thread is at it, or this very one, below a signal handler; it wakes who waits
        try:
            announced = self.page.words[self.announced_at]
            had_news = False
            while not (self.is_closed or self.is_lost):
                try:
                    payload, fds = control.receive(self.socket)
                except BlockingIOError:
                    break
                except (DoraError, OSError) as error:
                    print(f"dora: {error}", file=sys.stderr)
                    break
                if not payload:
                    self._lose()
                    had_news = True
                    break
                had_news = True
                try:
                    self._dispatch(messages.decode_to_node(payload), fds)
                except (msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
                    print(f"dora: the runner said something that is not understood: {error!r}", file=sys.stderr)
                    self._lose()
            self.seen = announced
        finally:
            self._pumping.release()
        if had_news:
            self._wake()

    def _dispatch(self, message: Any, fds: list[int]) -> None:
        if len(fds) < _DESCRIPTORS.get(type(message), 0):
            raise ValueError(f"{type(message).__name__} with {len(fds)} descriptors")
        if isinstance(message, messages.AddOutputEdge):
            self._edge_outputs[message.edge] = message.output
            self.outboxes[message.output].append((message, fds))
        elif isinstance(message, messages.RemoveOutputEdge):
            output = self._edge_outputs.pop(message.edge, None)
            if output is not None:
                self.outboxes[output].append((message, fds))
        elif isinstance(message, messages.Deadlock):
            for wait in list(self.waits):
                wait.cycle = message.cycle
        elif isinstance(message, messages.ExtensionReply):
            self.replies[message.number] = (message, fds)
        elif type(message) not in _TO_RECEIVER:
            raise ValueError(f"{type(message).__name__} at this time")
        else:
            self._pass_on(message, fds)

    def _pass_on(self, message: Any, fds: list[int]) -> None:
        """To the receiver."""
        if isinstance(message, messages.Stop) and not self.stopped_ns:
            self.stopped_ns = time.monotonic_ns()
        self.inbox.append((message, fds))
        if len(self.inbox) > params.MOST_UNREAD and isinstance(message, messages.Param):
            params.drop_void(self.inbox)

    def _wake(self) -> None:
        if self.inbox or self.is_lost:
            self.wake_receiver()
        for wait in list(self.waits):
            with contextlib.suppress(OSError):
                os.eventfd_write(wait.wake_fd, 1)
        if self.on_news is not None:
            self.on_news()

    def wake_receiver(self) -> None:
        """Let a thread that waits for events look again."""
        with contextlib.suppress(OSError, ValueError):  # the node may be closed
            os.eventfd_write(self.wake_fd, 1)

    def drain_wake(self) -> None:
        """The thread that waited looks now."""
        with contextlib.suppress(OSError, ValueError):  # another thread was quicker, or closes the node
            os.eventfd_read(self.wake_fd)

    def _lose(self) -> None:
        """The runner is gone: a node that it spawned must not outlive it, nor may anything this node started."""
        self.is_lost = True
        if self.is_spawned:
            group = os.getpgrp()
            if group != os.getsid(0):  # the minder gave each node a group; that of a session is a user's shell
                os.killpg(group, signal.SIGKILL)
            os.kill(self.pid, signal.SIGKILL)
        self.inbox.append((RunnerGone(), []))

    def count_blocked(self, change: int) -> None:
        """Publish how many threads are blocked in a send."""
        with self._counting:
            self.page.words[self.at + NODE_BLOCKED] += change

    # -- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The last handle is gone: nothing more will be sent."""
        if self.is_closed or self.is_forked:
            return
        self.is_closed = True
        self._send(messages.OutputsClosed())
        self._close_fds()

    def give_up(self) -> None:
        """The start failed: nothing was sent, nothing will be."""
        self.is_closed = True
        self._close_fds()

    def _close_fds(self) -> None:
        self.socket.close()
        own = self.wake_fd, self._held_fd
        self.wake_fd = self._held_fd = -1
        for own_fd in own:
            if own_fd >= 0:
                os.close(own_fd)
        for box in (self.inbox, *self.outboxes.values()):
            for _, fds in box:
                for fd in fds:
                    os.close(fd)
            box.clear()
        while self.outputs_wired:
            os.close(self.outputs_wired.popleft()[1])

    def abandon(self) -> None:
        """In a forked child: leave the parent's link alone."""
        self.is_forked = True
        self._close_fds()


def _last_word(connection: socket.socket) -> str:
    """Why the runner hung up before we had said who we are, or ""."""
    with contextlib.suppress(DoraError, OSError, msgspec.MsgspecError):
        said = messages.decode_to_node(control.receive(connection)[0])
        if isinstance(said, messages.StartFailed):
            return said.reason
    return ""


def _hint_for_children() -> str:
    """A child of multiprocessing runs the script of its parent once more, up to its `Node()`."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return ""
    return ' (a child of multiprocessing runs this script again: make the Node under `if __name__ == "__main__":`)'


def _tell_without_traceback(error: NodeError) -> None:
    """When nobody catches `error`, print its text alone: the fault is elsewhere, and no line of this program has it."""
    previous = sys.excepthook

    def tell(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if value is error:
            print(f"dora: {error}", file=sys.stderr)
        else:
            previous(kind, value, trace)

    sys.excepthook = tell
