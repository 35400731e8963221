"""The least Python programs that pass messages on: what no dataflow in Python can be faster than on this machine.

Strategy: forked processes that do nothing but what every message needs.  An Arrow array is copied into shared memory
and its length, number and send time written to a pipe; a reader, asleep in `read`, makes an Arrow array over that
memory and an event dict.  No metadata, no queue rule, no timestamps, nobody who watches, no restart.
"""

from __future__ import annotations

import mmap
import os
import statistics
import struct
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

RATES_HZ = (200, 1000)
"""of messages between two programs, beside which the latency cases are seen"""
_RECORD = struct.Struct("<qqq")
_AGE = struct.Struct("<qq")
_END = -1


class Output:
    """Where one program's messages go: memory for one of them, and a pipe per reader."""

    def __init__(self, readers: int, size_bytes: int = 512) -> None:
        shared = os.memfd_create("least")
        os.ftruncate(shared, size_bytes)
        self.memory = mmap.mmap(shared, size_bytes)
        os.close(shared)
        self.pipes = [os.pipe() for _ in range(readers)]

    def send(self, array: pa.Array, n: int, sent_ns: int) -> None:
        """Give all readers that message."""
        body = array.buffers()[1]
        self.memory[: body.size] = memoryview(body)
        record = _RECORD.pack(len(array), n, sent_ns)
        for _, write_end in self.pipes:
            os.write(write_end, record)

    def events(self, reader: int) -> Iterator[dict[str, Any]]:
        """What that reader gets, until the end."""
        address = pa.py_buffer(self.memory).address
        read_end = self.pipes[reader][0]
        while True:
            length, n, sent_ns = _RECORD.unpack(os.read(read_end, _RECORD.size))
            if n == _END:
                return
            body = pa.foreign_buffer(address, length, self.memory)
            value = pa.Array.from_buffers(pa.uint8(), length, [None, body])
            yield {"type": "INPUT", "id": "data", "value": value, "metadata": {"n": n, "t": sent_ns}}

    def close(self) -> None:
        """Give the descriptors back."""
        for pipe in self.pipes:
            for end in pipe:
                os.close(end)
        self.memory.close()


def message_us(rate_hz: float, count: int) -> float:
    """Median age of messages in a program that another one sends to."""
    return _median_us(ages_ns(rate_hz, count, relays=0, readers=1))


def chain_us(rate_hz: float, count: int, relays: int = 8) -> float:
    """The same behind that many programs that pass on what they get."""
    return _median_us(ages_ns(rate_hz, count, relays=relays, readers=1))


def fan_out_us(rate_hz: float, count: int, readers: int = 8) -> float:
    """The same in the last of that many readers of one program."""
    return _median_us(ages_ns(rate_hz, count, relays=0, readers=readers))


def ages_ns(rate_hz: float, count: int, *, relays: int, readers: int) -> dict[int, int]:
    """Number of each message -> its age in the reader that got it last."""
    *between, last = [Output(1) for _ in range(relays)] + [Output(readers)]
    outputs = [*between, last]
    children = []
    told = []
    for n in range(readers):
        read_end, write_end = os.pipe()
        children.append(_fork(partial(_receive, last.events(n), write_end)))
        os.close(write_end)
        told.append(read_end)
    children += [_fork(partial(_relay, before, after)) for before, after in zip(between, outputs[1:], strict=True)]
    children.append(_fork(partial(_send, outputs[0], rate_hz, count)))
    ages: dict[int, int] = defaultdict(int)
    for read_end in told:
        with os.fdopen(read_end, "rb") as file:
            for n, age in _AGE.iter_unpack(file.read()):
                ages[n] = max(ages[n], age)
    for child in children:
        os.waitpid(child, 0)
    for output in outputs:
        output.close()
    return dict(ages)


def _median_us(ages: dict[int, int]) -> float:
    return statistics.median(ages.values()) / 1e3


def _fork(program: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        program()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _send(output: Output, rate_hz: float, count: int) -> None:
    array = pa.array(bytes(len(output.memory)), pa.uint8())
    begun = time.monotonic()
    for n in range(count):
        time.sleep(max(0.0, begun + n / rate_hz - time.monotonic()))
        output.send(array, n, time.monotonic_ns())
    output.send(array, _END, 0)


def _relay(before: Output, after: Output) -> None:
    for event in before.events(0):
        after.send(event["value"], event["metadata"]["n"], event["metadata"]["t"])
    after.send(pa.array([], pa.uint8()), _END, 0)


def _receive(events: Iterator[dict[str, Any]], told: int) -> None:
    ages = []
    for event in events:
        ages.append((event["metadata"]["n"], time.monotonic_ns() - event["metadata"]["t"]))
    with os.fdopen(told, "wb") as file:
        file.write(b"".join(_AGE.pack(*age) for age in ages))
