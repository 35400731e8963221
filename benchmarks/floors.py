"""What the machine itself can do: one copy, one wake-up through a pipe, and the least that Python makes of both."""

from __future__ import annotations

import ctypes
import mmap
import os
import statistics
import struct
import time
from typing import Any, NamedTuple

import pyarrow as pa

LEAST_RATES_HZ = (200, 1000)
"""rates of the least program that passes a message on, beside which the latency cases are seen"""
_RECORD = struct.Struct("<qqq")


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


def least_message_us(rate_hz: float, count: int, size_bytes: int = 512) -> float:
    """Median age of messages between two Python programs that do nothing but what every message needs.

    An Arrow array is copied into shared memory and its place, length and send time written to a pipe; the reader,
    asleep in `read`, makes an Arrow array over that memory and an event dict.  No metadata, no queue rule, no second
    reader, no timestamps, nobody who watches: what no dataflow in Python can be faster than.
    """
    shared = os.memfd_create("floor")
    os.ftruncate(shared, size_bytes)
    mapped = mmap.mmap(shared, size_bytes)
    os.close(shared)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _send_least(mapped, write_end, rate_hz, count)
        os._exit(0)
    os.close(write_end)
    ages = _receive_least(mapped, read_end)
    os.waitpid(child, 0)
    os.close(read_end)
    return statistics.median(ages) / 1e3


def _send_least(mapped: mmap.mmap, write_end: int, rate_hz: float, count: int) -> None:
    array = pa.array(bytes(len(mapped)), pa.uint8())
    begun = time.monotonic()
    for n in range(count):
        time.sleep(max(0.0, begun + n / rate_hz - time.monotonic()))
        sent_ns = time.monotonic_ns()
        mapped[:] = memoryview(array.buffers()[1])
        os.write(write_end, _RECORD.pack(0, len(array), sent_ns))


def _receive_least(mapped: mmap.mmap, read_end: int) -> list[int]:
    ages = []
    address = pa.py_buffer(mapped).address
    while record := os.read(read_end, _RECORD.size):
        offset, length, sent_ns = _RECORD.unpack(record)
        body = pa.foreign_buffer(address + offset, length, mapped)
        value = pa.Array.from_buffers(pa.uint8(), length, [None, body])
        event: dict[str, Any] = {"type": "INPUT", "id": "data", "value": value, "metadata": {"t": sent_ns}}
        ages.append(time.monotonic_ns() - event["metadata"]["t"])
    return ages
