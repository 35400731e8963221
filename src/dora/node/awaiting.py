"""`recv_async`: waiting on asyncio's own loop, with the node's descriptor as a reader and no thread.

One reader per loop serves all tasks that wait; each woken task tries to take an event, and only then is the event out
of its queue, so a cancelled task loses none.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from dora.node import events

if TYPE_CHECKING:
    from dora.node.node import Node

_waiting: dict[tuple[asyncio.AbstractEventLoop, int], set[asyncio.Future[None]]] = {}


async def receive(node: Node, timeout: float | None) -> dict[str, Any] | None:
    """The next event, None at the end of the stream, an ERROR event at the time-out."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    receiver = node._receiver
    # a flood must not starve the other tasks; never after taking: a cancelled task loses no event
    await asyncio.sleep(0)
    while True:
        if node._link.is_forked:
            node._raise_forked()
        with receiver.lock:
            taken = receiver.take()
        if taken is not None:
            return taken if isinstance(taken, dict) else None
        if deadline is not None and loop.time() >= deadline:
            return events.timed_out(timeout)
        with receiver.lock:
            receiver.begin_wait()
        try:
            await _readable(loop, node.fileno(), deadline)
        finally:
            with receiver.lock:
                receiver.count_receiving(-1)


async def _readable(loop: asyncio.AbstractEventLoop, fd: int, deadline: float | None) -> None:
    key = (loop, fd)
    waiters = _waiting.setdefault(key, set())
    future: asyncio.Future[None] = loop.create_future()
    if not waiters:
        loop.add_reader(fd, _wake_all, key)
    waiters.add(future)
    alarm = None if deadline is None else loop.call_at(deadline, _wake, future)
    try:
        await future
    finally:
        if alarm is not None:
            alarm.cancel()
        waiters.discard(future)
        if not waiters:
            _waiting.pop(key, None)
            with contextlib.suppress(ValueError, OSError):
                loop.remove_reader(fd)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _wake_all(key: tuple[asyncio.AbstractEventLoop, int]) -> None:
    for future in _waiting.get(key, ()):
        _wake(future)
