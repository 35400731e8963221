"""The client of the service for asyncio: the same methods, each awaited.

Strategy: a request is one short exchange with a process of this machine, so it runs on a thread of asyncio's pool; what
goes on (`events`, `logs`) has a thread of its own, which ends with the iteration.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, TypeVar

from dora.control.connecting import connect_to_service
from dora.control.service import Control
from dora.messages import api

T = TypeVar("T")
_MOST_WAITING: Final = 100


class AsyncControl:
    """As `Control`; see there for what the methods do and raise."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @classmethod
    async def connect(cls, address: str | None = None, *, token: str | None = None) -> AsyncControl:
        """Connect to the service at an address, or to that of this user.

        Raises:
            NoServiceError: there is none.
        """
        return cls(await asyncio.to_thread(connect_to_service, address, token=token))

    async def service(self) -> api.ServiceInfo:
        """The service itself."""
        return await asyncio.to_thread(self._control.service)

    async def dataflows(self) -> api.DataflowList:
        """All dataflows."""
        return await asyncio.to_thread(self._control.dataflows)

    async def dataflow(self, wanted: str, *, wait: str | None = None, timeout_s: float = 60.0) -> api.DataflowInfo:
        """One dataflow with its nodes."""
        return await asyncio.to_thread(self._control.dataflow, wanted, wait=wait, timeout_s=timeout_s)

    async def start(self, file: str | os.PathLike[str], **options: Any) -> api.DataflowInfo:
        """Start a dataflow in the background."""
        return await asyncio.to_thread(self._control.start, file, **options)

    async def stop(self, wanted: str, **options: Any) -> api.DataflowInfo:
        """Stop a dataflow."""
        return await asyncio.to_thread(self._control.stop, wanted, **options)

    async def restart(self, wanted: str, **options: Any) -> api.DataflowInfo:
        """Stop a dataflow and start its file again."""
        return await asyncio.to_thread(self._control.restart, wanted, **options)

    async def stop_node(self, wanted: str, node: str, **options: Any) -> api.DataflowInfo:
        """Stop one node for good."""
        return await asyncio.to_thread(self._control.stop_node, wanted, node, **options)

    async def restart_node(self, wanted: str, node: str, **options: Any) -> api.DataflowInfo:
        """Stop one node and start it again."""
        return await asyncio.to_thread(self._control.restart_node, wanted, node, **options)

    async def add_node(self, wanted: str, text: str, **options: Any) -> api.GraphChange:
        """Add a node to a dataflow that runs."""
        return await asyncio.to_thread(self._control.add_node, wanted, text, **options)

    async def remove_node(self, wanted: str, node: str, **options: Any) -> api.GraphChange:
        """Stop one node and take it out of the graph."""
        return await asyncio.to_thread(self._control.remove_node, wanted, node, **options)

    async def replace_node(self, wanted: str, node: str, text: str, **options: Any) -> api.GraphChange:
        """Put another node in the place of one."""
        return await asyncio.to_thread(self._control.replace_node, wanted, node, text, **options)

    async def connect_input(self, wanted: str, source: str, target: str, **options: Any) -> api.GraphChange:
        """Have an input read an output from now on."""
        return await asyncio.to_thread(self._control.connect_input, wanted, source, target, **options)

    async def disconnect_input(self, wanted: str, source: str, target: str) -> api.GraphChange:
        """Close an input that reads an output."""
        return await asyncio.to_thread(self._control.disconnect_input, wanted, source, target)

    async def params(self, wanted: str, node: str) -> api.ParamList:
        """The parameters of a node."""
        return await asyncio.to_thread(self._control.params, wanted, node)

    async def param(self, wanted: str, node: str, key: str) -> api.ParamInfo:
        """One parameter of a node."""
        return await asyncio.to_thread(self._control.param, wanted, node, key)

    async def set_param(self, wanted: str, node: str, key: str, value: Any) -> api.ParamInfo:
        """Set a parameter of a node."""
        return await asyncio.to_thread(self._control.set_param, wanted, node, key, value)

    async def delete_param(self, wanted: str, node: str, key: str) -> api.ParamList:
        """Forget a parameter of a node."""
        return await asyncio.to_thread(self._control.delete_param, wanted, node, key)

    async def forget(self, wanted: str) -> api.DataflowInfo:
        """Forget a dataflow that has ended."""
        return await asyncio.to_thread(self._control.forget, wanted)

    async def clean(self) -> api.CleanResult:
        """Forget all that have ended."""
        return await asyncio.to_thread(self._control.clean)

    async def shut_down(self) -> api.ServiceInfo:
        """End the service."""
        return await asyncio.to_thread(self._control.shut_down)

    def events(self) -> AsyncIterator[api.StateEvent]:
        """The states now, and then every change."""
        return _iterate(self._control.events)

    def logs(self, wanted: str, **options: Any) -> AsyncIterator[dict[str, object]]:
        """What the nodes have logged."""
        return _iterate(lambda: self._control.logs(wanted, **options))


async def _iterate(make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Items of a blocking iterator, made and used up on a thread; the last word is None or what it raised."""
    loop = asyncio.get_running_loop()
    room = threading.Semaphore(_MOST_WAITING)
    arrived: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()
    is_over = threading.Event()

    def tell(item: tuple[T] | BaseException | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(arrived.put_nowait, item)

    def run() -> None:
        try:
            for item in make():
                room.acquire()
                if is_over.is_set():
                    return
                tell((item,))
            tell(None)
        except BaseException as error:  # it is raised again where the items are awaited
            tell(error)

    threading.Thread(target=run, name="dora-control", daemon=True).start()
    try:
        while (item := await arrived.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
            room.release()
    finally:
        is_over.set()
        room.release()
