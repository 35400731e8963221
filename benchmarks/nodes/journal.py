"""What a node of the chaos command did, in a file that survives any end of its process.

Strategy: one file per process, named after the node and its PID; every entry is one `write`, so what was written is
there, whatever happens next.  A send is noted before and after, a message when its event is in hand.

Entry (16 bytes, little endian):

    offset size type  meaning
    0      1    u8    what happened, one of the constants below
    1      1    u8    port: place of the input or output in the sorted list of them
    2      2    u16   spare
    4      4    u32   PID of the sender's process, or the failed or restarted node's place in `CHAOS_SOURCES`, or 0
    8      8    u64   number of the message on its output, from 0; CLOCK_MONOTONIC in ns for `BORN`
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections import deque

import numpy as np

BORN, BEGUN, SENT, GOT, BAD, CLOSED, FAILED, RESTARTED, RECOVERED, STOPPED = range(1, 11)
ENTRY = struct.Struct("<BBHIQ")
MARK = struct.Struct("<QQQ")
"""at both ends of every message: PID of the sender, number, size"""


Mark = tuple[int, ...]


def marks_of(data: np.ndarray) -> tuple[Mark, Mark]:
    """What is at both ends of a message."""
    if len(data) < MARK.size:
        return (0, 0, 0), (0, 0, 0)
    return MARK.unpack(data[: MARK.size].tobytes()), MARK.unpack(data[-MARK.size :].tobytes())


class Journal:
    """The entries of this process."""

    def __init__(self, node: str) -> None:
        path = os.path.join(os.environ["CHAOS_JOURNALS"], f"{node}.{os.getpid()}")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        ports = json.loads(os.environ["CHAOS_PORTS"])[node]
        self._ports = {port: number for number, port in enumerate(ports)}
        self.note(BORN, number=time.monotonic_ns())

    def note(self, kind: int, port: str = "", sender: int = 0, number: int = 0) -> None:
        """Write an entry."""
        os.write(self._fd, ENTRY.pack(kind, self._ports.get(port, 255), 0, sender, number))

    def note_message(self, port: str, value: object) -> None:
        """A message came: note whose it is, or that it is not what was sent."""
        data = value.to_numpy()  # type: ignore[attr-defined]
        head, tail = marks_of(data)
        is_right = head == tail and head[2] == len(data)
        self.note(GOT if is_right else BAD, port, head[0], head[1])

    def note_event(self, event: dict) -> None:
        """Everything that a node can receive."""
        kind = event["type"]
        if kind == "INPUT":
            if event["id"] != "tick":
                self.note_message(event["id"], event["value"])
        elif kind == "INPUT_CLOSED":
            self.note(CLOSED, event["id"])
        elif kind == "INPUT_RECOVERED":
            self.note(RECOVERED, event["id"])
        elif kind == "STOP":
            self.note(STOPPED)
        elif kind in ("NODE_FAILED", "NODE_RESTARTED"):
            source = json.loads(os.environ["CHAOS_SOURCES"]).index(event["id"])
            self.note(FAILED if kind == "NODE_FAILED" else RESTARTED, sender=source)


class Kept:
    """The last arrays of a node, which nobody may have touched when they are let go."""

    def __init__(self, journal: Journal, count: int) -> None:
        self._journal = journal
        self._count = count
        self._kept: deque[tuple[str, np.ndarray, tuple[Mark, Mark]]] = deque()

    def keep(self, port: str, value: object) -> None:
        """Hold it; let go of the oldest if that is one too many."""
        data = value.to_numpy()  # type: ignore[attr-defined]
        self._kept.append((port, data, marks_of(data)))
        if len(self._kept) > self._count:
            port, data, marks = self._kept.popleft()
            if marks_of(data) != marks:
                self._journal.note(BAD, port, *marks[0][:2])


class Message:
    """The messages of one output: an array with the marks at both ends."""

    def __init__(self, size: int) -> None:
        self._data = np.zeros(size, dtype=np.uint8)
        self._size = size
        self._number = -1

    def next(self) -> tuple[int, np.ndarray]:
        """The number of the next message, and its array."""
        self._number += 1
        mark = np.frombuffer(MARK.pack(os.getpid(), self._number, self._size), dtype=np.uint8)
        self._data[: MARK.size] = mark
        self._data[-MARK.size :] = mark
        return self._number, self._data
