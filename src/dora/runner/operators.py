"""What the process of a runtime node is told about its operators."""

from __future__ import annotations

from dora.dataflow.descriptor import BACKPRESSURE, Input, Node, OutputSource
from dora.messages.node_runner import OperatorConfig, OperatorInput


def operator_configs(node: Node) -> list[OperatorConfig]:
    """One entry per operator of a runtime node, in file order; nothing for other nodes."""
    return [
        OperatorConfig(
            operator.id, [_input(port, str(node.id)) for port in operator.inputs.values()], list(operator.outputs)
        )
        for operator in node.operators
    ]


def _input(port: Input, node: str) -> OperatorInput:
    source = port.source
    if not isinstance(source, OutputSource):
        return OperatorInput(port.id)
    if source.node != node:
        return OperatorInput(port.id, source.node)
    return OperatorInput(
        port.id, node, source.output, port.queue_size, port.queue_policy == BACKPRESSURE, port.is_stated
    )
