"""A few messages that a node sends to itself before the dataflow starts, so that its first real one is no slower.

Strategy: the first message of a process costs ten times as much as the later ones: pages of the Arrow library that were
never touched, the description of a type, bytecode that Python has not specialised yet.  While the node waits for the
others anyway, a private output with a private edge, which no runner knows of, carries `_ROUNDS` messages to a private
input; then all of it is given back.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import Any, Final

from dora import arrow
from dora.clock import HybridClock
from dora.errors import ResourceError
from dora.messages import node_runner as messages
from dora.node.inputs import Input
from dora.node.outputs import Output
from dora.transport import pipes
from dora.transport.arena import Arena
from dora.transport.counters import CountersPage
from dora.transport.receiving import ReceiveEdge

_ROUNDS: Final = 12
"""CPython specialises a function in about as many calls"""
_ARENA_BYTES: Final = 1 << 20
_NAME: Final = "warm-up"


class _NoLink:
    """What an `Output` asks of its link, where there is no runner."""

    is_lost = is_forked = False
    stopped_ns = announced_at = seen = 0

    def __init__(self) -> None:
        self.clock: Final = HybridClock()
        self.page: Final = CountersPage.create()
        self.seen = self.page.words[self.announced_at]
        self.outboxes: Final[dict[str, deque[tuple[Any, list[int]]]]] = {_NAME: deque()}


def warm_up() -> None:
    """Send and receive in private.  Does nothing where descriptors or memory are too few for it."""
    with contextlib.suppress(OSError, ResourceError):
        link = _NoLink()
        untold: list[ReceiveEdge] = []
        try:
            _exchange(*_wired(link, untold))
        finally:
            untold.clear()  # an edge stands in it and refers to it
            link.page.close()


def _wired(link: Any, untold: list[ReceiveEdge]) -> tuple[Output, Input]:
    """A private output, and the private input that reads it."""
    fd = os.memfd_create(_NAME, os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, _ARENA_BYTES)
        ends = pipes.make_edge(_ROUNDS)
    except BaseException:
        os.close(fd)
        raise
    source = Input(_NAME, _NAME, link.clock, untold)
    to_reader = messages.AddInputEdge(1, _NAME, _NAME, _NAME, 0, _ARENA_BYTES)
    reader_fds = [os.dup(ends.queue_read), ends.release_write, os.dup(fd)]
    source.add(to_reader, reader_fds, link.page.words, CountersPage.edge_word(0))
    output = Output(_NAME, link, Arena(fd, _ARENA_BYTES))
    to_sender = messages.AddOutputEdge(1, _NAME, _NAME, _NAME, 0, _ROUNDS, is_lossless=False, is_stated=True)
    link.outboxes[_NAME].append((to_sender, [ends.queue_read, ends.queue_write, ends.release_read]))
    return output, source


def _exchange(output: Output, source: Input) -> None:
    value = arrow.int8_array(bytes(8))
    for _ in range(_ROUNDS):
        output.send(value, None)
        source.take()
    output.close()
    source.drop_edge()
