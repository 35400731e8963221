"""The live view of `dora top`, without a terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.widgets import DataTable, Static

from dora.cli.activity import Activity, NodeActivity
from dora.cli.top_screen import TopScreen
from dora.errors import ConnectionLost
from dora.messages import api

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]


def nodes() -> list[NodeActivity]:
    """Two nodes: `a` is larger, `b` busier and has an input."""
    port = api.InputInfo(id="in", source="a/out", queue_size=10, queue_policy="drop_oldest", sent=9, taken=5, waiting=4)
    found = [
        api.NodeInfo(id="a", state="running", dataflow="x", pid=1, cpu_percent=1.0, memory_bytes=200),
        api.NodeInfo(id="b", state="failed", dataflow="x", cpu_percent=9.0, memory_bytes=100, inputs=[port]),
    ]
    return Activity(None).note([api.DataflowInfo(id="x", name="demo", file="", state="running", nodes=found)], 0.0)


def rows(screen: TopScreen, table: str) -> list[list[str]]:
    """What a table shows."""
    shown = screen.query_one(f"#{table}", DataTable)
    return [[str(cell) for cell in shown.get_row_at(row)] for row in range(shown.row_count)]


async def shown_after(
    *keys: str, look: Callable[[], list[NodeActivity]] = nodes
) -> tuple[list[str], list[list[str]], str]:
    """The nodes from above, the inputs of the chosen one, and the line above, once these keys were pressed."""
    screen = TopScreen(look, interval_s=3600.0)
    async with screen.run_test() as pilot:
        await screen.workers.wait_for_complete()
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        return [row[0] for row in rows(screen, "nodes")], rows(screen, "inputs"), str(screen.query_one(Static).render())


@pytest.mark.parametrize(
    ("keys", "order"),
    [((), ["b", "a"]), (("c",), ["a", "b"]), (("n",), ["a", "b"]), (("n", "n"), ["b", "a"]), (("m",), ["a", "b"])],
)
async def test_nodes_are_sorted_as_the_keys_say(keys: tuple[str, ...], order: list[str]) -> None:
    assert (await shown_after(*keys))[0] == order


async def test_the_inputs_of_the_chosen_node_are_shown() -> None:
    assert (await shown_after())[1] == [["in", "a/out", "4 of 10", "drop_oldest", "9", "0", "-"]]
    assert (await shown_after("j"))[1] == []
    assert len((await shown_after("j", "j"))[1]) == 1, "after the last comes the first"


async def test_what_cannot_be_asked_is_said() -> None:
    def look() -> list[NodeActivity]:
        raise ConnectionLost("the link to the service broke")

    assert await shown_after(look=look) == ([], [], "the link to the service broke")


async def test_q_ends_it() -> None:
    screen = TopScreen(nodes, interval_s=3600.0)
    async with screen.run_test() as pilot:
        await pilot.press("q")
    assert screen.return_code == 0
