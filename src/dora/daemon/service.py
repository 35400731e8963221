"""What the service can do, without HTTP: list, start, stop, restart, remember.

Strategy: the registry says what runs, the store what has ended; here they meet.  Every method is a coroutine
in the one loop; what must not happen twice at the same time (two starts under one name) is claimed before the first
wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dora.daemon.names import name_fault, new_name
from dora.daemon.params import ParamKeeper
from dora.daemon.problems import ApiError
from dora.daemon.registry import Registry, Run
from dora.daemon.starter import Order, Starter
from dora.daemon.store import Store
from dora.dataflow.load import load_dataflow
from dora.errors import DescriptorError
from dora.ids import new_dataflow_id
from dora.messages import api
from dora.messages import runner_daemon as messages
from dora.runs import views
from dora.runs.choosing import choose
from dora.runs.graph_changes import done_when, patience_s
from dora.runs.refusals import not_ended, not_running
from dora.runs.usage import UsageMeter
from dora.version import VERSION

_START_PATIENCE_S: Final = 30.0
_START_LOOK_S: Final = 0.02
_GRACE_EXTRA_S: Final = 30.0
_LOST: Final = "its runner ended while no service was watching, and left no record (it was killed, or the machine was)"

Listener = Callable[[api.StateEvent], None]


class Service:
    """The dataflows of this user.

    Args:
        base: the runtime directory.
        is_child_alive: whether a runner that was started here still runs.
        end: has the service end soon.

    Attributes:
        addresses: where it listens, besides its Unix socket.
        listeners: told of every change of a state.
        params: the parameters of the nodes.
    """

    def __init__(
        self,
        base: str,
        environ: Mapping[str, str],
        store: Store,
        *,
        is_child_alive: Callable[[int], bool],
        end: Callable[[], None],
    ) -> None:
        self.addresses: Final[list[str]] = []
        self.listeners: Final[set[Listener]] = set()
        self.registry: Final = Registry(environ, self._note_change)
        self._environ = environ
        self._base = base
        self._store = store
        self._starter = Starter(base, environ)
        self._is_child_alive = is_child_alive
        self.params: Final = ParamKeeper(self.registry, store, choose=self._choose, show=self.show)
        self._meter = UsageMeter()
        self._claimed: set[str] = set()
        self._started_ns = time.time_ns()
        self._end = end

    async def begin(self) -> None:
        """Find what runs, and learn what ended meanwhile."""
        await self.registry.look()
        for info in self._store.dataflows():
            if info.ended_ns is None and info.id not in self.registry.runs:
                self._bury(info)
        for dataflow_id in self._starter.recorded():
            if dataflow_id not in self.registry.runs and not self._store.request_of(dataflow_id):
                record = self._starter.take_record(dataflow_id)  # of a store that was lost
                if record is not None:
                    self._remember_end(record)

    # -- looking

    async def list_all(self) -> api.DataflowList:
        """Running dataflows by name, then those that have ended, the latest first."""
        await self.registry.look()
        running = views.summaries([run.now for run in self.registry.runs.values()], self._meter)
        ended = [views.without_nodes(info) for info in self._ended()]
        warnings = [f"{path}: {fault}" for path, fault in self.registry.faults.items()]
        return api.DataflowList(dataflows=[*running, *ended], warnings=warnings)

    async def show(self, wanted: str) -> api.DataflowInfo:
        """One dataflow with its nodes."""
        info = await self._choose(wanted)
        run = self.registry.runs.get(info.id)
        if run is None:
            return next((ended for ended in self._ended() if ended.id == info.id), info)
        now = await self.registry.describe(run)
        return views.detail(now, self._meter.measure(views.pids_of(now)))

    async def wait(self, wanted: str, until: str, timeout_s: float) -> api.DataflowInfo:
        """One dataflow, once it has "started" (all nodes are ready) or "ended"; as it is when the time is over."""
        info = await self._choose(wanted)
        run = self.registry.runs.get(info.id)
        if run is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(run.wait_for(_CONDITIONS[until]), timeout_s)
        return await self.show(info.id)

    async def states(self) -> list[api.StateEvent]:
        """The state of every running dataflow and its nodes."""
        await self.registry.look()
        return [self._event(run, run.now.nodes) for run in self.registry.runs.values()]

    async def about(self) -> api.ServiceInfo:
        """The service itself."""
        await self.registry.look()
        return self._about()

    async def shut_down(self) -> api.ServiceInfo:
        """Have the service end; the runs go on."""
        self._end()
        return self._about()

    # -- changing

    async def start(self, request: api.StartRequest) -> api.DataflowInfo:
        """Start a dataflow; returns when its runner answers, or has failed."""
        if not os.path.isabs(request.file):
            raise ApiError(api.WRONG_REQUEST, f"`file` must be an absolute path, got {request.file!r}")
        await self._check(request)
        await self.registry.look()
        name = self._claim(request.name)
        try:
            order = Order(new_dataflow_id(), name, request)
            return await self._start(order)
        finally:
            self._claimed.discard(name)

    async def stop(self, wanted: str, request: api.StopRequest, reason: str = "dora stop") -> api.DataflowInfo:
        """Stop a dataflow; one that is over is left as it is."""
        info = await self._choose(wanted)
        run = self.registry.runs.get(info.id)
        if run is None:
            return await self.show(info.id)
        run.is_restart_cancelled = True
        return await self._stop(run, request, reason)

    async def restart(self, wanted: str, request: api.RestartRequest) -> api.DataflowInfo:
        """Stop a dataflow if it runs, and start its file again under its name."""
        info = await self._choose(wanted)
        run = self.registry.runs.get(info.id)
        original = run.now.request if run is not None else self._store.request_of(info.id)
        if not original:
            raise ApiError(
                api.NOT_POSSIBLE,
                f"the dataflow of {info.file} was started with `dora run`: only its terminal can start it again",
            )
        again = msgspec.structs.replace(
            msgspec.json.decode(original, type=api.StartRequest),
            name=info.name,
            environ=request.environ,
            python=request.python,
        )
        await self._check(again)
        if run is not None:
            run.is_restart_cancelled = False
            await self._stop(run, api.StopRequest(grace_s=request.grace_s, is_forced=request.is_forced), "dora restart")
            if run.is_restart_cancelled:
                raise ApiError(api.NOT_RUNNING, f"`{info.name}` was stopped meanwhile, so it is not started again")
        return await self.start(again)

    async def stop_node(self, wanted: str, node: str, request: api.NodeStopRequest) -> api.DataflowInfo:
        """Stop a node for good."""
        run = await self._running(wanted)
        await self.registry.ask(run, messages.StopNode(node, request.grace_s, request.is_forced))
        return await self.show(run.id)

    async def restart_node(self, wanted: str, node: str, request: api.NodeRestartRequest) -> api.DataflowInfo:
        """Stop a node and start it again."""
        run = await self._running(wanted)
        await self.registry.ask(run, messages.RestartNode(node, request.grace_s))
        return await self.show(run.id)

    async def change_graph(self, wanted: str, request: messages.Request, *, waits: bool) -> api.GraphChange:
        """Change the graph of a dataflow that runs; `waits`: until the processes that it concerns have followed."""
        run = await self._running(wanted)
        before = run.now.nodes
        changed = await self.registry.fetch(run, request, messages.GraphChanged)
        if waits:
            is_done = done_when(request, changed.node, before)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(run.wait_for(lambda run: is_done(run.now.nodes)), patience_s(request))
        return api.GraphChange(dataflow=await self.show(run.id), node=changed.node, notes=changed.notes)

    async def forget(self, wanted: str) -> api.DataflowInfo:
        """Forget a dataflow that has ended; its log files stay."""
        info = await self._choose(wanted)
        if info.id in self.registry.runs:
            raise ApiError(api.NOT_POSSIBLE, f"`{info.called}` is running", "`dora stop` it first")
        self._store.forget(info.id)
        return info

    async def clean(self) -> api.CleanResult:
        """Forget all that have ended."""
        ended = [views.without_nodes(info) for info in self._ended()]
        for info in ended:
            self._store.forget(info.id)
        return api.CleanResult(cleaned=ended)

    # -- inside

    async def _choose(self, wanted: str) -> api.DataflowInfo:
        named = (run for run in self.registry.runs.values() if wanted and run.now.name == wanted)
        run = self.registry.runs.get(wanted) or next(named, None)
        if run is not None:
            return views.summary(run.now)  # as `choose` would, without reading the history
        return choose((await self.list_all()).dataflows, wanted)

    async def _running(self, wanted: str) -> Run:
        info = await self._choose(wanted)
        run = self.registry.runs.get(info.id)
        if run is None:
            raise ApiError.of(not_running(info))
        return run

    def _ended(self) -> list[api.DataflowInfo]:
        return [info for info in self._store.dataflows() if info.id not in self.registry.runs]

    async def _check(self, request: api.StartRequest) -> None:
        """Say what is wrong with the file before anything is started or stopped."""
        try:
            await asyncio.to_thread(load_dataflow, Path(request.file), env=request.environ, overrides=request.env)
        except DescriptorError as error:
            raise ApiError(api.START_FAILED, f"{request.file} cannot be run", problems=error.problems) from None

    def _claim(self, wanted: str) -> str:
        taken = {run.now.name for run in self.registry.runs.values()} | self._claimed
        if wanted:
            fault = name_fault(wanted)
            if fault:
                raise ApiError(api.WRONG_REQUEST, f"{wanted!r}: {fault}")
            if wanted in taken:
                raise ApiError(
                    api.NAME_TAKEN,
                    f"there is already a running dataflow with name `{wanted}`",
                    f"stop it with `dora stop {wanted}`, or choose another name",
                )
        name = wanted or new_name(taken)
        self._claimed.add(name)
        return name

    async def _start(self, order: Order) -> api.DataflowInfo:
        try:
            pid = self._starter.start(order)
        except OSError as error:
            raise ApiError(api.START_FAILED, f"cannot start {order.request.python}: {error.strerror}") from None
        due_s = time.monotonic() + _START_PATIENCE_S
        while (run := self.registry.runs.get(order.dataflow_id)) is None:
            is_alive = self._is_child_alive(pid)
            await self.registry.look()
            if not is_alive and order.dataflow_id not in self.registry.runs:
                return self._failed_start(order)
            if time.monotonic() > due_s:
                faults = "".join(f"; {fault}" for fault in self.registry.faults.values())
                hint = "after an upgrade of dora: `dora down --keep`, then `dora up`"
                raise ApiError(
                    api.START_FAILED, f"the runner of `{order.name}` (pid {pid}) does not answer{faults}", hint
                )
            await asyncio.sleep(_START_LOOK_S)
        return views.summary(run.now)

    def _failed_start(self, order: Order) -> api.DataflowInfo:
        """Its runner ended before we heard of it: it was very short, or did not come that far."""
        if (
            known := next((info for info in self._store.dataflows() if info.id == order.dataflow_id), None)
        ) is not None:
            return views.without_nodes(known)
        record = self._starter.take_record(order.dataflow_id)
        if record is None:
            said = self._starter.last_words(order.dataflow_id)
            self._starter.forget(order.dataflow_id)
            raise ApiError(
                api.START_FAILED, f"the runner of `{order.name}` ended before it answered:\n{said}".rstrip(":\n")
            )
        info = views.ended(record)
        if not record.last.nodes and record.exit_code:
            raise ApiError(api.START_FAILED, record.report, problems=record.problems)
        self._remember_end(record)
        return views.without_nodes(info)

    async def _stop(self, run: Run, request: api.StopRequest, reason: str) -> api.DataflowInfo:
        stop = messages.Stop(reason, request.grace_s, request.is_forced)
        await self.registry.ask(run, stop)
        if not request.waits:
            return views.summary(run.now)
        grace_s = api.GRACE_S if request.grace_s is None else request.grace_s
        try:
            await asyncio.wait_for(run.wait_for(lambda _: False), grace_s + _GRACE_EXTRA_S)
        except asyncio.TimeoutError:
            raise ApiError.of(not_ended(views.summary(run.now))) from None
        return self._final(run)

    def _final(self, run: Run) -> api.DataflowInfo:
        assert run.ended is not None  # it was waited for
        return views.without_nodes(views.ended(run.ended))

    def _note_change(self, run: Run, nodes: list[messages.NodeState]) -> None:
        if run.now.origin == messages.BACKGROUND:
            self._keep(run)
        event = self._event(run, nodes)
        for listener in list(self.listeners):
            listener(event)

    def _event(self, run: Run, nodes: list[messages.NodeState]) -> api.StateEvent:
        states = {node.id: node.state for node in nodes}
        return api.StateEvent(dataflow=run.id, name=run.now.name, state=run.now.state, nodes=states)

    def _about(self) -> api.ServiceInfo:
        return api.ServiceInfo(
            dora=VERSION,
            api=api.VERSION,
            pid=os.getpid(),
            started_ns=self._started_ns,
            runtime_dir=self._base,
            addresses=self.addresses,
            running=len(self.registry.runs),
            warnings=list(self.registry.faults.values()),
        )

    def _keep(self, run: Run) -> None:
        if run.ended is None:
            if run.now.request and not self._store.request_of(run.id):
                self._store.remember(views.summary(run.now), run.now.request)
            if run.params is not None:
                self._store.replace_params(run.id, run.params)
                run.params = None
            return
        record = self._starter.take_record(run.id) or run.ended
        has_broken_down = not record.ended_ns
        if has_broken_down:  # killed, or by a mistake of ours
            said = self._starter.last_words(run.id)
            report = f"its runner broke down; it said last:\n{said}" if said else record.report
            record = msgspec.structs.replace(record, ended_ns=time.time_ns(), report=report)
        run.ended = record
        self._starter.forget(run.id)
        self._store.remember(views.ended(record), run.now.request)
        if not has_broken_down:  # otherwise they are as they were written down
            self._store.replace_params(run.id, record.params)

    def _remember_end(self, record: messages.Ended) -> None:
        self._store.remember(views.ended(record), record.last.request)
        self._store.replace_params(record.last.dataflow_id, record.params)

    def _bury(self, info: api.DataflowInfo) -> None:
        """It ran when the last service ended, and does not any more."""
        record = self._starter.take_record(info.id)
        if record is not None:
            self._remember_end(record)
            return
        self._starter.forget(info.id)
        lost = msgspec.structs.replace(
            info, state=messages.FAILED, pid=None, ended_ns=time.time_ns(), exit_code=1, report=_LOST, node_count=0
        )
        self._store.remember(lost)


_CONDITIONS: Final[Mapping[str, Callable[[Run], bool]]] = {
    "started": lambda run: run.now.state == messages.RUNNING,
    "ended": lambda run: False,
}
