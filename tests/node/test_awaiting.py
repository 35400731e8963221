"""`recv_async`: events on asyncio's own loop, none lost to cancelled tasks (dora node-api, section 4)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import pytest

from dora.messages import node_runner as m
from dora.node.node import Node
from node.fake_runner import FakeRunner


def number(event: Any) -> Any:
    """The first element of an event's value."""
    return event["value"][0].as_py()


async def given_up(waiting: Awaitable[Any]) -> None:
    """Wait for it a moment in vain."""
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(waiting, 0.005)


async def settle() -> None:
    """Let every task run as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_event_that_waits_is_given(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(5)
    assert number(asyncio.run(as_coroutine(node.recv_async()))) == 5


async def as_coroutine(waiting: Awaitable[Any]) -> Any:
    return await waiting


def test_what_recv_async_returns_is_a_coroutine(runner: FakeRunner) -> None:
    waiting = runner.node().recv_async()
    assert inspect.iscoroutine(waiting)
    waiting.close()


def test_event_that_comes_wakes_the_task(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> Any:
        task = asyncio.ensure_future(node.recv_async())
        await settle()
        feed.send(5)
        return await task

    assert number(asyncio.run(main())) == 5


def test_end_of_the_stream_is_none(runner: FakeRunner) -> None:
    node = runner.node()
    runner.say(m.Stop())

    async def main() -> list[Any]:
        return [await node.recv_async(), await node.recv_async(), await node.recv_async(timeout=5)]

    assert asyncio.run(main()) == [{"type": "STOP", "id": "MANUAL", "kind": "dora"}, None, None]


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_timeout_gives_an_error_event(runner: FakeRunner, timeout: float) -> None:
    node = runner.node()
    event = asyncio.run(as_coroutine(node.recv_async(timeout)))
    assert event["error"] == f"Timeout event stream error: Receiver timed out after {timeout} s"


def test_very_long_timeout_is_no_error(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> Any:
        task = asyncio.ensure_future(node.recv_async(1e9))
        await settle()
        feed.send(5)
        return await task

    assert number(asyncio.run(main())) == 5


def test_other_tasks_run_while_one_waits(runner: FakeRunner) -> None:
    node = runner.node()

    async def main() -> int:
        waiting = asyncio.ensure_future(node.recv_async())
        await settle()
        waiting.cancel()
        return 7

    assert asyncio.run(main()) == 7


def test_other_tasks_run_during_a_flood(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(*range(100))
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.ensure_future(other())
        for _ in range(100):
            await node.recv_async()
        task.cancel()

    asyncio.run(main())
    assert len(turns) >= 90


def test_wait_that_is_given_up_loses_no_event(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> list[Any]:
        await given_up(node.recv_async())
        feed.send(1, 2)
        return [number(await node.recv_async()), number(await node.recv_async())]

    assert asyncio.run(main()) == [1, 2]


@pytest.mark.parametrize("steps", range(8))
def test_task_cancelled_at_any_step_loses_no_event(runner: FakeRunner, steps: int) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> list[Any]:
        task = asyncio.ensure_future(node.recv_async())
        await settle()
        feed.send(1)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        found = await asyncio.gather(task, return_exceptions=True)
        if isinstance(found[0], asyncio.CancelledError):
            return [number(await node.recv_async())]
        return [number(found[0])]

    assert asyncio.run(main()) == [1]


@pytest.mark.parametrize("steps", range(4))
def test_task_cancelled_before_it_waits_loses_no_event(runner: FakeRunner, steps: int) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1)

    async def main() -> list[Any]:
        task = asyncio.ensure_future(node.recv_async())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        found = await asyncio.gather(task, return_exceptions=True)
        if isinstance(found[0], asyncio.CancelledError):
            return [number(await node.recv_async())]
        return [number(found[0])]

    assert asyncio.run(main()) == [1]


def test_two_tasks_get_distinct_events(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> list[Any]:
        tasks = [asyncio.ensure_future(node.recv_async()) for _ in range(2)]
        await settle()
        feed.send(1, 2)
        return sorted(number(event) for event in await asyncio.gather(*tasks))

    assert asyncio.run(main()) == [1, 2]


def test_task_that_is_cancelled_leaves_the_other_waiting(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> Any:
        first, second = (asyncio.ensure_future(node.recv_async()) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        feed.send(1)
        return number(await second)

    assert asyncio.run(main()) == 1


def test_closing_wakes_a_task(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> Any:
        task = asyncio.ensure_future(node.recv_async())
        await settle()
        feed.finish()
        return [(await task)["type"], (await node.recv_async())["type"], await node.recv_async()]

    assert asyncio.run(main()) == ["INPUT_CLOSED", "STOP", None]


def test_closed_node_ends_the_wait_of_its_tasks(runner: FakeRunner) -> None:
    node = runner.node()

    async def main() -> Any:
        tasks = [asyncio.ensure_future(node.recv_async()) for _ in range(2)]
        await settle()
        node.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), 5)

    assert asyncio.run(main()) == [None, None]


def test_waiting_task_is_published_and_taken_back(runner: FakeRunner) -> None:
    node = runner.node()

    async def main() -> list[int]:
        task = asyncio.ensure_future(node.recv_async())
        await settle()
        seen = [runner.counts.receiving]
        task.cancel()
        await settle()
        return [*seen, runner.counts.receiving]

    assert asyncio.run(main()) == [1, 0]


def test_loop_after_loop_may_wait_for_events(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    asyncio.run(given_up(node.recv_async()))
    feed.send(1)
    assert number(asyncio.run(as_coroutine(node.recv_async()))) == 1


def test_next_in_an_executor_works_beside(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()

    async def main() -> Any:
        waiting = asyncio.get_running_loop().run_in_executor(None, node.next)
        await asyncio.to_thread(runner.wait_until_receiving)
        feed.send(5)
        return number(await waiting)

    assert asyncio.run(main()) == 5


def test_send_from_a_coroutine(runner: FakeRunner) -> None:
    feed, sink = runner.feed("in"), runner.sink("out")
    node = runner.node()
    feed.send(5)

    async def main() -> None:
        event = await node.recv_async()
        assert event is not None
        node.send_output("out", event["value"], event["metadata"])

    asyncio.run(main())
    assert sink.take_all() == [[5]]


def test_async_for_goes_to_the_end(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1, 2)
    feed.finish()

    async def main() -> list[str]:
        return [event["type"] async for event in node]

    assert asyncio.run(main()) == ["INPUT", "INPUT", "INPUT_CLOSED", "STOP"]


def test_forked_child_may_not_wait(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    node: Node = runner.node()
    monkeypatch.setattr(node._link, "is_forked", True)
    with pytest.raises(RuntimeError, match="cannot be used in its forked child"):
        asyncio.run(as_coroutine(node.recv_async()))
    monkeypatch.undo()
