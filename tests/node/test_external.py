"""Merged external events: every item of a subscription becomes one event (dora node-api, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from node.fake_runner import FakeRunner


class Subscription:
    """As that of a ROS 2 topic: None is its end."""

    def __init__(self, items: list[Any]) -> None:
        self._items: Iterator[Any] = iter(items)

    def next(self) -> Any:
        """The next item, or None."""
        return next(self._items, None)


async def asynchronous(items: list[Any]) -> Any:
    """An async iterator."""
    for item in items:
        yield item


@pytest.mark.parametrize(
    ("made", "expected"),
    [(iter, [1, None, 2]), (asynchronous, [1, None, 2]), (Subscription, [1])],
    ids=["iterator", "async iterator", "next"],
)
def test_none_is_an_item_of_an_iterator_and_the_end_of_a_subscription(
    runner: FakeRunner, made: Callable[[list[Any]], Any], expected: list[Any]
) -> None:
    node = runner.node()
    node.merge_external_events(made([1, None, 2]))
    assert [node.next(timeout=20) for _ in expected] == [{"kind": "external", "value": value} for value in expected]
    assert node.is_empty()


def test_items_may_be_arrays(runner: FakeRunner) -> None:
    node = runner.node()
    node.merge_external_events(Subscription([np.arange(3)]))
    event = node.next(timeout=20)
    assert event is not None
    assert event["value"].tolist() == [0, 1, 2]
