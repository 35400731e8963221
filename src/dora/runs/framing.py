"""The asker's side of a runner's admin socket, without any waiting: what to send, and what arrived.

Strategy: shared by the link that blocks (`link.py`) and the daemon's, which does not.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

import msgspec

from dora.errors import DoraError, ProtocolError
from dora.messages import runner_daemon as messages
from dora.transport import control
from dora.version import VERSION

HELLO: Final = messages.encode(messages.Hello(messages.VERSION, VERSION))

_MAX_BYTES: Final = 64 << 20


class RunnerRefused(DoraError):
    """The runner will not do what it was asked.

    Attributes:
        code: a word of `messages.runner_daemon`, such as `UNKNOWN_NODE`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code: Final = code


class Arrived(NamedTuple):
    """One message, and its descriptors, which whoever has it must close."""

    message: messages.Reply
    fds: list[int]


def unpack(payload: bytes, fds: list[int]) -> Arrived:
    """The message in a datagram; takes the descriptors over.

    Raises:
        ProtocolError: it is none of ours.
    """
    try:
        message = messages.decode_reply(payload)
        if isinstance(message, messages.Attached):
            memfd = fds.pop(0)
            try:
                message = messages.decode_reply(os.pread(memfd, min(message.size_bytes, _MAX_BYTES), 0))
            finally:
                os.close(memfd)
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        control.close_all(fds)
        raise ProtocolError(f"a runner said something that is not understood: {error}") from error
    return Arrived(message, fds)
