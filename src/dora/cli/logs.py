"""`dora logs [ID_OR_NAME]`: what the nodes of a run have printed and logged."""

from __future__ import annotations

import datetime
import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dora.cli.durations import DURATION
from dora.cli.targets import open_service, service_options
from dora.logs.formats import FORMATS
from dora.logs.levels import LEVELS, STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dora.control import Control
    from dora.logs.entry import LogEntry
    from dora.logs.formats import Format
    from dora.logs.places import Run
    from dora.logs.reading import LogQuery, RunReader

_LOOK_S: Final = 0.1
_BATCH: Final = 1000
_EPILOG: Final = """\b
Examples:
  dora logs demo                               of the dataflow `demo`, running or ended
  dora logs --follow                           of the only one that runs
  dora logs --local                            everything that the last run here has logged
  dora logs --local --follow --node camera     go on while the run does
  dora logs --local detection --tail 50        the last lines of the last run of detection.yml
  dora logs --local --since 10m --level warn --grep timeout
  dora logs --local --log-format json | jq .message

Ctrl-C ends --follow; it ends by itself when the run is over.
"""


class Instant(click.ParamType):  # type: ignore[type-arg] # generic in the stubs of some versions only
    """Nanoseconds since 1970, written as a duration before now or as a date and time."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `value`; a usage error if it is neither."""
        if isinstance(value, int):
            return value
        try:
            instant = datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            return time.time_ns() - round(DURATION.convert(value, param, ctx) * 1e9)
        return round(instant.timestamp() * 1e9)


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("wanted", metavar="[ID_OR_NAME]", required=False)
@click.argument("surplus", metavar="", required=False)
@click.option("--local", "is_local", is_flag=True, help="Read the files in ./out and ask no background service.")
@click.option("-n", "--node", "nodes", multiple=True, metavar="NODE", help="Only this node; may be repeated.")
@click.option("--all-nodes", is_flag=True, help="All nodes, merged by time (the default).")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what is logged from now on.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of all nodes together.")
@click.option("--since", "since_ns", type=Instant(), metavar="TIME", help="Newer than 10m ago, or a date and time.")
@click.option("--until", "until_ns", type=Instant(), metavar="TIME", help="Older than 10m ago, or a date and time.")
@click.option("--grep", default="", metavar="TEXT", help="With TEXT in message, node or logger, in any case.")
@click.option(
    "--level",
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default=STDOUT,
    envvar="DORA_LOG_LEVEL",
    show_envvar=True,
    help="At least this severe; `stdout`, the default, is everything.",
)
@click.option(
    "--log-format",
    "--format",
    "layout",
    type=click.Choice(FORMATS, case_sensitive=False),
    default="pretty",
    envvar="DORA_LOG_FORMAT",
    show_envvar=True,
    help="How lines are shown.",
)
@click.option(
    "--log-filter", default="", envvar="DORA_LOG_FILTER", show_envvar=True, metavar="N=LEVEL,..", help="Level per node."
)
@service_options
def logs(wanted: str | None, surplus: str | None, host: str | None, port: int | None, **stated: Any) -> int:
    """Show what the nodes of a run have logged, all of them merged by time."""
    if surplus is not None:
        raise click.UsageError(f"unexpected {surplus!r}: name a node with `--node {surplus}`")
    if stated["all_nodes"] and stated["nodes"]:
        raise click.UsageError("--all-nodes and --node exclude each other")
    if stated["follows"] and stated["until_ns"] is not None:
        raise click.UsageError("--follow and --until exclude each other")
    if stated["is_local"]:
        host = port = None
    query = _query(stated)
    if host is not None or port is not None:
        return show_remote(open_service(host, port), wanted, query, stated["layout"], follows=stated["follows"])
    found = None if stated["is_local"] else _known_run(wanted)
    if found is not None:
        return show_run(found, query, stated["layout"], follows=stated["follows"])
    return show_local(Path(), wanted, query, stated["layout"], follows=stated["follows"])


def _known_run(wanted: str | None) -> Run | None:
    """The run that is meant, running or known to the service; None: look in this directory.

    Without a name it is the only one that runs: the latest here may be an old one.

    Raises:
        ControlError: several are meant, or none, here as little as among those that run.
    """
    from dora.control import ControlError, connect
    from dora.logs.places import Run
    from dora.messages import api

    control = connect()
    running = [info for info in control.dataflows().dataflows if info.state not in api.ENDED]
    if wanted is None:
        if len(running) != 1:
            return None
        wanted = running[0].id
    try:
        info = control.dataflow(wanted)
    except ControlError as error:
        if error.code == api.AMBIGUOUS or (running and not _is_here(wanted)):
            raise
        return None
    return Run(info.id, Path(info.log_dir), info.started_ns, info.name, info.file) if info.log_dir else None


def _is_here(wanted: str) -> bool:
    from dora.logs.places import LogsNotFoundError, choose_run, find_runs

    try:
        choose_run(find_runs(Path()), wanted, Path())
    except LogsNotFoundError:
        return False
    return True


def _query(stated: dict[str, Any]) -> LogQuery:
    from dora.logs.levels import parse_filter
    from dora.logs.reading import LogQuery

    try:
        filters = parse_filter(stated["log_filter"])
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return LogQuery(
        nodes=frozenset(stated["nodes"]) or None,
        since_ns=stated["since_ns"],
        until_ns=stated["until_ns"],
        grep=stated["grep"],
        level=stated["level"],
        filters=filters,
        tail=stated["tail"],
    )


def show_local(base: Path, wanted: str | None, query: LogQuery, layout: str, *, follows: bool) -> int:
    """Show the log files in `base/out`; returns the exit code.

    Raises:
        LogsNotFoundError: there are none of that run or node.
    """
    from dora.logs.places import choose_run, find_runs

    return show_run(choose_run(find_runs(base), wanted, base), query, layout, follows=follows)


def show_run(run: Run, query: LogQuery, layout: str, *, follows: bool) -> int:
    """Show the log files of a run; returns the exit code.

    Raises:
        LogsNotFoundError: there are none of that node.
    """
    from dora.logs.formats import is_coloured, make_format
    from dora.logs.places import LogsNotFoundError, files_of_nodes
    from dora.logs.reading import RunReader

    _raise_descriptor_limit()
    reader = RunReader(run, query)
    in_colour = is_coloured(os.environ, is_terminal=sys.stdout.isatty())
    shape = make_format(layout, is_coloured=in_colour, dataflow_id=run.id)
    try:
        print_run(reader, run, shape, follows=follows)
    except KeyboardInterrupt:
        if not follows:
            raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LogsNotFoundError(f"cannot read {error.filename or run.folder}: {error.strerror}") from error
    finally:
        reader.close()
    for complaint in reader.complaints():
        print(f"warning: {complaint}", file=sys.stderr)
    if not files_of_nodes(run.folder):
        raise LogsNotFoundError(f"no logs in {run.folder}: the folder could not be written, or has been removed")
    return 0


def show_remote(control: Control, wanted: str | None, query: LogQuery, layout: str, *, follows: bool) -> int:
    """Show what the service at an address passes on of a dataflow's logs; returns the exit code."""
    from dora.cli.targets import choose_dataflow
    from dora.logs.formats import is_coloured, make_format

    info = choose_dataflow(control, wanted)
    in_colour = is_coloured(os.environ, is_terminal=sys.stdout.isatty())
    shape = make_format(layout, is_coloured=in_colour, dataflow_id=info.id)
    lines = control.logs(info.id, follows=follows, tail=query.tail, **_as_parameters(query))
    try:
        for line in lines:
            print_entries([_entry(line)], shape)
    except KeyboardInterrupt:
        if not follows:
            raise
    return 0


def _as_parameters(query: LogQuery) -> dict[str, Any]:
    """The query as the API takes it; what says nothing is left out."""
    stated: dict[str, Any] = {
        "node": ",".join(sorted(query.nodes or ())),
        "since_ns": query.since_ns,
        "until_ns": query.until_ns,
        "level": query.level,
        "filter": ",".join(f"{node}={level}" for node, level in query.filters.items()),
        "grep": query.grep,
    }
    return {name: value for name, value in stated.items() if value not in ("", None)}


def _entry(line: dict[str, object]) -> LogEntry:
    import msgspec

    from dora.errors import ProtocolError
    from dora.logs.encoding import decode_file_line

    entry = decode_file_line(msgspec.json.encode(line), "")
    if entry is None:
        raise ProtocolError(f"the service has sent what is no log entry: {line!r}")
    return entry


def print_run(reader: RunReader, run: Run, shape: Format, *, follows: bool) -> None:
    """Print what is there of a run, and if it is followed, what comes until it is over."""
    from dora.logs.places import is_going_on

    print_entries(reader.history(), shape)
    is_over = not follows
    while not is_over:
        is_over = is_going_on(run.folder) is False  # asked first: what it said last must be read, too
        print_entries(reader.news(), shape)
        if not is_over:
            time.sleep(_LOOK_S)


def print_entries(entries: Iterable[LogEntry], shape: Format) -> None:
    """Print entries, in batches."""
    waiting = iter(entries)
    while batch := list(islice(waiting, _BATCH)):
        sys.stdout.buffer.write(shape(batch))
        sys.stdout.buffer.flush()


def _raise_descriptor_limit() -> None:
    """The files of all nodes are open at the same time, up to 101 of each."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
