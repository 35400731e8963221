"""The one session of a process: its link, its receiver and its outputs, behind all its `Node` handles."""

from __future__ import annotations

import atexit
import errno
import functools
import os
import threading
from typing import TYPE_CHECKING

from dora import env
from dora.errors import NodeError, ResourceError
from dora.node.identity import identity_of
from dora.node.link import Link
from dora.node.logs import NodeLog

if TYPE_CHECKING:
    from dora.node.outputs import Output
    from dora.node.receiver import Receiver


class Session:
    """Everything behind the handles of one process."""

    def __init__(self, node_id: str | None) -> None:
        self.handles = 0
        self.warned: set[str] = set()
        self.outputs: dict[str, Output] = {}
        self.link = Link(identity_of(node_id, os.environ))
        try:
            self._open()
        except BaseException as error:
            self._give_up()
            if _is_out_of_descriptors(error):
                raise ResourceError(
                    "out of file descriptors while connecting a node: raise the limit (`ulimit -n`)"
                ) from error
            raise

    def _open(self) -> None:
        # pyarrow comes only now: outside a dataflow Node() fails before it is loaded
        from dora.node.outputs import Output
        from dora.node.receiver import Receiver
        from dora.node.warm_up import warm_up
        from dora.transport.arena import Arena

        self.link.wire()
        self.receiver: Receiver = Receiver(self.link)
        while self.link.outputs_wired:
            name, fd, size = self.link.outputs_wired.popleft()
            self.outputs[name] = Output(name, self.link, Arena(fd, size))
        self.receiver.map_edges()
        for output in self.outputs.values():
            output.read_box()
        if self.link.config.type_checks:
            from dora.node import type_checks  # for nodes whose dataflow states types

            warn = functools.partial(NodeLog.of(self.link).log, "warn")
            type_checks.check_outputs(self.outputs, self.link.config.type_checks, warn)
            type_checks.check_inputs(self.receiver, self.link.config.type_checks, warn)
        self.link.on_news = self._spread_news
        if self.outputs:  # who only receives does without the pages of what sends
            warm_up()
        self.link.start()
        self.receiver.begin()
        atexit.register(self._hand_over)

    def _give_up(self) -> None:
        """The start failed: leave nothing open."""
        self.link.give_up()
        for output in self.outputs.values():
            output.close()
        if hasattr(self, "receiver"):
            self.receiver.close()

    def _spread_news(self) -> None:
        for output in self.outputs.values():
            output.try_read_box()

    def _hand_over(self) -> None:
        """The interpreter ends: what is queued for readers that were restarted goes to their new queues."""
        if not (self.link.is_forked or self.link.is_closed):
            self.link.pump()
            self._spread_news()

    @property
    def id(self) -> str:
        """The node's id in the file."""
        return self.link.config.node_id

    def close(self) -> None:
        """The last handle is gone."""
        if self.link.is_forked or self.link.is_closed:
            return
        self._hand_over()
        atexit.unregister(self._hand_over)
        for output in self.outputs.values():
            output.close()
        self.receiver.close()
        self.link.close()
        self._let_go()

    def _let_go(self) -> None:
        """The memory of the outputs goes with the last reference to them."""
        global current  # without its lock: a finalizer may run while this very thread holds it
        self.link.on_news = None
        self.outputs.clear()
        if current is self:
            current = None

    def forget(self) -> None:
        """In a forked child: the link belongs to the parent."""
        self.receiver.forget()
        for output in self.outputs.values():
            output.forget()
        self.link.abandon()


def _is_out_of_descriptors(error: BaseException) -> bool:
    """Also of an import, which then says it in words."""
    too_many = os.strerror(errno.EMFILE)
    return getattr(error, "errno", None) == errno.EMFILE or (isinstance(error, ImportError) and too_many in str(error))


current: Session | None = None
_lock = threading.Lock()


def open_session(node_id: str | None) -> Session:
    """A handle's session: that of the process, or a new one.

    Raises:
        RuntimeError: this process is another dynamic node, or there is no dataflow to join.
    """
    global current  # one link per process
    with _lock:
        session = current
        if session is None or session.link.is_closed or session.link.is_forked or _is_of_ended_run(session):
            session = current = _new_session(node_id)
        elif isinstance(session, Session) and not session.link.is_spawned and node_id not in (None, session.id):
            raise NodeError(
                f"this process is already the dynamic node `{session.id}`: close that Node "
                f"(`del node`, or `node.close()`) before `Node({node_id!r})`"
            )
        session.handles += 1
        return session


def _is_of_ended_run(session: Session) -> bool:
    """A dynamic node whose dataflow has ended: a new `Node()` looks for another run."""
    if not isinstance(session, Session) or session.link.is_spawned:
        return False
    session.link.pump()
    return session.link.is_lost


def _new_session(node_id: str | None) -> Session:
    if env.NODE_CONFIG not in os.environ:
        from dora.node import standalone  # outside a dataflow only

        session: Session | None = standalone.session_for(node_id)
        if session is not None:
            return session
    return Session(node_id)


def _after_fork_in_child() -> None:
    global _lock, current  # the parent's lock may be held by a thread that does not exist here
    _lock = threading.Lock()
    if current is not None:
        current.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)
