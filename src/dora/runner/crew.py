"""All that the runner keeps for each node: its command, its link, its ends of edges, its log.

Strategy: nodes may come and go while the dataflow runs, so what belongs to one of them is made ready and given back
here, in one place; who acts for a node (`handlers.py`) finds it by the node's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dora.dataflow.descriptor import Node
from dora.runner.effects import AdmitNode, ForgetNode
from dora.runner.launch import Launcher
from dora.runner.log_outputs import LogOutputs
from dora.runner.logs import NodeLog
from dora.runner.node_server import Identity, NodeServer
from dora.runner.state.routes import logs_sender
from dora.runner.wiring import Wiring


class Crew:
    """The nodes of a run, from the side of what acts for them.

    Args:
        make_log: for a node that has a process of ours.

    Attributes:
        logs: by node; one that is no more keeps its own until the run is over, so that what it has lost is known.
    """

    def __init__(
        self,
        launcher: Launcher,
        server: NodeServer,
        wiring: Wiring,
        log_outputs: LogOutputs,
        *,
        make_log: Callable[[Node], NodeLog],
    ) -> None:
        self.launcher: Final = launcher
        self.server: Final = server
        self.wiring: Final = wiring
        self.log_outputs: Final = log_outputs
        self.logs: Final = {str(node.id): make_log(node) for node in launcher.dataflow.nodes if not node.is_dynamic}
        self.lost_log_lines = 0
        self._make_log = make_log

    def admit(self, effect: AdmitNode) -> None:
        """Make ready for a node that is new, or stated anew; its command was looked up before (`Launcher.prepare`)."""
        plan = effect.plan
        name = str(plan.id)
        self.launcher.admit(name)
        self.log_outputs.set_log(name, plan.log)
        if not plan.is_dynamic:
            self._close_log(name)
            self.logs[name] = self._make_log(plan)
        self.server.admit(name, Identity(self.launcher.tokens[name], effect.slot))

    def forget(self, effect: ForgetNode) -> None:
        """Let go of all that was kept for a node; its process has ended."""
        name = effect.node
        self.server.forget(name)
        for sender in (name, logs_sender(name)):
            self.wiring.forget_sender(sender)
            self.log_outputs.forget_sender(sender)
        self._close_log(name)
        self.launcher.forget(name)

    def close_logs(self) -> None:
        """The run is over; nothing is printed any more."""
        for name in list(self.logs):
            self._close_log(name)

    def _close_log(self, name: str) -> None:
        log = self.logs.pop(name, None)
        if log is not None:
            log.file.close()
            self.lost_log_lines += log.file.lost_lines
