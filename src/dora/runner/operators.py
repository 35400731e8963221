"""What the process of a runtime node is told about its operators."""

from __future__ import annotations

from collections.abc import Sequence

from dora.dataflow.descriptor import BACKPRESSURE, Input, Node, OutputSource
from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.runner.effects import Route
from dora.runner.state.routes import log_outputs


def operator_configs(node: Node, siblings: Sequence[Route]) -> list[OperatorConfig]:
    """One entry per operator of a runtime node, in file order; nothing for other nodes.

    Args:
        siblings: what operators of one node send each other, of the whole dataflow.
    """
    if not node.operators:
        return []
    slots = {route.input: route.slot for route in siblings if route.reader == node.id}
    return [
        OperatorConfig(
            operator.id,
            [_input(port, slots.get(f"{operator.id}/{port.id}")) for port in operator.inputs.values()],
            [output for output in operator.outputs if f"{operator.id}/{output}" not in log_outputs(node)],
        )
        for operator in node.operators
    ]


def _input(port: Input, slot: int | None) -> OperatorInput:
    source = port.source
    if not isinstance(source, OutputSource):
        return OperatorInput(port.id)
    if slot is None:
        return OperatorInput(port.id, source.node)
    is_lossless = port.queue_policy == BACKPRESSURE
    return OperatorInput(port.id, source.node, source.output, port.queue_size, is_lossless, port.is_stated, slot)
