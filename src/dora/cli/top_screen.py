"""The live view of `dora top`: a table of nodes, and below it the inputs of the one that is chosen.

Strategy: looks are taken on a thread, one at a time, so that keys answer at once even while a service does not.  The
tables are made anew at every look; the chosen node stays chosen while it exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Footer, Static

from dora.cli.activity import InputActivity, NodeActivity
from dora.cli.tables import shown_cpu, shown_memory
from dora.errors import DoraError
from dora.messages import runner_daemon as messages
from dora.runs.choosing import shown_name

NODE_COLUMNS: Final = ("NODE", "STATUS", "DATAFLOW", "PID", "CPU", "MEMORY", "RESTARTS", "QUEUE", "DROPPED")
NODE_COLUMNS_OF_RATES: Final = ("IN /s", "DISK READ", "DISK WRITE")
INPUT_COLUMNS: Final = ("INPUT", "SOURCE", "QUEUE", "POLICY", "SENT", "DROPPED", "/s")

_COLORS: Final = {messages.FAILED: "red", messages.RESTARTING: "red", messages.STOPPING: "yellow"}

# key -> what nodes are sorted by, and whether the largest stands first
_ORDERS: Final[dict[str, tuple[Callable[[NodeActivity], Any], bool]]] = {
    "name": (lambda node: node.now.id, False),
    "cpu": (lambda node: node.now.cpu_percent or 0.0, True),
    "memory": (lambda node: node.now.memory_bytes or 0, True),
}


class TopScreen(App[None]):
    """The program.

    Args:
        look: what all nodes do now; called on a thread.
    """

    CSS = "#nodes { height: 2fr; } #inputs { height: 1fr; } Static { height: 1; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q,escape", "quit", "Quit"),
        ("n", "sort('name')", "By name"),
        ("c", "sort('cpu')", "By CPU"),
        ("m", "sort('memory')", "By memory"),
        ("r", "renew", "Look now"),
        ("j", "move(1)", "Down"),
        ("k", "move(-1)", "Up"),
    ]

    def __init__(self, look: Callable[[], list[NodeActivity]], *, interval_s: float) -> None:
        super().__init__()
        self._look = look
        self._interval_s = interval_s
        self._found: list[NodeActivity] = []
        self._order = "cpu"
        self._is_reversed = False
        self._is_looking = False

    def compose(self) -> ComposeResult:
        """The widgets, from the top."""
        yield Static("looking ...", id="said")
        yield DataTable[Text](id="nodes", cursor_type="row")
        yield DataTable[Text](id="inputs", cursor_type="none")
        yield Footer()

    def on_mount(self) -> None:
        """Look at once, and then again and again."""
        self._table("nodes").add_columns(*NODE_COLUMNS, *NODE_COLUMNS_OF_RATES)
        self._table("inputs").add_columns(*INPUT_COLUMNS)
        self._table("nodes").focus()
        self.set_interval(self._interval_s, self.action_renew)
        self.action_renew()

    def action_renew(self) -> None:
        """Look now, unless a look is under way."""
        if not self._is_looking:
            self._is_looking = True
            self.run_worker(self._renew())

    def action_sort(self, order: str) -> None:
        """Sort by that; asked again, the other way round."""
        self._is_reversed = not self._is_reversed if order == self._order else False
        self._order = order
        self._show_nodes()

    def action_move(self, step: int) -> None:
        """Choose the next node or the one before; after the last comes the first."""
        table = self._table("nodes")
        if table.row_count:
            table.move_cursor(row=(table.cursor_row + step) % table.row_count)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another node is chosen."""
        if event.data_table.id == "nodes":
            self._show_inputs()

    async def _renew(self) -> None:
        try:
            self._found = await asyncio.to_thread(self._look)
            said = "" if self._found else "no dataflow runs; start one with `dora start FILE` or `dora run FILE`"
        except DoraError as error:
            said = str(error)
        finally:
            self._is_looking = False
        self.query_one("#said", Static).update(Text(said))
        self._show_nodes()

    def _show_nodes(self) -> None:
        table = self._table("nodes")
        chosen = self._chosen_key()
        by, largest_first = _ORDERS[self._order]
        self._found.sort(key=by, reverse=largest_first is not self._is_reversed)
        table.clear()
        for node in self._found:
            table.add_row(
                *(Text(cell, style=_COLORS.get(node.now.state, "")) for cell in node_cells(node)), key=node.key
            )
        rows = [index for index, node in enumerate(self._found) if node.key == chosen]
        table.move_cursor(row=rows[0] if rows else 0)
        self._show_inputs()

    def _show_inputs(self) -> None:
        table = self._table("inputs")
        table.clear()
        chosen = self._chosen_key()
        for node in self._found:
            if node.key == chosen:
                for one in node.inputs:
                    table.add_row(*map(Text, input_cells(one)))

    def _chosen_key(self) -> str | None:
        table = self._table("nodes")
        return table.ordered_rows[table.cursor_row].key.value if table.is_valid_row_index(table.cursor_row) else None

    def _table(self, name: str) -> DataTable[Text]:
        found: DataTable[Text] = self.query_one(f"#{name}", DataTable)
        return found


def node_cells(node: NodeActivity) -> list[str]:
    """A row of the upper table."""
    now = node.now
    cells = [now.id, now.state.capitalize(), shown_name(node.dataflow), str(now.pid or "-"), shown_cpu(now.cpu_percent)]
    cells += [shown_memory(now.memory_bytes), str(now.restarts), str(node.waiting), str(node.dropped)]
    return [*cells, _rate(node.rate_hz), _mb_s(node.disk_read_mb_s), _mb_s(node.disk_write_mb_s)]


def input_cells(one: InputActivity) -> list[str]:
    """A row of the lower table."""
    now = one.now
    if now.queue_size is None:
        return [now.id, now.source, *["-"] * 5]
    queue = f"{now.waiting} of {now.queue_size}"
    return [now.id, now.source, queue, now.queue_policy or "-", str(now.sent), str(now.dropped), _rate(one.rate_hz)]


def _rate(per_s: float | None) -> str:
    return "-" if per_s is None else f"{per_s:.1f}"


def _mb_s(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} MB/s"
