"""An edge against a list: whatever is pushed, popped, released and restarted in any order, both agree."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dora.transport.pipes import CORRELATED, FLUSH
from dora.transport.sending import queued_records
from transport.joined import Joined


class QueueModel(RuleBasedStateMachine):
    """`queue` and `held` are what should be in the pipe and with the reader."""

    def __init__(self) -> None:
        super().__init__()
        self.joined: Joined | None = None
        self.queue: list[tuple[int, int]] = []
        self.held: list[int] = []
        self.sent = self.dropped = self.taken = 0

    @initialize(queue_size=st.sampled_from([1, 2, 3, 10]))
    def open(self, queue_size: int) -> None:
        self.joined = Joined(queue_size)
        self.queue_size = queue_size

    @property
    def edge(self) -> Joined:
        assert self.joined is not None
        return self.joined

    @rule(flags=st.sampled_from([0, CORRELATED, FLUSH, FLUSH | CORRELATED]), size=st.sampled_from([8, 5000]))
    def push(self, flags: int, size: int) -> None:
        self.edge.push(self.sent, flags, size)
        kept = [entry for entry in self.queue if entry[1] & CORRELATED or not flags & FLUSH] + [(self.sent, flags)]
        while len(kept) > self.queue_size:
            kept.remove(next((entry for entry in kept if not entry[1] & CORRELATED), kept[0]))
        self.dropped += len(self.queue) + 1 - len(kept)
        self.queue = kept
        self.sent += 1

    @rule(times=st.integers(1, 12))
    def push_plain(self, times: int) -> None:
        for _ in range(times):
            self.push(0, 8)

    @rule(times=st.integers(1, 5))
    def pop(self, times: int) -> None:
        for _ in range(times):
            expected = self.queue.pop(0)[0] if self.queue else None
            assert self.edge.pop() == expected
            if expected is not None:
                self.taken += 1
                self.held.append(expected)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.held))
        self.held.remove(number)
        self.edge.release(number)

    @rule()
    def restart_reader(self) -> None:
        self.edge.replace(self.queue_size)
        self.held.clear()

    @invariant()
    def queue_has_the_same_length(self) -> None:
        if self.joined is not None:
            assert queued_records(self.joined.sender.queue_read) == len(self.queue)

    @invariant()
    def room_is_told_rightly(self) -> None:
        if self.joined is not None:
            assert self.joined.sender.has_room() == (len(self.queue) < self.queue_size)

    @invariant()
    def memory_in_use_is_what_is_queued_or_held(self) -> None:
        if self.joined is not None:
            self.joined.sender.reclaim()
            assert self.joined.arena.used_chunks == len(self.queue) + len(self.held)

    @invariant()
    def what_is_held_is_unchanged(self) -> None:
        if self.joined is not None:
            view = self.joined.reader.mapping.view
            for number, offset in self.joined.taken.items():
                assert int.from_bytes(view[offset : offset + 8], "little") == number

    @invariant()
    def counters_are_exact(self) -> None:
        if self.joined is not None:
            counts = self.joined.counts
            assert (counts.sent, counts.dropped, counts.taken) == (self.sent, self.dropped, self.taken)

    def teardown(self) -> None:
        if self.joined is not None:
            self.joined.close()


TestQueueModel = pytest.mark.slow(QueueModel.TestCase)
TestQueueModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
