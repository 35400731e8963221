"""Answers on the admin socket while the `build:` lines run, which block the runner.

Strategy: a thread with a loop of its own, which ends before the run's loop takes the listener over.  A stop is a
SIGINT to the runner itself: the build ends as by Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from dora.messages import runner_daemon as messages
from dora.runner.admin import AdminServer, Visitor
from dora.runner.reactor import Reactor
from dora.runner.roster import RunIdentity
from dora.version import VERSION

_TURN_S: Final = 0.5


class BuildingDesk:
    """A run that is not more than its name yet; a context in which it answers."""

    def __init__(self, identity: RunIdentity, listener: socket.socket) -> None:
        self._identity = identity
        self._listener = listener
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="dora-admin", daemon=True)
        self.requests: Final[Mapping[type, Callable[[Any, Visitor], None]]] = {
            messages.Describe: self._describe,
            messages.Watch: self._describe,
            messages.Stop: self._stop,
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

    def _stop(self, _: messages.Stop, visitor: Visitor) -> None:
        visitor.say(messages.Done())
        os.kill(os.getpid(), signal.SIGINT)
