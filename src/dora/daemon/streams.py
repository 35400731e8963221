"""What the service goes on telling: changes of state, and log lines.

Strategy: a stream is a coroutine that checks what is wanted and returns an iterator of JSON texts.  A listener who does
not keep up loses its connection, never the service its memory.  Log lines come from the files that the runners write,
so following them costs the runs nothing, and what was logged while no service ran is there, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from dora.daemon.calls import Query
from dora.daemon.problems import ApiError
from dora.daemon.service import Service
from dora.logs.encoding import encode_log_message
from dora.logs.entry import LogEntry
from dora.logs.levels import LEVELS, STDOUT, parse_filter
from dora.logs.places import LogsNotFoundError, Run, is_going_on
from dora.logs.reading import LogQuery, RunReader
from dora.messages import api

MOST_WAITING: Final = 1000
_LOOK_S: Final = 0.1
_NEW_RUNS_S: Final = 1.0
_BATCH: Final = 200


class Stream(NamedTuple):
    """One stream of the API."""

    doc: str
    open: Callable[[Service, Mapping[str, str], Mapping[str, Any]], Awaitable[AsyncIterator[bytes]]]
    query: tuple[Query, ...] = ()


async def _open_events(service: Service, _: Mapping[str, str], __: Mapping[str, Any]) -> AsyncIterator[bytes]:
    return _events(service)


async def _events(service: Service) -> AsyncIterator[bytes]:
    waiting: asyncio.Queue[api.StateEvent] = asyncio.Queue(MOST_WAITING)
    is_behind = False

    def listen(event: api.StateEvent) -> None:
        nonlocal is_behind
        try:
            waiting.put_nowait(event)
        except asyncio.QueueFull:
            is_behind = True

    for event in await service.states():
        listen(event)
    service.listeners.add(listen)
    try:
        while not is_behind:
            try:
                event = await asyncio.wait_for(waiting.get(), _NEW_RUNS_S)
            except asyncio.TimeoutError:
                await service.registry.look()
            else:
                yield api.encode(event)
    finally:
        service.listeners.discard(listen)


async def _open_logs(service: Service, path: Mapping[str, str], query: Mapping[str, Any]) -> AsyncIterator[bytes]:
    info = await service.show(path["dataflow"])
    if not info.log_dir:
        raise ApiError(api.NOT_POSSIBLE, f"`{info.called}` has no logs yet ({info.state})")
    run = Run(info.id, Path(info.log_dir), info.started_ns, info.name, info.file)
    try:
        filters = parse_filter(query["filter"] or "")
    except ValueError as error:
        raise ApiError(api.WRONG_REQUEST, f"`filter`: {error}") from None
    wanted = LogQuery(
        nodes=frozenset(query["node"].split(",")) if query["node"] else None,
        since_ns=query["since_ns"],
        until_ns=query["until_ns"],
        grep=query["grep"] or "",
        level=query["level"],
        filters=filters,
        tail=None if query["tail"] is None else max(0, query["tail"]),
    )
    try:
        reader = RunReader(run, wanted)
    except LogsNotFoundError as error:
        raise ApiError(api.UNKNOWN_NODE, str(error)) from None
    return _logs(run, reader, follows=query["follow"])


async def _logs(run: Run, reader: RunReader, *, follows: bool) -> AsyncIterator[bytes]:
    try:
        entries = reader.history()
        is_over = False
        while True:
            while batch := await asyncio.to_thread(_take, entries):
                for entry in batch:
                    yield encode_log_message(entry, run.id)
            if not follows or is_over:
                return
            await asyncio.sleep(_LOOK_S)
            is_over = is_going_on(run.folder) is False  # asked first: what it said last must be read, too
            entries = iter(reader.news())
    finally:
        reader.close()


def _take(entries: Iterator[LogEntry]) -> list[LogEntry]:
    """The next entries, at most as many as are sent at once."""
    return list(islice(entries, _BATCH))


STREAMS: Final[Mapping[str, Stream]] = {
    "/v1/events": Stream("Every change of a state, after the states now.", _open_events),
    "/v1/dataflows/{dataflow}/logs": Stream(
        "What the nodes have logged, in the form of `dora logs --log-format json`.",
        _open_logs,
        (
            Query("node", str, "only this node, or these, with commas between them"),
            Query("follow", bool, "go on until the dataflow ends", False),
            Query("tail", int, "only the last lines"),
            Query("since_ns", int, "newer than this, since 1970"),
            Query("until_ns", int, "older than this, since 1970"),
            Query("level", str, "at least this severe", STDOUT, tuple(LEVELS)),
            Query("filter", str, "level per node, `camera=debug,plot=warn`"),
            Query("grep", str, "with this text"),
        ),
    ),
}
