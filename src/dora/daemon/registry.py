"""The runs that the service knows: found by their sockets, watched until their end.

Strategy: one watching link per run.  The runner tells every change, so what is kept here is never older than that, and
nothing is asked in the background.  New runs are looked for when somebody asks or listens: a run in a terminal
is nobody's business before.  A link that breaks without `Ended` means that the runner was killed, or that its build is
over and the run's own loop answers from now on: then its socket still takes connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from dora.daemon.runner_link import PATIENCE_S, News, RunnerLink
from dora.errors import ConnectionLost, DoraError
from dora.messages import runner_daemon as messages
from dora.runs.graph_changes import with_news
from dora.transport import control, rendezvous

_FIRST_WORD_S: Final = 2.0
_AGAIN_S: Final = 0.02
_KILLED: Final = "its runner was killed"

T = TypeVar("T")


class Run:
    """One run that goes on, or has just ended.

    Attributes:
        path: its admin socket.
        now: what it said last.
        ended: how it ended, once it has.
        params: the parameters of its nodes as it had them when it was met; None once they were written down.
    """

    def __init__(self, path: str, now: messages.Described) -> None:
        self.path: Final = path
        self.now = now
        self.ended: messages.Ended | None = None
        self.link: RunnerLink | None = None
        self.params: dict[str, dict[str, str]] | None = None
        self.is_restart_cancelled = False
        self._changed = asyncio.Event()

    @property
    def id(self) -> str:
        """The dataflow id."""
        return self.now.dataflow_id

    async def wait_for(self, condition: Callable[[Run], bool]) -> None:
        """Until it is in such a state, or has ended."""
        while not condition(self) and self.ended is None:
            changed = self._changed
            await changed.wait()

    def note_change(self) -> None:
        """Wake who waits."""
        self._changed.set()
        self._changed = asyncio.Event()


class Registry:
    """All runs of this user.

    Args:
        environ: where runtime directories are looked for.
        on_change: told of every change; for an end after `Run.ended` was set.
    """

    def __init__(self, environ: Mapping[str, str], on_change: Callable[[Run, list[messages.NodeState]], None]) -> None:
        self.runs: Final[dict[str, Run]] = {}
        self.faults: Final[dict[str, str]] = {}
        self._environ = environ
        self._on_change = on_change
        self._meeting: dict[str, asyncio.Task[None]] = {}
        self._searching: set[asyncio.Task[None]] = set()
        self._known: set[str] = set()

    async def look(self) -> None:
        """Find new runs, and wait for their first word."""
        paths = rendezvous.admin_sockets(self._environ)
        for path in list(self.faults):
            if path not in paths:
                del self.faults[path]
        for path in paths:
            if path not in self._known and path not in self._meeting:
                self._meeting[path] = asyncio.ensure_future(self._meet(path))
        if self._meeting:
            await asyncio.wait(list(self._meeting.values()), timeout=_FIRST_WORD_S)
            self._meeting = {path: task for path, task in self._meeting.items() if not task.done()}

    async def describe(self, run: Run) -> messages.Described:
        """The run as it is now, with its counters; one that ends meanwhile as it was at last."""
        if run.link is not None and run.ended is None:
            try:
                run.now = await run.link.ask(messages.Describe(), messages.Described)
            except ConnectionLost:
                if run.link is not None:
                    raise
        return run.now if run.ended is None else run.ended.last

    async def ask(self, run: Run, request: messages.Request) -> None:
        """Have the runner do something, unless it has ended meanwhile.

        Raises:
            RunnerRefused, ConnectionLost: it does not.
        """
        try:
            await self.fetch(run, request, messages.Done)
        except ConnectionLost:
            if run.ended is None:
                raise

    async def fetch(self, run: Run, request: messages.Request, kind: type[T]) -> T:
        """The runner's answer; waits for a runner that changes from building to running.

        Raises:
            RunnerRefused, ConnectionLost: there is none.
        """
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(run.wait_for(lambda one: one.link is not None), PATIENCE_S)
            link = run.link
            if link is None:
                state = "does not answer" if run.ended is None else "has ended"
                raise ConnectionLost(f"the runner of the dataflow {state}")
            try:
                return await link.ask(request, kind)
            except ConnectionLost:
                if link is run.link:
                    raise

    def close(self) -> None:
        """Let go of all links; the runs go on."""
        for task in [*self._meeting.values(), *self._searching]:
            task.cancel()
        for run in self.runs.values():
            if run.link is not None:
                run.link.close()

    async def _meet(self, path: str) -> None:
        """Connect to a runner; one that hangs or is of another version becomes a fault."""
        run: Run | None = None

        def take(news: News) -> None:
            if run is not None:
                self._take(run, news)

        def lose() -> None:
            if run is not None:
                self._lose(run)

        try:
            link = await RunnerLink.open(path, take, lose)
            params = await link.ask(messages.GetParams(), messages.Params)
            now = await link.ask(messages.Watch(), messages.Described)
        except OSError:
            return  # dead, or just starting: the next look tells
        except DoraError as error:
            self.faults[path] = str(error)
            return
        self.faults.pop(path, None)
        self._known.add(path)
        run = self.runs.get(now.dataflow_id)
        if run is None:
            run = self.runs[now.dataflow_id] = Run(path, now)
        run.link = link
        run.now = now
        run.params = params.nodes
        run.note_change()
        self._on_change(run, now.nodes)

    def _take(self, run: Run, news: News) -> None:
        if isinstance(news, messages.Ended):
            run.ended = news
            run.now = news.last
            self._finish(run)
            return
        nodes = with_news(run.now.nodes, news)
        waits_for = run.now.waits_for if news.state == messages.STARTING else []
        run.now = msgspec.structs.replace(run.now, state=news.state, nodes=nodes, waits_for=waits_for)
        run.note_change()
        self._on_change(run, news.nodes)

    def _lose(self, run: Run) -> None:
        run.link = None
        if run.ended is None:
            task = asyncio.ensure_future(self._find_again(run))
            self._searching.add(task)
            task.add_done_callback(self._searching.discard)

    async def _find_again(self, run: Run) -> None:
        """After a build another loop answers on the same socket; where nobody does, the runner is dead."""
        while os.path.exists(run.path) and run.ended is None:
            self._known.discard(run.path)
            await self._meet(run.path)
            if run.link is not None:
                return
            with contextlib.suppress(OSError):
                if not _is_served(run.path):
                    break
            await asyncio.sleep(_AGAIN_S)
        if run.ended is None and run.link is None:
            last = msgspec.structs.replace(run.now, state=messages.FAILED)
            run.ended = messages.Ended(1, _KILLED, 0, last)
            run.now = last
            self._finish(run)

    def _finish(self, run: Run) -> None:
        self._known.discard(run.path)
        self.runs.pop(run.id, None)
        self._on_change(run, run.now.nodes)
        run.note_change()


def _is_served(path: str) -> bool:
    """Whether a process listens there; raises OSError for other reasons."""
    try:
        control.connect(path).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    return True
