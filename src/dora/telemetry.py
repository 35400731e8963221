"""OpenTelemetry contexts in metadata: which trace a message belongs to (dora node-api, section 7).

    with tracer.start_as_current_span("detect", context=context_of(event["metadata"])):
        node.send_output("boxes", boxes)      # carries the context of this span

Strategy: the key `open_telemetry_context` holds the fields of W3C Trace Context as text,
`traceparent:00-<trace>-<span>-01;tracestate:<state>;`.  A program that has imported OpenTelemetry before `Node()` gets
a `Node` that fills it in from the current span; any other never loads this module.  dora makes and exports no spans
of its own: providers and exporters are the program's.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ["context_of", "context_text"]

KEY: Final = "open_telemetry_context"


def context_text(context: Context | None = None) -> str:
    """What stands in the metadata for a context.

    Args:
        context: None: the current one.

    Returns:
        The text, or "" when there is no span in the context.
    """
    if context is None and not _trace().get_current_span().get_span_context().is_valid:
        return ""
    fields: dict[str, str] = {}
    _propagator().inject(fields, context)
    return "".join(f"{name}:{value};" for name, value in fields.items())


def context_of(metadata: Mapping[str, Any] | None) -> Context:
    """The context that a message was sent in, as parent of spans; an empty one when it has none."""
    text = (metadata or {}).get(KEY)
    entries = text.split(";") if isinstance(text, str) else []
    found: Context = _propagator().extract(
        {name: value for name, _, value in (entry.partition(":") for entry in entries)}
    )
    return found


@functools.cache
def _trace() -> Any:
    return _loaded("opentelemetry.trace")


@functools.cache
def _propagator() -> Any:
    return _loaded("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()


def _loaded(module: str) -> Any:
    """Part of OpenTelemetry; only where it is used, because few programs do.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"dora.telemetry needs OpenTelemetry: pip install 'dora-rs[otel]' ({error})") from None
