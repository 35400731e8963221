"""An edge's two kernel pipes and the memfd of an output, as the runner makes them.

Strategy: the kernel is the queue and the lock.  The *queue pipe* carries one 64-byte record per message: writes are
atomic, 64-byte reads run under the pipe's mutex, FIONREAD / 64 is the exact length of the queue, and its
EOF says that every sender is gone and the queue is drained.  The *release pipe* carries 8-byte words back:
an arena offset that the reader is done with, or `TAKEN`.  Nothing has a name, so nothing can be left behind.

Record of the queue pipe (little endian):

    offset size type  meaning
    0      8    u64   sequence number on its output, from 0
    8      8    u64   arena offset of the chunk
    16     8    u64   body length in bytes
    24     8    u64   array length in elements
    32     8    i64   time of sending, ns since 1970-01-01 UTC
    40     8    u64   arena offset of the type description, or 0: the type stands in the chunk
    48     4    u32   metadata length in bytes; it follows the body at the next multiple of 8
    52     4    u32   type description length in bytes, when it stands in the chunk (after the metadata)
    56     4    u32   flags: encoding (bits 0-3), CORRELATED, FLUSH
    60     4    u32   spare, 0
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from typing import Final, NamedTuple

from dora.errors import ResourceError
from dora.transport import libc

RECORD: Final = struct.Struct("<QQQQqQIIII")
RECORD_BYTES: Final = 64
WORD: Final = struct.Struct("<Q")
TAKEN: Final = (1 << 64) - 1
"""the word on the release pipe that only says: the reader took a record"""
CORRELATED: Final = 1 << 8
FLUSH: Final = 1 << 9
ENCODING_MASK: Final = 0xF
MAX_QUEUE_SIZE: Final = 16320
"""a 1 MiB pipe holds that many records"""
PAGE: Final = 4096
DEFAULT_ARENA_BYTES: Final = 1 << 36
_ARENA_CEILING: Final = 1 << 38
_ARENA_FLOOR: Final = 1 << 24
F_ADD_SEALS: Final = 1033
F_SEAL_SHRINK: Final = 2
F_SEAL_GROW: Final = 4


class EdgeFds(NamedTuple):
    """The four ends of an edge; whoever holds the tuple owns them."""

    queue_read: int
    queue_write: int
    release_read: int
    release_write: int

    def close(self) -> None:
        """Close all four."""
        for fd in self:
            os.close(fd)


def queue_pipe_bytes(queue_size: int) -> int:
    """Pipe capacity that never refuses a record for that queue size (one page holds 64 records)."""
    return PAGE * (-(-queue_size // (PAGE // RECORD_BYTES)) + 1)


def make_edge(queue_size: int) -> EdgeFds:
    """Make the two pipes of an edge.

    Raises:
        ResourceError: the queue is deeper than a pipe can be, or the machine refuses pipes of that size.
    """
    if queue_size > MAX_QUEUE_SIZE:
        raise ResourceError(f"queue_size {queue_size} is too deep: a queue holds at most {MAX_QUEUE_SIZE} messages")
    fds: list[int] = []
    try:
        fds += os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        fds += os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(fds[1], libc.F_SETPIPE_SZ, queue_pipe_bytes(queue_size))
    except OSError as error:
        for fd in fds:
            os.close(fd)
        raise ResourceError(
            f"cannot make a pipe for a queue of {queue_size} messages: {error.strerror} "
            "(limits: `ulimit -n`, /proc/sys/fs/pipe-max-size, /proc/sys/fs/pipe-user-pages-soft)"
        ) from error
    return EdgeFds(*fds)


def arena_bytes() -> int:
    """Address space of one output's arena: `DORA_ARENA_BYTES`, else 64 GiB (sparse: only touched pages cost)."""
    wanted = DEFAULT_ARENA_BYTES
    with contextlib.suppress(ValueError):
        wanted = int(os.environ.get("DORA_ARENA_BYTES", wanted))
    return max(_ARENA_FLOOR, min(_ARENA_CEILING, wanted)) // PAGE * PAGE


def make_arena() -> tuple[int, int]:
    """Make the memfd of one output; returns (fd, size in bytes).

    It is sealed against shrinking, so that no mapping of it can fault; F_SEAL_FUTURE_WRITE is not set because
    MADV_REMOVE would then fail.

    Raises:
        ResourceError: no file descriptor or no memory.
    """
    try:
        fd = os.memfd_create("dora-output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise ResourceError(
            f"cannot make shared memory for an output: {error.strerror} (limit: `ulimit -n`)"
        ) from error
    size = arena_bytes()
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
    except OSError as error:
        os.close(fd)
        raise ResourceError(f"cannot size shared memory to {size} bytes: {error.strerror} (`ulimit -f`)") from error
    return fd, size


def reopen_read_only(fd: int) -> int:
    """A second, read-only description of a memfd: what a reader may have."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
