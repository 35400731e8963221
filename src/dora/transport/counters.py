"""The counters page: one memfd per dataflow that nodes write without locks and everybody reads for nothing.

Strategy: a word has exactly one writer (the sending process, the reading process, the node, or the runner), which
writes it under its own lock; readers may see two words of one edge a message apart.  The words
are hints from user processes: whoever acts on them checks them.

Layout (u64 words, little endian):

    header   4096 bytes    magic, version
    node     64 bytes each, 16384 of them, from 4096
             +0 threads waiting in a receive   +8 threads blocked in a send   +16 last API call, CLOCK_MONOTONIC ns
             +24 next tick due, ns             +32 API calls                  +40 control messages announced (runner)
    edge     128 bytes each, from 4096 + 16384 * 64
             sender's line  +0 sent  +8 dropped  +16 bytes  +24 last send, CLOCK_MONOTONIC ns  +32 waiting (batch size)
             reader's line  +64 taken  +72 of these dropped by the reader itself
"""

from __future__ import annotations

import errno
import os
from typing import Final, NamedTuple

from dora.errors import ResourceError
from dora.transport import libc

_HEADER_BYTES: Final = 4096
_NODE_BYTES: Final = 64
_MAX_NODES: Final = 16384
_EDGE_BYTES: Final = 128
_EDGES_AT: Final = _HEADER_BYTES + _MAX_NODES * _NODE_BYTES
_MAX_EDGES: Final = 262144
SIZE_BYTES: Final = _EDGES_AT + _MAX_EDGES * _EDGE_BYTES
WORD_MASK: Final = (1 << 64) - 1
"""counts go round: whatever another process wrote into a word, adding to it raises nothing"""
_MAGIC: Final = 0x31_41_52_4F_44  # "DORA1"

NODE_RECEIVING: Final = 0
NODE_BLOCKED: Final = 1
NODE_LAST_CALL_NS: Final = 2
NODE_NEXT_TICK_NS: Final = 3
NODE_CALLS: Final = 4
NODE_ANNOUNCED: Final = 5

EDGE_SENT: Final = 0
EDGE_DROPPED: Final = 1
EDGE_BYTES_SENT: Final = 2
EDGE_LAST_SEND_NS: Final = 3
EDGE_WAITING: Final = 4
EDGE_TAKEN: Final = 8
EDGE_LET_GO: Final = 9


class EdgeCounts(NamedTuple):
    """One edge, as last written; undelivered = sent - dropped - taken once both ends are gone.

    Attributes:
        dropped: by the sender, for want of room, and by the reader, which took them and let them go.
        taken: what reached the reader's user.
    """

    sent: int
    dropped: int
    bytes: int
    last_send_ns: int
    waiting: int
    taken: int


class NodeCounts(NamedTuple):
    """One node, as last written."""

    receiving: int
    blocked: int
    last_call_ns: int
    next_tick_ns: int
    calls: int


def read_edge(words: memoryview, slot: int) -> EdgeCounts:
    """One edge, from the words of a page."""
    at = CountersPage.edge_word(slot)
    sent, dropped, size, last, waiting = words[at : at + 5]
    let_go = words[at + EDGE_LET_GO]
    return EdgeCounts(sent, dropped + let_go, size, last, waiting, words[at + EDGE_TAKEN] - let_go)


class CountersPage:
    """A mapping of the page.

    Attributes:
        fd: the memfd, open in the process that made the page; -1 where it was attached.
        words: the whole page as u64 words.
    """

    def __init__(self, fd: int, *, keep_fd: bool) -> None:
        self._address = libc.map_shared(fd, SIZE_BYTES, writable=True)
        self.fd = fd if keep_fd else -1
        if not keep_fd:
            os.close(fd)
        self.words = libc.view_of(self._address, SIZE_BYTES).cast("Q")

    @classmethod
    def create(cls) -> CountersPage:
        """Make a fresh page, all zero."""
        try:
            fd = os.memfd_create("dora-counters", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, SIZE_BYTES)
        except OSError as error:
            limit = "f" if error.errno == errno.EFBIG else "n"
            raise ResourceError(
                f"cannot make the counters page: {error.strerror} (limit: `ulimit -{limit}`)"
            ) from error
        page = cls(fd, keep_fd=True)
        page.words[0] = _MAGIC
        return page

    @classmethod
    def attach(cls, fd: int) -> CountersPage:
        """Map a page that was received; takes the fd over and closes it."""
        return cls(fd, keep_fd=False)

    @staticmethod
    def node_word(slot: int) -> int:
        """Index into `words` of a node's first word."""
        if not 0 <= slot < _MAX_NODES:
            raise ResourceError(f"node number {slot} is out of range: a dataflow has at most {_MAX_NODES} nodes")
        return (_HEADER_BYTES + slot * _NODE_BYTES) // 8

    @staticmethod
    def edge_word(slot: int) -> int:
        """Index into `words` of an edge's first word."""
        if not 0 <= slot < _MAX_EDGES:
            raise ResourceError(f"edge number {slot} is out of range: a dataflow has at most {_MAX_EDGES} edges")
        return (_EDGES_AT + slot * _EDGE_BYTES) // 8

    def edge(self, slot: int) -> EdgeCounts:
        """Read one edge."""
        return read_edge(self.words, slot)

    def node(self, slot: int) -> NodeCounts:
        """Read one node."""
        at = self.node_word(slot)
        return NodeCounts(*self.words[at : at + 5])

    def announce(self, slot: int) -> None:
        """Say to a node that one more control message waits: it looks at its next API call (runner only)."""
        at = self.node_word(slot) + NODE_ANNOUNCED
        self.words[at] = (self.words[at] + 1) & WORD_MASK

    def clear_node(self, slot: int) -> None:
        """Forget what a dead process of that node said last, before a new one starts (runner only)."""
        at = self.node_word(slot)
        for index in range(8):
            self.words[at + index] = 0

    def clear_edge(self, slot: int) -> None:
        """Forget what was counted there before, for another edge (runner only)."""
        at = self.edge_word(slot)
        for index in range(_EDGE_BYTES // 8):
            self.words[at + index] = 0

    def count_dropped(self, slot: int, count: int) -> None:
        """Messages of that edge will not reach its reader; only while it has no sender (runner only)."""
        at = self.edge_word(slot) + EDGE_DROPPED
        self.words[at] = (self.words[at] + count) & WORD_MASK

    def close(self) -> None:
        """Unmap; no view of `words` may be used afterwards."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._address:
            self.words.release()
            libc.unmap(self._address, SIZE_BYTES)
            self._address = 0
