"""Who looks at outputs from outside: each has a queue and a place in the counters page of its own."""

from __future__ import annotations

from typing import Any

import pytest

from dora.dataflow.descriptor import Node
from dora.messages import runner_daemon as messages
from dora.runner import stimuli as s
from dora.runner.state.node_life import NodeLife
from dora.runner.state.topology import Slots
from dora.runner.taps import TapDesk, Taps

FREE = 5
"""the first place that no route of the dataflow has"""


class FakeVisitor:
    """Hears what is said to it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def say(self, message: Any, fds: tuple[int, ...] = ()) -> None:
        self.heard.append(message)


class Place:
    """A desk for the outputs of one node, and what it tells the rules."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.cleared: list[int] = []
        camera = NodeLife(Node("camera", "camera.py", outputs=("image",)))
        slots = Slots(FREE, 10)
        self.desk = TapDesk(Taps(), lambda name: camera, slots=slots, clear=self.cleared.append, tell=self.told.append)

    def open(self, visitor: Any, tap: int = 1, queue_size: int = 10) -> Any:
        self.desk.open(messages.Tap(tap, "camera", "image", queue_size), visitor)
        return self.told[-1].route


@pytest.fixture
def place() -> Place:
    """A desk that nobody came to yet."""
    return Place()


def test_each_counts_in_a_place_of_its_own_behind_those_of_the_dataflow(place: Place) -> None:
    routes = [place.open(FakeVisitor()) for _ in range(3)]
    assert [route.slot for route in routes] == [FREE, FREE + 1, FREE + 2] == place.cleared
    assert len({route.reader for route in routes}) == 3


def test_each_has_the_queue_that_it_asked_for(place: Place) -> None:
    assert [place.open(FakeVisitor(), queue_size=size).queue_size for size in (0, 7)] == [1, 7]


def test_all_that_a_visitor_looked_at_is_closed_when_he_leaves(place: Place) -> None:
    stays, leaves = FakeVisitor(), FakeVisitor()
    place.open(stays)
    routes = [place.open(leaves, tap) for tap in (1, 2)]
    place.told.clear()
    place.desk.forget(leaves)  # type: ignore[arg-type]
    assert place.told == [s.TapClosed(route) for route in routes]
