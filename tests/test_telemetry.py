"""OpenTelemetry contexts travel in metadata (dora node-api, section 7)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dora import Node
from dora.testing import NodeHarness

CONTEXT = re.compile(r"traceparent:00-[0-9a-f]{32}-[0-9a-f]{16}-0[13];")


@pytest.fixture(scope="module")
def tracer() -> Iterator[Any]:
    """A program that uses OpenTelemetry; afterwards it is as if it had never been imported."""
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    yield sdk.TracerProvider().get_tracer("test")
    for name in [
        name for name in sys.modules if name.startswith(("opentelemetry", "dora.telemetry", "dora.node.traced"))
    ]:
        del sys.modules[name]


def sent_metadata(program: Any, *events: Any) -> dict[str, Any]:
    """The metadata of the one message that the program sends."""
    (sent,) = NodeHarness(program).run(events).sent
    return sent.metadata


def test_message_carries_the_context_of_the_current_span(tracer: Any) -> None:
    def program(node: Node) -> None:
        with tracer.start_as_current_span("work") as span:
            node.send_output("out", b"", {"trace": f"{span.get_span_context().trace_id:032x}"})

    metadata = sent_metadata(program)
    assert CONTEXT.match(metadata["open_telemetry_context"])
    assert metadata["trace"] in metadata["open_telemetry_context"]


def test_message_that_is_filled_in_place_carries_the_context_too(tracer: Any) -> None:
    def program(node: Node) -> None:
        with tracer.start_as_current_span("work"), node.send_output_raw("out", 1, {"width": 1}) as buffer:
            memoryview(buffer)[:] = b"x"

    metadata = sent_metadata(program)
    assert CONTEXT.match(metadata["open_telemetry_context"])
    assert metadata["width"] == 1


def test_context_that_is_passed_on_stays_as_it_is(tracer: Any) -> None:
    def program(node: Node) -> None:
        event = next(node)
        with tracer.start_as_current_span("other"):
            node.send_output("out", event["value"], event["metadata"])

    given = "traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01;"
    assert sent_metadata(program, ("in", [1], {"open_telemetry_context": given}))["open_telemetry_context"] == given


def test_span_of_a_receiver_belongs_to_the_trace_of_the_sender(tracer: Any) -> None:
    from dora.telemetry import context_of, context_text  # needs OpenTelemetry

    with tracer.start_as_current_span("send") as sender:
        metadata = {"open_telemetry_context": context_text()}
    with tracer.start_as_current_span("receive", context=context_of(metadata)) as receiver:
        assert receiver.get_span_context().trace_id == sender.get_span_context().trace_id
        assert receiver.parent.span_id == sender.get_span_context().span_id


def test_nothing_is_filled_in_without_a_span(tracer: Any) -> None:
    assert sent_metadata(lambda node: node.send_output("out", b"")) == {}


@pytest.mark.parametrize("metadata", [None, {}, {"open_telemetry_context": "nonsense"}, {"open_telemetry_context": 5}])
def test_context_of_a_message_without_one_is_empty(tracer: Any, metadata: Any) -> None:
    from dora.telemetry import context_of  # needs OpenTelemetry

    assert not context_of(metadata)


def test_program_without_opentelemetry_does_not_load_it() -> None:
    code = (
        "import sys; from dora import Node; from dora.testing import NodeHarness; NodeHarness(lambda: Node()).run(); "
        "assert not [name for name in sys.modules if 'telemetry' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
