"""`Node` in a program that uses OpenTelemetry: what it sends carries the context of the current span."""

from __future__ import annotations

from typing import Any

from dora import telemetry
from dora.node.node import Node
from dora.node.samples import SampleHandler


class TracedNode(Node):
    """Fills `open_telemetry_context` in, where the metadata have none and a span is active."""

    def send_output(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> None:
        """As `Node.send_output`."""
        super().send_output(output_id, data, _with_context(metadata))

    def send_output_raw(
        self,
        output_id: str,
        data_length: int | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        length: int | None = None,
    ) -> SampleHandler:
        """As `Node.send_output_raw`; the context is that of this call."""
        return super().send_output_raw(output_id, data_length, _with_context(metadata), length=length)


def _with_context(metadata: Any) -> Any:
    if metadata is not None and (not isinstance(metadata, dict) or telemetry.KEY in metadata):
        return metadata
    text = telemetry.context_text()
    return {**(metadata or {}), telemetry.KEY: text} if text else metadata
