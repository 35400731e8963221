"""A runner's description of its run as the API shows it, with what is measured from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dora.messages import api
from dora.messages import runner_daemon as messages
from dora.runs.usage import Usage, UsageMeter

_OVER = frozenset({messages.FINISHED, messages.FAILED, messages.STOPPED})
_NOTHING: Mapping[int, Usage] = {}


def pids_of(run: messages.Described) -> list[int]:
    """The processes of its nodes."""
    return [node.pid for node in run.nodes if node.pid]


def summary(run: messages.Described, usage: Mapping[int, Usage] = _NOTHING) -> api.DataflowInfo:
    """A dataflow without its nodes."""
    used = [usage[pid] for pid in pids_of(run) if pid in usage]
    return api.DataflowInfo(
        id=run.dataflow_id,
        name=run.name,
        file=run.file,
        state=run.state,
        origin=run.origin,
        pid=run.pid,
        started_ns=run.started_ns,
        log_dir=run.log_dir,
        node_count=sum(node.state not in _OVER for node in run.nodes),
        cpu_percent=round(sum(one.cpu_percent for one in used), 1) if used else None,
        memory_bytes=sum(one.memory_bytes for one in used) if used else None,
        waits_for=run.waits_for,
    )


def summaries(runs: Sequence[messages.Described], meter: UsageMeter) -> list[api.DataflowInfo]:
    """Dataflows that run, by name, without their nodes; measured now."""
    usage = meter.measure(pid for run in runs for pid in pids_of(run))
    return sorted((summary(run, usage) for run in runs), key=lambda info: (info.name, info.id))


def detail(run: messages.Described, usage: Mapping[int, Usage] = _NOTHING) -> api.DataflowInfo:
    """A dataflow with its nodes."""
    nodes = [_node(run, node, usage.get(node.pid)) for node in run.nodes]
    return msgspec.structs.replace(summary(run, usage), nodes=nodes)


def ended(record: messages.Ended) -> api.DataflowInfo:
    """A dataflow that is over, with its nodes as they ended."""
    return msgspec.structs.replace(
        detail(record.last),
        pid=None,
        ended_ns=record.ended_ns,
        exit_code=record.exit_code,
        report=record.report,
        node_count=0,
    )


def without_nodes(info: api.DataflowInfo) -> api.DataflowInfo:
    """As it stands in a list."""
    return msgspec.structs.replace(info, nodes=[])


def _node(run: messages.Described, node: messages.NodeState, usage: Usage | None) -> api.NodeInfo:
    edges = {edge.input: edge for edge in run.edges if edge.reader == node.id}
    readers = [(edge.output, f"{edge.reader}/{edge.input}") for edge in run.edges if edge.source == node.id]
    return api.NodeInfo(
        id=node.id,
        state=node.state,
        dataflow=run.dataflow_id,
        pid=node.pid or None,
        cpu_percent=None if usage is None else usage.cpu_percent,
        memory_bytes=None if usage is None else usage.memory_bytes,
        restarts=node.restarts,
        exit_code=node.exit_code,
        signal=node.signum,
        message=node.message,
        is_dynamic=node.is_dynamic,
        name=node.name,
        description=node.description,
        path=node.path,
        command=node.command,
        restart_policy=node.policy,
        max_restarts=node.max_restarts,
        restart_delay_s=node.restart_delay_s,
        health_check_timeout_s=node.health_check_timeout_s,
        finish_grace_s=node.finish_grace_s,
        inputs=[_input(name, source, edges.get(name)) for name, source in node.inputs.items()],
        outputs=[
            api.OutputInfo(id=output, subscribers=[reader for sent, reader in readers if sent == output])
            for output in node.outputs
        ],
    )


def _input(name: str, source: str, edge: messages.EdgeState | None) -> api.InputInfo:
    if edge is None:  # a timer
        return api.InputInfo(id=name, source=source)
    return api.InputInfo(
        id=name,
        source=source,
        queue_size=edge.queue_size,
        queue_policy=edge.policy,
        sent=edge.sent,
        dropped=edge.dropped,
        taken=edge.taken,
        waiting=max(0, edge.sent - edge.dropped - edge.taken),
        bytes=edge.bytes,
    )
