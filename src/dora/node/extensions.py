"""The node's side of the extension table: one question to the runner at a time, and its answer.

Any thread may ask.  Whoever reads the control socket, perhaps another thread that waits for events, files the answer
under the question's number and wakes who asked.  Bytes beyond one control message travel in a memfd.
"""

from __future__ import annotations

import itertools
import os
import select
from typing import Any, Final

from dora.errors import NodeError
from dora.messages import node_runner as messages
from dora.node.link import Link, Wait

_IN_MESSAGE_UP_TO: Final = 32 * 1024
_numbers: Final = itertools.count(1)


def store(link: Any, namespace: str, key: str, value: bytes) -> None:
    """Keep `value` for all nodes of the dataflow."""
    if not isinstance(value, bytes):
        raise TypeError(f"an extension value must be bytes, not {type(value).__name__}")
    if len(value) <= _IN_MESSAGE_UP_TO:
        _ask(link, messages.STORE, namespace, key, value)
        return
    with os.fdopen(os.memfd_create("dora-extension", os.MFD_CLOEXEC), "wb") as file:
        file.write(value)
        file.flush()
        _ask(link, messages.STORE, namespace, key, fds=(file.fileno(),))


def load(link: Any, namespace: str, key: str, *, removes: bool) -> bytes | None:
    """The value, or None; `removes` drops it in the same step."""
    reply, fds = _ask(link, messages.TAKE if removes else messages.LOAD, namespace, key)
    if not reply.is_found:
        return None
    if not fds:
        return reply.data
    with os.fdopen(fds[0], "rb") as file:
        return file.read()


def drop(link: Any, namespace: str, key: str) -> None:
    """Forget the value."""
    _ask(link, messages.DROP, namespace, key)


def take_dropped(link: Any, namespace: str) -> list[str]:
    """Keys that this node stored or read and that were dropped since it last asked."""
    return _ask(link, messages.DRAIN, namespace, "")[0].keys


def _ask(
    link: Any, action: str, namespace: str, key: str, data: bytes = b"", fds: tuple[int, ...] = ()
) -> tuple[messages.ExtensionReply, list[int]]:
    if not isinstance(namespace, str) or not isinstance(key, str):
        raise TypeError(f"namespace and key must be str, not {type(namespace).__name__} and {type(key).__name__}")
    if not isinstance(link, Link):
        raise NodeError("there is no extension table without a running dataflow")
    number = next(_numbers)
    wait = Wait()
    link.waits.add(wait)
    try:
        link.ask(messages.ExtensionRequest(number, action, namespace, key, data), fds)
        reply, found = _reply(link, number, wait)
    finally:
        link.waits.discard(wait)
        wait.close()
    if reply.error:
        raise NodeError(reply.error)
    return reply, found


def _reply(link: Link, number: int, wait: Wait) -> tuple[messages.ExtensionReply, list[int]]:
    poll = select.poll()
    poll.register(link.socket, select.POLLIN)
    poll.register(wait.wake_fd, select.POLLIN)
    while True:
        link.pump()
        if number in link.replies:
            return link.replies.pop(number)
        if link.is_lost or link.is_closed:
            raise NodeError("this node's link to dora is closed: its extension table is gone")
        poll.poll()
        try:
            os.eventfd_read(wait.wake_fd)
        except BlockingIOError:
            continue
