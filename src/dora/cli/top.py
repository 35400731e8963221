"""`dora top`: watch the nodes of all dataflows that run."""

from __future__ import annotations

import sys
import time
from typing import Final

import click

from dora.cli.activity import Activity, NodeActivity, as_json
from dora.cli.tables import print_json
from dora.cli.targets import HELP, examples, open_control, service_options
from dora.control import ControlError
from dora.errors import ConnectionLost
from dora.messages import api
from dora.runs.usage import disk_bytes

_BETWEEN_LOOKS_S: Final = 0.5
_TOP: Final = """
Examples:
  dora top                       q ends it, up and down choose a node, n c m sort by name, CPU, memory
  dora top --once                measure for half a second, print one JSON document
  dora top --once | jq '.[] | {node_id, cpu: .metrics.cpu_usage}'

CPU is in percent of one core; CPU and memory count child processes, disk use does not. Of each input: messages in its
queue, sent to it, dropped for want of room, and sent to it per second. Watching costs the nodes nothing.
"""


class Looker:
    """Looks at all dataflows that run, of `dora run` and `dora start` alike; finds the service again when it was lost.

    Raises:
        ControlError, ConnectionLost: from `look`, when neither the service nor the runs answer.
    """

    def __init__(self, host: str | None, port: int | None) -> None:
        self._where = (host, port)
        self._control = open_control(host, port)
        self._activity = Activity(disk_bytes if host is None and port is None else None)

    def look(self) -> list[NodeActivity]:
        """What all nodes do now."""
        try:
            infos = self._running()
        except (ControlError, ConnectionLost):
            self._control = open_control(*self._where)
            infos = self._running()
        return self._activity.note(infos, time.monotonic())

    def _running(self) -> list[api.DataflowInfo]:
        listed = self._control.dataflows().dataflows
        found = []
        for one in listed:
            if one.state in api.ENDED:
                continue
            try:
                found.append(self._control.dataflow(one.id))
            except ControlError as error:
                if error.code != api.UNKNOWN_DATAFLOW:  # that one has ended and is forgotten since
                    raise
        return found


@click.command(context_settings=HELP, epilog=examples(_TOP))
@click.option(
    "--refresh-interval",
    "interval_s",
    type=click.FloatRange(min=1),
    default=2.0,
    metavar="SECONDS",
    help="Look that often (2).",
)
@click.option("--once", "is_once", is_flag=True, help="Print one JSON document; needs no terminal.")
@service_options
def top(interval_s: float, is_once: bool, host: str | None, port: int | None) -> int:
    """Watch the nodes of all running dataflows: CPU, memory, restarts, queues, drops, rates."""
    if not is_once and not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise click.ClickException("`dora top` needs a terminal; `dora top --once` prints one JSON document")
    looker = Looker(host, port)
    if is_once:
        if looker.look():
            time.sleep(_BETWEEN_LOOKS_S)
        print_json([as_json(node) for node in looker.look()])
        return 0
    # only for people who watch: it takes longer to load than all other commands
    from dora.cli.top_screen import TopScreen

    TopScreen(looker.look, interval_s=interval_s).run()
    return 0


@click.group(context_settings=HELP)
def inspect() -> None:
    """Look at what runs."""


inspect.add_command(top)
