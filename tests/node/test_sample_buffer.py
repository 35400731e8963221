"""The exporter behind a sample, on every supported Python: exact counts, true errors, no leak."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dora.node.sample_buffer import SampleBuffer

NO_VIEW = "^Cannot acquire buffer view: the parent SampleHandler has been sent or dropped$"


class Owner:
    """What keeps the memory."""


@pytest.fixture
def memory() -> Any:
    """64 bytes."""
    return ctypes.create_string_buffer(64)


@pytest.fixture
def buffer(memory: Any) -> SampleBuffer:
    """An exporter of them."""
    return SampleBuffer(ctypes.addressof(memory), 64, None)


class Interrupted(BaseException):
    """As KeyboardInterrupt."""


class Interruptions:
    """A signal handler that raises 3000 times per second of work, as long as it is armed."""

    def __init__(self) -> None:
        self.count = 0
        self.is_armed = False

    def interrupt(self, *_: object) -> None:
        """Handle the signal."""
        if self.is_armed:
            self.is_armed = False  # until `run` is back where it catches
            self.count += 1
            raise Interrupted

    def run(self, action: Callable[[], object]) -> None:
        """Begin anew after each interruption until `action` comes to its end."""
        while True:
            with contextlib.suppress(Interrupted):
                self.is_armed = True
                action()
                self.is_armed = False
                return


@pytest.fixture
def interruptions() -> Iterator[Interruptions]:
    """Interrupts what it runs."""
    made = Interruptions()
    before = signal.signal(signal.SIGPROF, made.interrupt)
    signal.setitimer(signal.ITIMER_PROF, 0.0003, 0.0003)
    yield made
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def test_what_is_written_stands_in_the_memory(memory: Any, buffer: SampleBuffer) -> None:
    memoryview(buffer)[3:5] = b"ab"
    assert memory.raw[:6] == b"\0\0\0ab\0"


def test_buffer_of_no_bytes_is_one(memory: Any) -> None:
    assert bytes(SampleBuffer(ctypes.addressof(memory), 0, None)) == b""


def test_view_keeps_the_owner_of_the_memory(memory: Any) -> None:
    owner = Owner()
    alive = weakref.ref(owner)
    view = memoryview(SampleBuffer(ctypes.addressof(memory), 64, owner))
    del owner
    gc.collect()
    assert alive() is not None
    view.release()
    del view
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("is_invalid", [False, True])
def test_buffer_without_views_keeps_nothing_once_it_is_dropped(memory: Any, is_invalid: bool) -> None:
    owner = Owner()
    alive = weakref.ref(owner)
    buffer = SampleBuffer(ctypes.addressof(memory), 64, owner)
    if is_invalid:
        buffer.invalidate()
    del owner, buffer
    gc.collect()
    assert alive() is None


def test_new_views_are_refused_after_it_was_invalidated(buffer: SampleBuffer) -> None:
    buffer.invalidate()
    with pytest.raises(BufferError, match=NO_VIEW):
        memoryview(buffer)


def test_views_are_counted(buffer: SampleBuffer) -> None:
    first = memoryview(buffer)
    second = np.asarray(buffer)[2:]
    seen = [buffer.view_count, (first.release(), buffer.view_count)[1]]
    del second
    assert [*seen, buffer.view_count] == [2, 1, 0]


def test_view_taken_before_stays_usable(buffer: SampleBuffer) -> None:
    view = memoryview(buffer)
    buffer.invalidate()
    view[:2] = b"ab"
    assert bytes(view[:2]) == b"ab"
    assert buffer.view_count == 1


def test_buffer_may_be_invalidated_twice(buffer: SampleBuffer) -> None:
    buffer.invalidate()
    buffer.invalidate()
    with pytest.raises(BufferError, match=NO_VIEW):
        bytes(buffer)


def test_views_may_be_taken_again_after_a_send_that_failed(buffer: SampleBuffer) -> None:
    buffer.invalidate()
    buffer.revalidate()
    assert len(memoryview(buffer)) == 64


def test_refusal_leaves_no_count_behind(buffer: SampleBuffer) -> None:
    buffer.invalidate()
    for _ in range(100):
        with pytest.raises(BufferError):
            np.frombuffer(buffer, np.uint8)
    buffer.revalidate()
    assert buffer.view_count == 0


def test_buffer_is_kept_by_weak_references_only_as_long_as_it_lives(memory: Any) -> None:
    buffer = SampleBuffer(ctypes.addressof(memory), 64, None)
    seen = weakref.ref(buffer)
    del buffer
    gc.collect()
    assert seen() is None


LOOKS: list[Callable[[Any], object]] = [
    memoryview,
    bytes,
    lambda buffer: np.frombuffer(buffer, np.uint8),
    lambda buffer: np.asarray(buffer, dtype=np.uint8),
]


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS, ids=["memoryview", "bytes", "frombuffer", "asarray"])
def test_counts_survive_handlers_that_raise(
    buffer: SampleBuffer,
    interruptions: Interruptions,
    capfd: pytest.CaptureFixture[str],
    look: Callable[[Any], object],
) -> None:
    end = time.monotonic() + 0.5
    interruptions.run(lambda: look_until(end, buffer, look))
    gc.collect()
    assert interruptions.count
    assert buffer.view_count == 0
    assert "Exception ignored" not in capfd.readouterr().err


def look_until(end: float, buffer: SampleBuffer, look: Callable[[Any], object]) -> None:
    """Take views and let them go."""
    while time.monotonic() < end:
        look(buffer)


LEAKS = """
import ctypes, resource, numpy
from dora.node.sample_buffer import SampleBuffer
memory = ctypes.create_string_buffer(64)

def use(times):
    for _ in range(times):
        buffer = SampleBuffer(ctypes.addressof(memory), 64, None)
        numpy.frombuffer(buffer, numpy.uint8)
        buffer.invalidate()
        try:
            memoryview(buffer)
        except BufferError:
            pass

use(5_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
use(50_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_buffers_leak_no_memory() -> None:
    found = subprocess.run([sys.executable, "-c", LEAKS], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 1_000  # KiB; 50,000 leaked buffers would be 10 MB
