"""A reader in a process of its own: takes everything, says what it took.

Run as `racing_reader.py QUEUE_READ RELEASE_WRITE MEMORY ARENA_BYTES`; prints the numbers in the order they came.
"""

from __future__ import annotations

import select
import sys

from dora.transport.receiving import Mapping, ReceiveEdge

queue_read, release_write, memory, arena_bytes = map(int, sys.argv[1:])
edge = ReceiveEdge(1, queue_read, release_write, Mapping(memory, arena_bytes))
view = edge.mapping.view
poll = select.poll()
poll.register(queue_read, select.POLLIN)
print("ready", flush=True)
found = []
while not edge.is_ended:
    record = edge.pop()
    if record is None:
        poll.poll()
        continue
    number, offset = record[:2]
    assert int.from_bytes(view[offset : offset + 8], "little") == number, "the chunk was used again too early"
    edge.release(offset)
    found.append(number)
print(*found)
