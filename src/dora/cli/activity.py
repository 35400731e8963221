"""What every node does: the last look at the dataflows that run, and what has changed since the one before.

Strategy: counters of nodes are read, not sampled, so a rate is the difference of two looks divided by the time between.
A first look has no rates, nor has a counter that went back (the dataflow was started again).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple

from dora.messages import api
from dora.messages.runner_daemon import FAILED
from dora.runs.choosing import shown_name
from dora.runs.usage import DiskBytes

_MB: Final = 10**6


class InputActivity(NamedTuple):
    """One input.

    Attributes:
        now: its counters; those of a timer are zero, and its queue size None.
        rate_hz: messages sent to it per second, those that were dropped included; None where that is not known.
    """

    now: api.InputInfo
    rate_hz: float | None


class NodeActivity(NamedTuple):
    """One node of one dataflow; the rates of its process are None where they are not known."""

    dataflow: api.DataflowInfo
    now: api.NodeInfo
    inputs: list[InputActivity]
    disk_read_mb_s: float | None
    disk_write_mb_s: float | None

    @property
    def key(self) -> str:
        """Unique among all nodes."""
        return f"{self.dataflow.id}/{self.now.id}"

    @property
    def waiting(self) -> int:
        """Messages in its queues."""
        return sum(one.now.waiting for one in self.inputs)

    @property
    def dropped(self) -> int:
        """Messages that its queues had no room for."""
        return sum(one.now.dropped for one in self.inputs)

    @property
    def rate_hz(self) -> float | None:
        """Messages sent to it per second."""
        known = [one.rate_hz for one in self.inputs if one.rate_hz is not None]
        return sum(known) if known else None


class Activity:
    """Turns looks into activity.

    Args:
        disk: what a process has read and written; None: its machine is another one.
    """

    def __init__(self, disk: Callable[[int], DiskBytes | None] | None) -> None:
        self._disk = disk
        self._before: dict[Hashable, int] = {}
        self._before_s: float | None = None

    def note(self, infos: Sequence[api.DataflowInfo], now_s: float) -> list[NodeActivity]:
        """The nodes of these dataflows, in their order, as they are at that time."""
        after: dict[Hashable, int] = {}
        elapsed_s = 0.0 if self._before_s is None else now_s - self._before_s

        def rate(key: Hashable, count: int) -> float | None:
            after[key] = count
            before = self._before.get(key)
            if before is None or count < before or elapsed_s <= 0:
                return None
            return (count - before) / elapsed_s

        found = [self._node(info, node, rate) for info in infos for node in info.nodes]
        self._before, self._before_s = after, now_s
        return found

    def _node(
        self, info: api.DataflowInfo, node: api.NodeInfo, rate: Callable[[Hashable, int], float | None]
    ) -> NodeActivity:
        inputs = [
            InputActivity(one, None if one.queue_size is None else rate((info.id, node.id, one.id), one.sent))
            for one in node.inputs
        ]
        disk = self._disk(node.pid) if self._disk is not None and node.pid else None
        if disk is None:
            return NodeActivity(info, node, inputs, None, None)
        key = (info.id, node.id, node.pid)
        read, written = rate((*key, "read"), disk.read), rate((*key, "written"), disk.written)
        return NodeActivity(info, node, inputs, _in_mb(read), _in_mb(written))


def _in_mb(per_s: float | None) -> float | None:
    return None if per_s is None else round(per_s / _MB, 3)


def as_json(node: NodeActivity) -> dict[str, Any]:
    """One object of `dora top --once` (dora cli, section 4.3), and below `inputs` what only this dora knows.

    What is not known here is left out: no daemon holds a node, and a queue does not know the bytes that were taken.
    """
    now = node.now
    return {
        "dataflow_id": node.dataflow.id,
        "dataflow_name": shown_name(node.dataflow),
        "node_id": now.id,
        "metrics": {
            "pid": now.pid,
            "cpu_usage": now.cpu_percent,
            "memory_mb": None if now.memory_bytes is None else round(now.memory_bytes / _MB, 1),
            "disk_read_mb_s": node.disk_read_mb_s,
            "disk_write_mb_s": node.disk_write_mb_s,
            "restart_count": now.restarts,
            "status": now.state,
            "broken_inputs": _broken_inputs(node),
            "pending_messages": node.waiting,
        },
        "network": _exchanged(node),
        "inputs": [_input_as_json(one) for one in node.inputs],
    }


def _broken_inputs(node: NodeActivity) -> list[str]:
    """Inputs whose node has failed: nothing comes there any more."""
    failed = {one.id for one in node.dataflow.nodes if one.state == FAILED}
    return [one.now.id for one in node.inputs if one.now.source.partition("/")[0] in failed]


def _exchanged(node: NodeActivity) -> dict[str, int]:
    """Messages to and from other nodes so far, once per reader; on one machine they go through shared memory."""
    own = f"{node.now.id}/"
    fed = [one for other in node.dataflow.nodes for one in other.inputs if one.source.startswith(own)]
    return {
        "bytes_sent": sum(one.bytes for one in fed),
        "messages_sent": sum(one.sent for one in fed),
        "messages_received": sum(one.now.taken for one in node.inputs),
    }


def _input_as_json(one: InputActivity) -> dict[str, Any]:
    now = one.now
    if now.queue_size is None:
        return {"id": now.id, "source": now.source}
    return {
        "id": now.id,
        "source": now.source,
        "queue_size": now.queue_size,
        "queue_depth": now.waiting,
        "sent": now.sent,
        "dropped": now.dropped,
        "taken": now.taken,
        "rate_hz": None if one.rate_hz is None else round(one.rate_hz, 2),
    }
