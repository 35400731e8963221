"""The runner's end of every node's link: one listener, one socket per connected node.

Strategy: a connection is nobody until its first message is a `Hello` with the token of a node of this run and our
version; everything else is turned away without harm.  Messages to a node are sent at once, or wait in order while its
socket is full; a message keeps its descriptors until it is sent.  After each one the node's word in the counters page
moves, so that the node looks at its socket at its next call.  When descriptors run out, one is held in reserve to tell
whoever connects why that cannot be done, so the loop never spins on a listener that cannot be served.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from dora.errors import DoraError
from dora.messages import node_runner as messages
from dora.runner.extensions import Extensions
from dora.runner.reactor import Reactor
from dora.runner.stimuli import (
    LinkLost,
    NodeReady,
    NodeSaidHello,
    OutputsClosed,
    PortsClosed,
    Stimulus,
    StopRequested,
)
from dora.runner.wiring import Parcel
from dora.transport import control

_ACCEPTS_AT_ONCE: Final = 64
_MOST_STRANGERS: Final = 64
"""connections that have not said who they are, beside one per node; more, and the oldest is closed"""


class Identity(NamedTuple):
    """What the runner knows of a node that may connect."""

    token: str
    slot: int


class _Link:
    """One connection; `node` is empty before a good hello."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket: Final = connection
        self.fd: Final = connection.fileno()
        self.node = ""
        self.pid = 0
        self.outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()


class NodeServer:
    """All links of a run.

    Args:
        tell: takes stimuli, in the order in which the nodes said them.
        announce: moves the word of a node slot in the counters page.
        warn: takes a line for the user.

    Attributes:
        is_deaf: nobody can connect before `listen_again`.
    """

    def __init__(
        self,
        listener: socket.socket,
        identities: Mapping[str, Identity],
        reactor: Reactor,
        *,
        tell: Callable[[Stimulus], None],
        announce: Callable[[int], None],
        warn: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._identities = dict(identities)
        self._reactor = reactor
        self._tell = tell
        self._announce = announce
        self._warn = warn
        self._extensions = Extensions()
        self._links: dict[str, _Link] = {}
        self._strangers: dict[_Link, None] = {}
        self.is_deaf = False
        self._reserve = _reserve()
        self._is_want_told = False
        reactor.add_reader(listener.fileno(), self._accept)

    def send(self, node: str, parcel: Parcel) -> None:
        """Send a message to a node; nothing happens when its link is gone.  Closes what the parcel owns."""
        link = self._links.get(node)
        if link is None:
            control.close_all(parcel.owned)
            return
        self._send(link, parcel)
        self._announce(self._identities[node].slot)

    def admit(self, node: str, identity: Identity) -> None:
        """From now on that node may connect."""
        self._identities[node] = identity

    def forget(self, node: str) -> None:
        """That node is no more."""
        self.drop(node)
        self._identities.pop(node, None)

    def drain(self, node: str) -> None:
        """Take all that a node has said, before its exit is believed."""
        self._accept()
        for link in list(self._strangers):
            self._read(link)
        link_now = self._links.get(node)
        while link_now is not None and self._links.get(node) is link_now and self._read(link_now):
            pass

    def pid_of(self, node: str) -> int:
        """The process that holds the node's link, or 0."""
        link = self._links.get(node)
        return link.pid if link is not None else 0

    def unread(self, node: str) -> int:
        """How many messages wait here for a node that does not look at its link."""
        link = self._links.get(node)
        return len(link.outbox) if link is not None else 0

    def drop(self, node: str) -> None:
        """Close the link of a node whose process has ended."""
        link = self._links.pop(node, None)
        if link is not None:
            self._extensions.forget_node(node)
            self._close(link)

    def close(self) -> None:
        """Close everything."""
        self._reactor.remove_reader(self._listener.fileno())
        self._listener.close()
        for link in [*self._links.values(), *self._strangers]:
            self._close(link)
        self._links.clear()
        self._strangers.clear()
        control.close_all([self._reserve] if self._reserve >= 0 else [])
        self._reserve = -1

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._turn_away(error)
                return
            self._is_want_told = False
            connection.setblocking(False)
            link = _Link(connection)
            if len(self._strangers) >= _MOST_STRANGERS + len(self._identities):
                self._lose(next(iter(self._strangers)))
            self._strangers[link] = None
            self._reactor.add_reader(link.fd, partial(self._read, link))

    def _turn_away(self, error: OSError) -> None:
        """No descriptor is left: take one caller with the one in reserve, say why, and hang up."""
        callers = select.poll()
        callers.register(self._listener, select.POLLIN)
        if not callers.poll(0):
            return  # the kernel wants a descriptor before it looks whether anybody is there
        reason = f"dora cannot connect a node: {error.strerror} (limit: `ulimit -n` where dora was started)"
        if not self._is_want_told:
            self._is_want_told = True
            self._warn(reason)
        control.close_all([self._reserve] if self._reserve >= 0 else [])
        try:
            connection, _ = self._listener.accept()
        except OSError:
            self.is_deaf = True
            self._reactor.remove_reader(self._listener.fileno())
        else:
            with connection, contextlib.suppress(DoraError, OSError):
                connection.setblocking(False)
                with contextlib.suppress(DoraError, OSError):
                    control.close_all(control.receive(connection)[1])  # what is not read takes our answer with it
                control.send(connection, messages.encode(messages.StartFailed(reason)))
        self._reserve = _reserve()

    def listen_again(self) -> None:
        """After a while, when not even the descriptor in reserve was of use."""
        if self.is_deaf:
            self.is_deaf = False
            self._reactor.add_reader(self._listener.fileno(), self._accept)

    def _read(self, link: _Link) -> bool:
        """Take one message; False when there was none."""
        try:
            payload, fds = control.receive(link.socket)
        except BlockingIOError:
            return False
        except control.DescriptorsLost as lost:
            return self._decline(link, lost)
        except (DoraError, OSError):
            payload, fds = b"", []
        try:
            return self._take_payload(link, payload, fds)
        finally:
            control.close_all(fds)

    def _decline(self, link: _Link, lost: control.DescriptorsLost) -> bool:
        """A request whose descriptors found no room here: whoever asked is told, and is none the worse for it."""
        with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
            request = messages.decode_to_runner(lost.payload)
            if link.node and isinstance(request, messages.ExtensionRequest):
                self.send(link.node, Parcel(messages.ExtensionReply(request.number, error=str(lost))))
                return True
        self._lose(link)
        return False

    def _take_payload(self, link: _Link, payload: bytes, fds: list[int]) -> bool:
        if not payload:
            self._lose(link)
            return False
        try:
            message = messages.decode_to_runner(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            who = f"node `{link.node}`" if link.node else "somebody"
            self._warn(f"{who} said something that is not understood on the control socket: its link is closed")
            self._lose(link)
            return False
        self._take(link, message, fds)
        return True

    def _take(self, link: _Link, message: messages.ToRunner, fds: list[int]) -> None:
        if isinstance(message, messages.Hello):
            self._greet(link, message)
        elif not link.node:
            self._lose(link)
        elif isinstance(message, messages.ExtensionRequest):
            self.send(link.node, self._extensions.answer(link.node, message, fds))
        else:
            self._tell(_STIMULI[type(message)](link.node, message))

    def _greet(self, link: _Link, hello: messages.Hello) -> None:
        identity = self._identities.get(hello.node_id)
        refusal = ""
        if link.node or identity is None or identity.token != hello.token:
            refusal = "this link is not known to the runner (was DORA_NODE_CONFIG changed?)"
        elif hello.version != messages.VERSION:
            refusal = (
                f"the node speaks version {hello.version} of the link to its runner, the runner speaks "
                f"{messages.VERSION}: install the same dora-rs for both"
            )
        elif hello.node_id in self._links:
            refusal = self._refusal_of_second(hello)
        if refusal:
            self._refuse(link, refusal)
            return
        self._strangers.pop(link, None)
        link.node = hello.node_id
        link.pid = hello.pid
        self._links[link.node] = link
        self._tell(NodeSaidHello(link.node))

    def _refusal_of_second(self, hello: messages.Hello) -> str:
        """The same process may open its node again after it has closed it; another one may not."""
        old = self._links[hello.node_id]
        while self._links.get(hello.node_id) is old and self._read(old):
            pass
        if self._links.get(hello.node_id) is not old:
            return ""
        return f"node `{hello.node_id}` is already open in the process with PID {old.pid}"

    def _refuse(self, link: _Link, reason: str) -> None:
        with contextlib.suppress(OSError):
            control.send(link.socket, messages.encode(messages.StartFailed(reason)))
        self._lose(link)

    def _lose(self, link: _Link) -> None:
        """EOF, or nonsense: the link is of no use any more."""
        is_current = bool(link.node) and self._links.get(link.node) is link
        if is_current:
            del self._links[link.node]
            self._extensions.forget_node(link.node)
        self._strangers.pop(link, None)
        self._close(link)
        if is_current:
            self._tell(LinkLost(link.node))

    def _close(self, link: _Link) -> None:
        self._reactor.remove_reader(link.fd)
        self._reactor.remove_writer(link.fd)
        for _, fds in link.outbox:
            control.close_all(fds)
        link.outbox.clear()
        link.socket.close()

    def _send(self, link: _Link, parcel: Parcel) -> None:
        payload = messages.encode(parcel.message)
        if not link.outbox and _try_send(link.socket, payload, parcel.owned + parcel.lent):
            control.close_all(parcel.owned)
            return
        kept = list(parcel.owned)
        try:
            kept += [os.dup(fd) for fd in parcel.lent]
        except OSError as error:
            control.close_all(kept)
            self._warn(f"node `{link.node}` cannot be connected: {error.strerror} (limit: `ulimit -n`)")
            self._lose(link)
            return
        link.outbox.append((payload, tuple(kept)))
        self._reactor.add_writer(link.fd, partial(self._flush, link))

    def _flush(self, link: _Link) -> None:
        while link.outbox:
            payload, fds = link.outbox[0]
            if not _try_send(link.socket, payload, fds):
                return
            control.close_all(fds)
            link.outbox.popleft()
            self._announce(self._identities[link.node].slot)
        self._reactor.remove_writer(link.fd)


_STIMULI: Final[Mapping[type, Callable[[str, Any], Stimulus]]] = {
    messages.Ready: lambda node, _: NodeReady(node),
    messages.OutputsClosed: lambda node, _: OutputsClosed(node),
    messages.PortsClosed: lambda node, said: PortsClosed(node, tuple(said.inputs), tuple(said.outputs)),
    messages.StopAll: lambda node, said: StopRequested(f"{said.reason} in node `{node}`", is_insistent=False),
}
"""what a node says, once it has said hello -> what the rules are told"""


def _try_send(connection: socket.socket, payload: bytes, fds: tuple[int, ...]) -> bool:
    """Whether the message is off our hands: sent, or its receiver is gone; False when the socket is full."""
    try:
        control.send(connection, payload, fds)
    except BlockingIOError:
        return False
    except OSError as error:
        return not _is_too_many_in_flight(error)
    return True


def _is_too_many_in_flight(error: OSError) -> bool:
    """ETOOMANYREFS: this user has as many descriptors in flight as `ulimit -n` allows; nodes take theirs soon."""
    return error.errno == errno.ETOOMANYREFS


def _reserve() -> int:
    """A descriptor to have one when there is none, or -1."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
