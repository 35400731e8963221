"""Parameters of nodes, for the API: a runner keeps those of a dataflow that runs, the store those of one that is over.

Strategy: a runner is asked every time, so what is said here is never older than what the node was told, and a service
that was killed has lost nothing.  For a background dataflow every change is written down as well, so that its last
parameters can be read when it is over, also when its runner was killed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from dora.daemon.problems import ApiError
from dora.daemon.registry import Registry, Run
from dora.daemon.store import Store
from dora.messages import api
from dora.messages import params as rules
from dora.messages import runner_daemon as messages
from dora.runs.params import check_node, unknown_param

Finder = Callable[[str], Awaitable[api.DataflowInfo]]


class ParamKeeper:
    """The parameters of this user's dataflows.

    Args:
        choose: the dataflow that is meant.
        show: that, with its nodes.
    """

    def __init__(self, registry: Registry, store: Store, *, choose: Finder, show: Finder) -> None:
        self._registry = registry
        self._store = store
        self._choose = choose
        self._show = show

    async def list_all(self, wanted: str, node: str) -> api.ParamList:
        """All parameters of a node."""
        info, texts = await self._texts(wanted, node)
        return api.ParamList(dataflow=info.id, node=node, params=rules.values_of(texts))

    async def get(self, wanted: str, node: str, key: str) -> api.ParamInfo:
        """One parameter of a node."""
        info, texts = await self._texts(wanted, node)
        if key not in texts:
            raise ApiError.of(unknown_param(node, key, sorted(texts)))
        return api.ParamInfo(dataflow=info.id, node=node, key=key, value=rules.decode_value(texts[key]))

    async def set(self, wanted: str, node: str, key: str, value: Any) -> api.ParamInfo:
        """Set a parameter, and have the node told."""
        try:
            rules.check_key(key)
            text = rules.text_of(value)
        except rules.ParamFault as fault:
            raise ApiError(api.WRONG_REQUEST, str(fault)) from None
        info, run = await self._find(wanted, node)
        if run is not None:
            await self._registry.fetch(run, messages.SetParam(node, key, text), messages.Done)
        elif len(known := self._store.params(info.id, node)) >= rules.MAX_KEYS and key not in known:
            raise ApiError(
                api.NOT_POSSIBLE, f"node `{node}` has {rules.MAX_KEYS} parameters, the most that is possible"
            )
        self._write(info, node, key, text)
        return api.ParamInfo(dataflow=info.id, node=node, key=key, value=rules.decode_value(text))

    async def delete(self, wanted: str, node: str, key: str) -> api.ParamList:
        """Forget a parameter, if it is there, and have the node told; returns those that are left."""
        try:
            rules.check_key(key)
        except rules.ParamFault as fault:
            raise ApiError(api.WRONG_REQUEST, str(fault)) from None
        info, run = await self._find(wanted, node)
        if run is not None:
            await self._registry.fetch(run, messages.DeleteParam(node, key), messages.Done)
        self._write(info, node, key, None)
        return await self.list_all(info.id, node)

    def _write(self, info: api.DataflowInfo, node: str, key: str, text: str | None) -> None:
        if info.origin == messages.BACKGROUND:  # the others have no history
            self._store.set_param(info.id, node, key, text)

    async def _find(self, wanted: str, node: str) -> tuple[api.DataflowInfo, Run | None]:
        """The dataflow, and its run if it goes on; the node is checked if it does not."""
        info = await self._choose(wanted)
        run = self._registry.runs.get(info.id)
        if run is None and (problem := check_node(await self._show(info.id), node)) is not None:
            raise ApiError.of(problem)
        return info, run

    async def _texts(self, wanted: str, node: str) -> tuple[api.DataflowInfo, dict[str, str]]:
        info, run = await self._find(wanted, node)
        if run is None:
            return info, self._store.params(info.id, node)
        found = await self._registry.fetch(run, messages.GetParams(node), messages.Params)
        return info, found.nodes.get(node, {})
