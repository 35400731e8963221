"""Answers on the admin socket while the `build:` lines run, which block the runner.

Strategy: a thread with a loop of its own, which ends before the run's loop takes the listener over.  A stop is a
SIGINT to the runner itself: the build ends as by Ctrl-C.  Parameters that are set meanwhile are kept for the run.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from dora.messages import runner_daemon as messages
from dora.runner.admin import AdminServer, Visitor, unknown_node
from dora.runner.params import ParamDesk
from dora.runner.reactor import Reactor
from dora.runner.roster import RunIdentity
from dora.runner.state.params import ParamBook
from dora.version import VERSION

_TURN_S: Final = 0.5


class BuildingDesk:
    """A run that is not more than its name yet; a context in which it answers.

    Args:
        nodes: the names of those that it will have.
        params: takes the parameters that are set.
    """

    def __init__(
        self, identity: RunIdentity, listener: socket.socket, nodes: Collection[str], params: ParamBook
    ) -> None:
        self._identity = identity
        self._nodes = nodes
        self._listener = listener
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="dora-admin", daemon=True)
        self.requests: Final[Mapping[type, Callable[[Any, Visitor], None]]] = {
            messages.Describe: self._describe,
            messages.Watch: self._describe,
            messages.Stop: self._stop,
            **ParamDesk(params, check_node=self._check_node, change=params.set, unread=lambda _: 0).requests,
        }

    def forget(self, visitor: Visitor) -> None:
        """That visitor has left."""

    def __enter__(self) -> BuildingDesk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake_write)
        self._thread.join()
        os.close(self._wake_read)

    def _run(self) -> None:
        reactor = Reactor()
        server = AdminServer(self._listener, reactor, self, version=VERSION)
        is_over = threading.Event()
        reactor.add_reader(self._wake_read, is_over.set)
        while not is_over.is_set():
            reactor.wait(_TURN_S)
        server.close()
        reactor.close()

    def _describe(self, _: messages.Describe | messages.Watch, visitor: Visitor) -> None:
        """A watcher hears the end of the link when the build is over, and asks again."""
        visitor.say(self._identity.describe(messages.BUILDING))

    def _check_node(self, node: str) -> None:
        if node not in self._nodes:
            raise unknown_node(node, self._nodes)

    def _stop(self, _: messages.Stop, visitor: Visitor) -> None:
        visitor.say(messages.Done())
        os.kill(os.getpid(), signal.SIGINT)
