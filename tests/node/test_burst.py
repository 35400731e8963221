"""Which sends are a burst, and how long an output may wait for it (design.md 11.7)."""

from __future__ import annotations

import threading

import pytest

from dora.node import burst
from dora.node.burst import BurstRule

US = 1_000
MS = 1_000_000


class FakeTime:
    """The clocks of one thread, moved by hand."""

    def __init__(self) -> None:
        self.now = self.cpu = 10**12
        self.switches = 0
        self.looks = 0

    def looked_switches(self) -> int:
        """The voluntary switches, by a system call."""
        self.looks += 1
        return self.switches

    def monotonic_ns(self) -> int:
        return self.now

    def thread_time_ns(self) -> int:
        return self.cpu

    def work(self, ns: int) -> None:
        """The thread computes."""
        self.now += ns
        self.cpu += ns

    def sleep(self, ns: int) -> None:
        """The thread waits for something."""
        self.now += ns
        self.switches += 1

    def preempt(self, ns: int) -> None:
        """Another process has the processor."""
        self.now += ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """What the rule takes for the time."""
    fake = FakeTime()
    monkeypatch.setattr(burst, "time", fake)
    monkeypatch.setattr(burst, "_switches", fake.looked_switches)
    return fake


@pytest.fixture
def rule(clock: FakeTime) -> BurstRule:
    """A fresh output's rule."""
    return BurstRule()


def send(rule: BurstRule, times: int = 1) -> None:
    """Sends without a pause."""
    for _ in range(times):
        rule.enter()
        if rule.is_unsure or rule.run == 1:
            rule.finish()


def test_more_sends_than_the_queue_holds_are_a_burst(rule: BurstRule) -> None:
    send(rule, 10)
    assert not rule.is_burst(10)
    send(rule)
    assert rule.is_burst(10)


def test_short_work_between_sends_ends_no_burst(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(11):
        send(rule)
        clock.work(300 * US)
    assert rule.is_burst(10)


def test_sends_with_a_millisecond_of_work_between_are_none(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(100):
        send(rule)
        clock.work(MS)
    assert not rule.is_burst(10)


def test_sends_with_a_sleep_between_are_none(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(100):
        send(rule)
        clock.sleep(10 * MS)
    assert not rule.is_burst(10)


def test_preemption_ends_no_burst(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(11):
        send(rule)
        clock.preempt(50 * MS)
    assert rule.is_burst(10)


def test_short_sleeps_are_found_when_it_matters(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(20):
        send(rule)
        clock.sleep(100 * US)
    assert rule.has_slept()
    assert not rule.is_burst(10)


def test_burst_without_sleeps_stays_one(rule: BurstRule) -> None:
    send(rule, 20)
    assert not rule.has_slept()
    assert rule.is_burst(10)


def test_long_send_is_no_gap(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(11):
        rule.enter()
        clock.work(20 * MS)
        rule.finish()
    assert rule.is_burst(10)


def test_gap_is_looked_at_after_the_send_while_no_queue_can_be_full(rule: BurstRule, clock: FakeTime) -> None:
    send(rule, 5)
    clock.sleep(10 * MS)
    rule.enter()
    looked = clock.looks
    assert not rule.is_burst(10)
    assert clock.looks == looked
    rule.finish()
    assert rule.run == 1


def test_gap_is_looked_at_before_a_send_that_would_wait(rule: BurstRule, clock: FakeTime) -> None:
    send(rule, 10)
    clock.sleep(10 * MS)
    rule.enter()
    assert not rule.is_burst(10)


def test_send_that_gave_up_leaves_its_gap_to_the_next(rule: BurstRule, clock: FakeTime) -> None:
    send(rule, 10)
    clock.sleep(10 * MS)
    rule.enter()
    rule.enter()
    assert not rule.is_burst(10)


def test_own_time_of_a_send_after_a_gap_is_no_work(rule: BurstRule, clock: FakeTime) -> None:
    for _ in range(11):
        rule.enter()
        clock.work(20 * MS)
        rule.finish()
        clock.preempt(5 * MS)
    assert rule.is_burst(10)


def test_each_thread_has_a_run_of_its_own(rule: BurstRule) -> None:
    send(rule, 10)
    other = threading.Thread(target=send, args=(rule,))
    other.start()
    other.join()
    assert rule.run == 1


def test_fresh_output_may_wait_half_a_second(rule: BurstRule) -> None:
    assert rule.budget_ns() == 500 * MS


def test_waits_are_taken_off_the_budget(rule: BurstRule) -> None:
    rule.count_wait(200 * MS)
    rule.count_wait(400 * MS)
    assert rule.budget_ns() == -100 * MS


def test_budget_grows_by_a_twentieth_of_the_time(rule: BurstRule, clock: FakeTime) -> None:
    rule.count_wait(500 * MS)
    clock.sleep(1000 * MS)
    assert rule.budget_ns() == 50 * MS


def test_voluntary_switches_of_the_thread_are_seen() -> None:
    before = burst._switches()
    threading.Event().wait(0.001)
    assert burst._switches() > before


def test_voluntary_switches_of_other_threads_are_not_seen() -> None:
    pause = threading.Event()
    other = threading.Thread(target=lambda: [pause.wait(0.0001) for _ in range(300)])
    before = burst._switches()
    other.start()
    other.join()
    assert burst._switches() - before < 150
