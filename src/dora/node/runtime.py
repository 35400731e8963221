"""The process of a runtime node: `python -u -c "from dora.node.runtime import main; main()" <operator>=<file> ...`.

Strategy: like a node's script, it imports and makes its operators first and connects then, so the runner sees an
import that hangs, and a stop ends it.  From then on `host.py` rules; here is only the way out of the process.  When an
operator fails, its report goes to stderr and the process ends with 1 without closing its link: readers hear that the
node failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

from dora import env
from dora.errors import NodeError
from dora.messages import node_runner as messages
from dora.node import events
from dora.node.file_watch import FileWatch
from dora.node.host import Host
from dora.node.node import Node
from dora.node.operators import HostedOperator, OperatorError
from dora.node.receiver import Taken
from dora.node.timers import monotonic_ns
from dora.transport.counters import EDGE_BYTES_SENT, EDGE_DROPPED, EDGE_LAST_SEND_NS, EDGE_SENT, EDGE_TAKEN

_NOT_STARTED_BY_DORA: Final = (
    "Dora Runtime raised an error: this process was not started by dora to host operators "
    "(write `operator:` in a dataflow file and run it with `dora run`)"
)
_kept: list[Node] = []
"""The node lives as long as the process: were it closed earlier, a failure would look like a good end."""


def main() -> None:
    """Host the operators that the command line names, until all of them have ended.

    Raises:
        RuntimeError: this process was not started to do that.
        SystemExit: an operator failed, code 1.
    """
    named = [argument.partition("=") for argument in sys.argv[1:]]
    if env.NODE_CONFIG not in os.environ or not named or not all(separator for _, separator, _ in named):
        raise NodeError(_NOT_STARTED_BY_DORA)
    del sys.argv[1:]
    failures = _run([HostedOperator(operator_id, file) for operator_id, _, file in named])
    for failure in failures:
        sys.stderr.write(failure.report())
    if failures:
        raise SystemExit(1)


def _run(operators: Sequence[HostedOperator]) -> list[OperatorError]:
    try:
        for operator in operators:
            operator.load()
    except OperatorError as error:
        return [error]
    node = Node()
    _kept.append(node)
    config = node._link.config
    descriptor = node.dataflow_descriptor()
    for operator in operators:
        operator.describe(descriptor)
    configs = {entry.id: entry for entry in config.operators}
    watch = FileWatch({operator.file for operator in operators}) if os.environ.get(env.HOT_RELOAD) == "1" else None
    host = Host(
        [(operator, configs[operator.id]) for operator in operators],
        NodeOutside(node),
        drains_timers=config.drains_timers,
        watch=watch,
    )
    return host.run()


class NodeOutside:
    """What is around the operators of a real node; see `host.Outside`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._link = node._link
        self._receiver = node._receiver
        self._outputs = node._session.outputs
        self._timers = {timer.input for timer in self._link.config.timers}
        self._leaves_timestamp_out = os.environ.get("DORA_NO_TIMESTAMP") == "1"
        self._is_woken = False

    def take(self) -> Taken:
        """The next event, without waiting."""
        with self._receiver.lock:
            return self._receiver.take()

    def wait(self, timeout_s: float | None) -> Taken:
        """The next event, or None: `wake` was called, the time is over, or it was a false alarm."""
        receiver = self._receiver
        with receiver.lock:
            taken = receiver.take_before_wait()  # may look at the descriptors, and have eaten the wake-up then
            if taken is not None or self._is_woken:
                self._is_woken = False
                return taken
            receiver.begin_wait()
        try:
            ready = receiver.wait(timeout_s)
        finally:
            with receiver.lock:
                receiver.count_receiving(-1)
        with receiver.lock:
            return receiver.take_after_wait(ready)

    def wake(self) -> None:
        """Let `wait` return.  Any thread."""
        self._is_woken = True
        self._link.wake_receiver()

    def has_readers(self, output: str) -> bool:
        """Whether another process reads that output."""
        return self._outputs[output].has_readers()

    def send(self, output: str, data: Any, metadata: dict[str, Any] | None) -> None:
        """Send to other processes; may wait for room."""
        self._outputs[output].send(data, metadata)

    def stamp(self, metadata: dict[str, Any]) -> None:
        """Add the time, where none is given and none is unwanted."""
        if not self._leaves_timestamp_out and "timestamp" not in metadata:
            metadata["timestamp"] = events.instant_of(self._link.clock.now_ns())

    def is_closed(self, input_id: str) -> bool:
        """Whether nothing more will come on that input."""
        return self._receiver.is_input_closed(input_id)

    def is_timer(self, input_id: str) -> bool:
        """Whether a timer feeds that input."""
        return input_id in self._timers

    def close_ports(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """An operator has ended: give back what was its own, and tell the runner."""
        self._receiver.close_inputs(inputs)
        for output in outputs:
            self._outputs[output].close()
        self._link.say(messages.PortsClosed(list(inputs), list(outputs)))

    def stop_all(self, reason: str) -> None:
        """Ask for the end of the whole dataflow."""
        self._link.say(messages.StopAll(reason))

    def count_sent(self, slot: int, size_bytes: int, dropped: int) -> None:
        """One message more on an input that a sibling feeds, and what that cost."""
        words, at = self._link.page.words, self._link.page.edge_word(slot)
        words[at + EDGE_SENT] += 1
        words[at + EDGE_DROPPED] += dropped
        words[at + EDGE_BYTES_SENT] += size_bytes
        words[at + EDGE_LAST_SEND_NS] = monotonic_ns()

    def count_taken(self, slot: int) -> None:
        """One message of that input was handed over."""
        self._link.page.words[self._link.page.edge_word(slot) + EDGE_TAKEN] += 1

    def warn(self, text: str) -> None:
        """Say something that the user should know."""
        self._node.log("warn", text)
