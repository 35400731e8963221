"""The loop under the runner."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dora.runner.reactor import Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    loop = Reactor()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


def test_a_readable_descriptor_calls_back_until_it_is_removed(reactor: Reactor, pipe: tuple[int, int]) -> None:
    calls: list[bytes] = []
    reactor.add_reader(pipe[0], lambda: calls.append(os.read(pipe[0], 1)))
    os.write(pipe[1], b"abc")
    reactor.wait(1.0)
    reactor.wait(1.0)
    reactor.remove_reader(pipe[0])
    reactor.wait(0.0)
    assert calls == [b"a", b"b"]


def test_a_writable_descriptor_calls_back(reactor: Reactor, pipe: tuple[int, int]) -> None:
    calls: list[str] = []
    reactor.add_writer(pipe[1], lambda: calls.append("writable"))
    reactor.wait(1.0)
    reactor.remove_writer(pipe[1])
    reactor.wait(0.0)
    assert calls == ["writable"]


def test_a_reader_that_another_one_removed_is_not_called_any_more(reactor: Reactor, pipe: tuple[int, int]) -> None:
    calls: list[int] = []
    other = os.dup(pipe[0])

    def take(own: int, its_twin: int) -> None:
        calls.append(own)
        reactor.remove_reader(its_twin)

    reactor.add_reader(pipe[0], lambda: take(pipe[0], other))
    reactor.add_reader(other, lambda: take(other, pipe[0]))
    os.write(pipe[1], b"x")
    reactor.wait(1.0)
    os.close(other)
    assert len(calls) == 1


def test_a_signal_calls_back_from_wait(reactor: Reactor) -> None:
    arrived: list[int] = []
    reactor.on_signals([signal.SIGUSR1], arrived.append)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert arrived == []
    reactor.wait(1.0)
    assert arrived == [signal.SIGUSR1]


def test_a_signal_that_came_before_the_callback_was_changed_goes_to_the_new_one(reactor: Reactor) -> None:
    arrived: list[int] = []
    reactor.on_signals([signal.SIGUSR1], lambda signum: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    reactor.on_signals([signal.SIGUSR1], arrived.append)
    reactor.wait(1.0)
    assert arrived == [signal.SIGUSR1]


def test_signals_are_given_back_at_the_end() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    reactor = Reactor()
    reactor.on_signals([signal.SIGUSR1], lambda signum: None)
    assert signal.getsignal(signal.SIGUSR1) is not before
    reactor.close()
    reactor.close()
    assert signal.getsignal(signal.SIGUSR1) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_wait_ends_when_its_time_is_over(reactor: Reactor) -> None:
    reactor.wait(0.001)
