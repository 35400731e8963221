"""What the machine itself can do: one copy, and one wake-up through a pipe."""

from __future__ import annotations

import ctypes
import mmap
import os
import statistics
import struct
import time
from typing import NamedTuple


class Copy(NamedTuple):
    """Median times of one copy.

    Attributes:
        warm_us: right after another copy of the same bytes, so with all that the caches can hold.
        paced_us: after a pause, as a message that is sent at that rate meets the machine.
    """

    warm_us: float
    paced_us: float


def memcpy(size_bytes: int, rate_hz: float, count: int) -> Copy:
    """Time copies of a touched source into a touched shared chunk."""
    chunk = os.memfd_create("floor")
    os.ftruncate(chunk, size_bytes)
    mapped = mmap.mmap(chunk, size_bytes)
    os.close(chunk)
    source = ctypes.create_string_buffer(b"x" * size_bytes, size_bytes)
    target = (ctypes.c_char * size_bytes).from_buffer(mapped)
    ctypes.memmove(target, source, size_bytes)
    paced: list[int] = []
    warm: list[int] = []
    for _ in range(count):
        time.sleep(1 / rate_hz)
        for times in (paced, warm):
            start = time.perf_counter_ns()
            ctypes.memmove(target, source, size_bytes)
            times.append(time.perf_counter_ns() - start)
    del target
    mapped.close()
    return Copy(statistics.median(warm) / 1e3, statistics.median(paced) / 1e3)


def pipe_wake_up_us(rate_hz: float, count: int) -> float:
    """Median time from a write in one process to the end of the read in another that slept in it."""
    read_end, write_end = os.pipe()
    answer_read, answer_write = os.pipe()
    child = os.fork()
    if child == 0:
        ages = []
        while len(data := os.read(read_end, 8)) == 8 and (sent := struct.unpack("<q", data)[0]):
            ages.append(time.monotonic_ns() - sent)
        os.write(answer_write, struct.pack("<d", statistics.median(ages)))
        os._exit(0)
    for _ in range(count):
        time.sleep(1 / rate_hz)
        os.write(write_end, struct.pack("<q", time.monotonic_ns()))
    os.write(write_end, struct.pack("<q", 0))
    os.waitpid(child, 0)
    median_ns: float = struct.unpack("<d", os.read(answer_read, 8))[0]
    for end in (read_end, write_end, answer_read, answer_write):
        os.close(end)
    return median_ns / 1e3
