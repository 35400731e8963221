"""Waits for descriptors and signals, and calls back: the loop under the runner.

Strategy: an epoll and a signal wake-up pipe, nothing else.  asyncio would do the same, but importing it costs 45 ms,
a tenth of what hello world may take; the runner has no coroutines.  Callbacks must not block.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterable
from types import FrameType

Callback = Callable[[], object]


class Reactor:
    """Readiness of descriptors and arrival of signals, one `wait` at a time."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._masks: dict[int, int] = {}
        self._signals: dict[int, tuple[Callable[[int], None], object]] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wake_fd: int | None = None
        self.add_reader(self._wake_read, self._take_signals)

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` is readable or at EOF, until it is removed."""
        self._readers[fd] = callback
        self._update(fd)

    def remove_reader(self, fd: int) -> None:
        """Forget `fd` as a reader; call it before closing the descriptor."""
        self._readers.pop(fd, None)
        self._update(fd)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` is writable, until it is removed."""
        self._writers[fd] = callback
        self._update(fd)

    def remove_writer(self, fd: int) -> None:
        """Forget `fd` as a writer."""
        self._writers.pop(fd, None)
        self._update(fd)

    def on_signals(self, signums: Iterable[int], callback: Callable[[int], None]) -> None:
        """Call back from `wait`, never in the middle of other code, when one of these signals arrives.

        Said again for the same signals, it changes the callback; what arrived meanwhile goes to the new one.  A SIGHUP
        that is ignored (nohup) stays ignored.
        """
        if self._old_wake_fd is None:
            self._old_wake_fd = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for signum in signums:
            if signum == signal.SIGHUP and signal.getsignal(signum) == signal.SIG_IGN:
                continue
            old = self._signals[signum][1] if signum in self._signals else signal.signal(signum, _ignore)
            self._signals[signum] = (callback, old)

    def wait(self, timeout_s: float | None) -> None:
        """Wait for something to happen, at most `timeout_s`, and call back for all that did."""
        for fd, events in self._epoll.poll(-1 if timeout_s is None else max(0.0, timeout_s)):
            reader = self._readers.get(fd)
            if reader is not None and events & ~select.EPOLLOUT:
                reader()
            writer = self._writers.get(fd)
            if writer is not None and events & ~select.EPOLLIN:
                writer()

    def close(self) -> None:
        """Give the signals back and forget everything; the descriptors stay their owners'."""
        if self._epoll.closed:
            return
        for signum, (_, old) in self._signals.items():
            signal.signal(signum, old)  # type: ignore[arg-type]  # what signal.signal returned
        self._signals.clear()
        if self._old_wake_fd is not None:
            signal.set_wakeup_fd(self._old_wake_fd)
            self._old_wake_fd = None
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _update(self, fd: int) -> None:
        mask = (select.EPOLLIN if fd in self._readers else 0) | (select.EPOLLOUT if fd in self._writers else 0)
        known = self._masks.pop(fd, 0)
        if mask:
            self._masks[fd] = mask
            (self._epoll.modify if known else self._epoll.register)(fd, mask)
        elif known:
            self._epoll.unregister(fd)

    def _take_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for signum in os.read(self._wake_read, 4096):
                if signum in self._signals:
                    self._signals[signum][0](signum)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """The wake-up pipe carries the news; a handler must exist for Python to write to it."""
