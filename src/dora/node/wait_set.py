"""The descriptors that tell a node that something is there, in one epoll set.

So that one descriptor can be given to select, asyncio or Qt, and one system call asks for all inputs.
"""

from __future__ import annotations

import os
import select
from typing import Final

from dora.node.inputs import Edge, Input

_MAX_READY: Final = 64
Ready = list[tuple[int, int]]
"""(descriptor, epoll events) of what has something"""


class WaitSet:
    """Queue pipes by input, and other descriptors.  The node's receive lock guards it, except `wait` and `fileno`."""

    def __init__(self) -> None:
        self._epoll: Final = select.epoll()
        self._end_fd = -1
        self._by_fd: Final[dict[int, Input]] = {}

    def add(self, fd: int) -> None:
        """Wait for that descriptor too."""
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """No more."""
        self._epoll.unregister(fd)

    def watch(self, source: Input) -> None:
        """Wait for the input's present queue, if it has one."""
        fd = source.fd
        if fd >= 0:
            self._by_fd[fd] = source
            self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, edge: Edge) -> None:
        """Leave that queue alone: a pipe at EOF left in epoll would spin."""
        fd = edge.link.queue_read
        if self._by_fd.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def input_of(self, fd: int) -> Input | None:
        """Whose queue that is; None: another descriptor."""
        return self._by_fd.get(fd)

    def wait(self, timeout_s: float | None) -> Ready:
        """Wait until something is there, for ever with None; signal handlers run and may raise."""
        return self._epoll.poll(timeout_s, _MAX_READY)

    def fileno(self) -> int:
        """A descriptor that is readable when something may be there."""
        return self._epoll.fileno()

    def wake_for_good(self) -> None:
        """Every wait returns at once from now on: of threads that would not hear that what they wait on is closed."""
        self._end_fd = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.add(self._end_fd)

    @property
    def is_over(self) -> bool:
        """`wake_for_good` was called, and `close` was not."""
        return self._end_fd >= 0

    def close(self) -> None:
        """Give the descriptors of its own back."""
        self._epoll.close()
        if self._end_fd >= 0:
            os.close(self._end_fd)
            self._end_fd = -1
