"""`dora topic list|echo|hz|info|pub`: the messages of a dataflow that runs, on this machine."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from dora.cli.publish import pub
from dora.cli.rates import COLUMNS, Rates, Reading, cells
from dora.cli.tables import FORMATS, print_json_lines, print_table
from dora.cli.targets import HELP, dataflow_option, examples
from dora.cli.topics import Topic, choose_topics, find_run, metadata_as_json, topics_of
from dora.errors import ConnectionLost
from dora.runs.counters import CountersView, count_unread
from dora.runs.link import RunnerLink

if TYPE_CHECKING:
    from dora.inspection import Inspection, Message

_HINT_AFTER_S: Final = 5.0
_SAY_WHO_IS_WAITED_FOR_AFTER_S: Final = 1.0
_LOOK_S: Final = 0.02
_REFRESH_S: Final = 0.5
_QUEUE_SIZE: Final = 100
_WIDEST_TABLE_LINE: Final = 2000

layout_option = click.option(
    "--format", "layout", type=click.Choice(FORMATS, case_sensitive=False), default="table", help="How it is shown."
)
duration_option = click.option(
    "--duration", "duration_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="End after that."
)


@click.group(
    context_settings=HELP,
    epilog=examples("""
Examples:
  dora topic list
  dora topic echo camera/image --count 1
  dora topic hz --duration 5
  dora topic info camera/image
  dora topic pub camera/trigger true
"""),
)
def topic() -> None:
    """Look at the messages of a running dataflow, or send some.

    A topic is an output, written NODE/OUTPUT.  Any output can be looked at and sent on, without a flag in the file; no
    node ever waits for who looks.
    """


topic.add_command(pub)


@topic.command("list", context_settings=HELP)
@dataflow_option
@layout_option
def list_topics(wanted: str | None, layout: str) -> None:
    """Show every output and who reads it."""
    _, run = find_run(wanted)
    found = topics_of(run)
    if layout == "json":
        print_json_lines({"node": one.node, "name": one.output, "subscribers": list(one.readers)} for one in found)
    else:
        print_table(("Node", "Name", "Subscribers"), [(one.node, one.output, ", ".join(one.readers)) for one in found])


# -- echo --------------------------------------------------------------------------------------------------------


@topic.command(
    context_settings=HELP,
    epilog=examples("""
Examples:
  dora topic echo                          every output of the only dataflow that runs
  dora topic echo camera/image --count 3
  dora topic echo -d arm --format json joints/state | jq .data

With a slow terminal messages are skipped, and said how many; the sender is never held up.
"""),
)
@click.argument("names", nargs=-1, metavar="[NODE/OUTPUT]...")
@dataflow_option
@layout_option
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
@duration_option
def echo(names: tuple[str, ...], wanted: str | None, layout: str, count: int | None, duration_s: float | None) -> None:
    """Print messages as they come."""
    with inspect(wanted, names) as (inspection, _):
        watch = _Watch(inspection)
        for message in islice(watch.messages(duration_s), count):
            _print_message(message, layout)
        skipped = sum(inspection.counts(tap).dropped for tap in inspection.taps.values())
    if skipped:
        click.echo(f"{skipped} messages were skipped: they came faster than they could be printed", err=True)


@contextmanager
def inspect(wanted: str | None, names: tuple[str, ...]) -> Iterator[tuple[Inspection, list[Topic]]]:
    """Look at these outputs of a run, or at all of them."""
    path, run = find_run(wanted)
    topics = choose_topics(topics_of(run), names)
    # decoding needs pyarrow, which `topic list` does without
    from dora.inspection import Inspection

    with Inspection(RunnerLink.open(path)) as inspection:
        for one in topics:
            inspection.open(one.node, one.output, queue_size=_QUEUE_SIZE)
        yield inspection, topics


class _Watch:
    """Messages until the run ends, with a word to the user when none come."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._began_s = time.monotonic()
        self._has_hinted = False
        self._has_named = False
        self._closed: set[int] = set()

    def messages(self, duration_s: float | None) -> Iterator[Message]:
        inspection = self._inspection
        end_s = None if duration_s is None else self._began_s + duration_s
        is_silent = True
        while not inspection.is_over:
            left_s = 0.5 if end_s is None else min(0.5, end_s - time.monotonic())
            if left_s <= 0:
                return
            try:
                for message in inspection.take(left_s):
                    is_silent = False
                    yield message
                    if end_s is not None and time.monotonic() >= end_s:
                        return
            except ConnectionLost:
                click.echo("The dataflow has ended", err=True)
                return
            self._say_closed()
            if is_silent:
                self._say_silence()

    def _say_closed(self) -> None:
        for number, tap in self._inspection.taps.items():
            if tap.is_closed and number not in self._closed:
                self._closed.add(number)
                click.echo(f"Output {tap.node}/{tap.output} closed", err=True)

    def _say_silence(self) -> None:
        waited_s = time.monotonic() - self._began_s
        if waited_s > _SAY_WHO_IS_WAITED_FOR_AFTER_S and not self._has_named:
            self._has_named = True
            nodes = dict.fromkeys(tap.node for tap in self._inspection.taps.values() if not tap.is_closed)
            click.echo(f"waiting for {', '.join(nodes)}", err=True)
        if waited_s > _HINT_AFTER_S and not self._has_hinted:
            self._has_hinted = True
            click.echo("Nothing has been sent yet; `dora topic hz --duration 5` shows which outputs send", err=True)


def _print_message(message: Message, layout: str) -> None:
    # with pyarrow, as late as it
    from dora.arrow_json import array_to_json

    name = f"{message.node}/{message.output}"
    if message.error:
        click.echo(f"{name}: a message could not be read: {message.error}", err=True)
        return
    data = array_to_json(message.value)
    metadata = metadata_as_json(message.metadata)
    if layout == "json":
        line = {"timestamp": message.received_ns // 10**6, "name": name, "data": data, "metadata": metadata or None}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    else:
        text = (
            f"{name}\t data={json.dumps(data, ensure_ascii=False)} metadata={json.dumps(metadata, ensure_ascii=False)}"
        )
        if len(text) > _WIDEST_TABLE_LINE:
            text = f"{text[:_WIDEST_TABLE_LINE]}... ({len(message.value)} elements; --format json shows all)"
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


# -- rates -------------------------------------------------------------------------------------------------------


@topic.command(
    context_settings=HELP,
    epilog=examples("""
Examples:
  dora topic hz                            a line per output every second, until Ctrl-C
  dora topic hz camera/image --duration 5  measure once, for a script

Rates come from the counters that the nodes keep anyway; looking costs them nothing.
"""),
)
@click.argument("names", nargs=-1, metavar="[NODE/OUTPUT]...")
@dataflow_option
@click.option(
    "--window",
    "window_s",
    type=click.FloatRange(min=0.1),
    default=10.0,
    metavar="SECONDS",
    help="Average over that (10).",
)
@duration_option
def hz(names: tuple[str, ...], wanted: str | None, window_s: float, duration_s: float | None) -> None:
    """Show how often outputs send."""
    if duration_s is None and not sys.stdout.isatty():
        raise click.UsageError("without a terminal, say for how long to measure: --duration SECONDS")
    window_s = window_s if duration_s is None else math.inf
    with count(wanted, names) as (read, topics):
        rates = Rates([one.name for one in topics], window_s=window_s)
        shown = _live_table(rates) if duration_s is None else nullcontext(lambda: None)
        end_s = math.inf if duration_s is None else time.monotonic() + duration_s
        with shown as show:
            while (now_s := time.monotonic()) < end_s:
                rates.note(read(), now_s)
                show()
                time.sleep(_LOOK_S)
        rates.note(read(), time.monotonic())
    for line in [COLUMNS, *map(cells, rates.rates())]:
        click.echo("\t".join(line))


@contextmanager
def count(wanted: str | None, names: tuple[str, ...]) -> Iterator[tuple[Callable[[], list[Reading]], list[Topic]]]:
    """Read the counters of these outputs of a run, or of all."""
    path, run = find_run(wanted)
    topics = choose_topics(topics_of(run), names)
    with RunnerLink.open(path) as link:
        view = CountersView(link)
        slots = [
            one.slots or (count_unread(link, number, one.node, one.output),) for number, one in enumerate(topics, 1)
        ]

        def read() -> list[Reading]:
            edges = ([view.edge(slot) for slot in places] for places in slots)
            return [max(Reading(edge.sent, edge.last_send_ns) for edge in of_one) for of_one in edges]

        try:
            yield read, topics
        finally:
            view.close()


@contextmanager
def _live_table(rates: Rates) -> Iterator[Callable[[], None]]:
    """A table on the terminal that `show` renews, until Ctrl-C."""
    # only for people who watch
    from rich.live import Live
    from rich.table import Table

    def table() -> Table:
        made = Table("Output", "Avg (ms)", "Avg (Hz)", "Min", "Max", "Std", "Messages", box=None)
        for rate in rates.rates():
            made.add_row(*cells(rate))
        return made

    with Live(table(), auto_refresh=False, transient=True) as live:
        shown_s = 0.0

        def show() -> None:
            nonlocal shown_s
            if time.monotonic() - shown_s >= _REFRESH_S:
                shown_s = time.monotonic()
                live.update(table(), refresh=True)

        with suppress(KeyboardInterrupt):
            yield show


# -- info --------------------------------------------------------------------------------------------------------


@topic.command(
    context_settings=HELP,
    epilog=examples("""
Examples:
  dora topic info camera/image
  dora topic info camera/image --duration 1
"""),
)
@click.argument("name", required=False, metavar="[NODE/OUTPUT]")
@dataflow_option
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    metavar="SECONDS",
    help="Measure for that long (5).",
)
def info(name: str | None, wanted: str | None, duration_s: float) -> None:
    """Show the type of an output, who sends and reads it, and how much."""
    path, run = find_run(wanted)
    known = topics_of(run)
    if name is None and len(known) > 1:
        raise click.UsageError(f"which output? There are: {', '.join(one.name for one in known)}")
    (one,) = choose_topics(known, (name,) if name else ())
    # decoding needs pyarrow, which `topic list` does without
    from dora.inspection import Inspection

    with Inspection(RunnerLink.open(path)) as inspection:
        tap = inspection.open(one.node, one.output, queue_size=1)
        kind = _type_within(inspection, duration_s)
        counts = inspection.counts(tap)
    mbps = counts.size_bytes * 8 / duration_s / 1e6
    click.echo(f"Topic: {one.name}\nType: {kind}\nPublisher:\n  * {one.node} ({counts.sent / duration_s:.1f} Hz)")
    click.echo(
        "\n".join(["Subscribers:", *(f"  * {reader}" for reader in one.readers or ["<none>"])]).replace("* <", "<")
    )
    click.echo(f"Statistics:\n  Total messages: {counts.sent}\n  Bandwidth: {mbps:.2f} Mbps")


def _type_within(inspection: Inspection, duration_s: float) -> str:
    """The type of the first message; takes the whole time, so that messages can be counted meanwhile."""
    kind = "<unknown> (no messages received)"
    end_s = time.monotonic() + duration_s
    while (left_s := end_s - time.monotonic()) > 0 and not inspection.is_over:
        for message in inspection.take(left_s):
            if not message.error:
                kind = _shown_type(message.value.type)
    return kind


def _shown_type(kind: Any) -> str:
    """`Int64`; of nested types what Arrow calls them."""
    # with pyarrow, as late as it
    from dora.arrow_json import type_to_json

    name = type_to_json(kind)
    return name if isinstance(name, str) else str(kind)
