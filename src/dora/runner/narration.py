"""Tells the progress display who is waited for, from what the rules know."""

from __future__ import annotations

from typing import Final

from dora.runner.progress import IMPORTING, NOT_STARTED, STARTING, STOPPING, Progress
from dora.runner.state.node_life import NodeLife, Phase
from dora.runner.state.supervisor import Supervisor

CONNECTING: Final = "connecting"
RESTARTING: Final = "waiting to be restarted"


class Narrator:
    """Follows one run; `follow` after every stimulus."""

    def __init__(self, progress: Progress, supervisor: Supervisor, now_s: float) -> None:
        self._progress = progress
        self._supervisor = supervisor
        self._phase: str | None = STARTING
        progress.begin(STARTING, now_s)
        for name in supervisor.barrier.waited_for:
            progress.wait_for(name, NOT_STARTED, now_s)

    def follow(self, node: str | None, now_s: float) -> None:
        """Something happened, to that node or to all."""
        supervisor = self._supervisor
        if supervisor.is_stopping and self._phase != STOPPING:
            self._begin_stopping(now_s)
        elif self._phase == STARTING and supervisor.barrier.is_decided:
            self._phase = None
            self._progress.end()
        if node is None or self._phase is None:
            return
        life = supervisor.lives.get(node)
        if life is not None and self._is_waited_for(life):
            self._progress.wait_for(node, "" if self._phase == STOPPING else _state(life), now_s)
        else:
            self._progress.done(node)

    def _is_waited_for(self, life: NodeLife) -> bool:
        return life.is_pending if self._phase == STOPPING else self._supervisor.barrier.is_member(life.id)

    def _begin_stopping(self, now_s: float) -> None:
        self._phase = STOPPING
        self._progress.begin(STOPPING, now_s)
        for name in self._supervisor.still_running():
            self._progress.wait_for(name, "", now_s)


def _state(life: NodeLife) -> str:
    if life.is_connected:
        return CONNECTING
    if life.phase is Phase.BACKOFF:
        return RESTARTING
    return IMPORTING if life.phase is Phase.RUNNING else NOT_STARTED
