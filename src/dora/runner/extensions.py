"""Answers what nodes ask of the extension table.

Strategy: a small value is bytes, a big one stays in the memfd in which it came and is lent on, read-only: the runner
copies none.  A value closes its memfd when nobody holds it any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from dora.messages import node_runner as messages
from dora.runner.extension_table import ExtensionTable
from dora.runner.wiring import Parcel
from dora.transport.pipes import reopen_read_only


class _Value:
    """The bytes, or the memfd that holds them."""

    def __init__(self, data: bytes, fds: list[int]) -> None:
        self.data: Final = data
        self._fd = -1
        if fds:
            self._fd = os.dup(fds[0])

    def lend(self) -> tuple[int, ...]:
        """A descriptor for one reader, if the value is big."""
        return (reopen_read_only(self._fd),) if self._fd >= 0 else ()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._fd >= 0:
            close(self._fd)


class Extensions:
    """The table of a run, and its answers."""

    def __init__(self) -> None:
        self._table: Final = ExtensionTable[_Value]()
        self._acts: Final[dict[str, Callable[[str, messages.ExtensionRequest, list[int]], Parcel]]] = {
            messages.STORE: self._store,
            messages.LOAD: self._load,
            messages.TAKE: self._take,
            messages.DROP: self._drop,
            messages.DRAIN: self._drain,
        }

    def answer(self, node: str, request: messages.ExtensionRequest, fds: list[int]) -> Parcel:
        """The reply; `fds` stay the caller's."""
        act = self._acts.get(request.action)
        if act is None:
            return Parcel(messages.ExtensionReply(request.number, error=f"unknown request {request.action!r}"))
        try:
            return act(node, request, fds)
        except OSError as error:
            why = f"out of file descriptors where dora was started: {error.strerror} (limit: `ulimit -n`)"
            return Parcel(messages.ExtensionReply(request.number, error=why))

    def forget_node(self, node: str) -> None:
        """Its link is gone."""
        self._table.forget_node(node)

    def _store(self, node: str, request: messages.ExtensionRequest, fds: list[int]) -> Parcel:
        error = self._table.store(node, request.namespace, request.key, _Value(request.data, fds))
        return Parcel(messages.ExtensionReply(request.number, error=error))

    def _load(self, node: str, request: messages.ExtensionRequest, _: list[int]) -> Parcel:
        value = self._table.load(node, request.namespace, request.key)
        if value is None:
            return Parcel(messages.ExtensionReply(request.number))
        return Parcel(messages.ExtensionReply(request.number, is_found=True, data=value.data), owned=value.lend())

    def _take(self, node: str, request: messages.ExtensionRequest, fds: list[int]) -> Parcel:
        reply = self._load(node, request, fds)
        self._table.drop(request.namespace, request.key)
        return reply

    def _drop(self, _node: str, request: messages.ExtensionRequest, _: list[int]) -> Parcel:
        self._table.drop(request.namespace, request.key)
        return Parcel(messages.ExtensionReply(request.number))

    def _drain(self, node: str, request: messages.ExtensionRequest, _: list[int]) -> Parcel:
        keys = self._table.take_dropped(node, request.namespace)
        return Parcel(messages.ExtensionReply(request.number, keys=keys))
