"""What the process of a runtime node is told about its operators."""

from __future__ import annotations

from dora.dataflow.descriptor import BACKPRESSURE, Input, Node, OutputSource
from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.runner.state.routes import log_outputs


def operator_configs(node: Node) -> list[OperatorConfig]:
    """One entry per operator of a runtime node, in file order; nothing for other nodes."""
    return [
        OperatorConfig(
            operator.id,
            [_input(port, node, f"{operator.id}/{port.id}") for port in operator.inputs.values()],
            [output for output in operator.outputs if f"{operator.id}/{output}" not in log_outputs(node)],
        )
        for operator in node.operators
    ]


def _input(port: Input, node: Node, full_name: str) -> OperatorInput:
    source = port.source
    if not isinstance(source, OutputSource):
        return OperatorInput(port.id)
    if full_name in node.inputs:
        return OperatorInput(port.id, source.node)
    return OperatorInput(
        port.id, source.node, source.output, port.queue_size, port.queue_policy == BACKPRESSURE, port.is_stated
    )
