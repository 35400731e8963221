"""What a node is told to check about the types of its messages (`DORA_RUNTIME_TYPE_CHECK`; dora dataflow-yaml, 14)."""

from __future__ import annotations

from typing import Final

from dora.dataflow.descriptor import Node
from dora.dataflow.std_types import accepted_arrow_types
from dora.dataflow.types import parse_use
from dora.messages.node_runner import TypeCheck

_MODES: Final = {"1": False, "true": False, "warn": False, "error": True}


def type_checks(node: Node, mode: str) -> list[TypeCheck]:
    """One entry per input with a core type, and, where `mode` asks for it, per output.

    Args:
        mode: the variable as the node's process sees it; anything but `1`, `true`, `warn` and `error` is off.
    """
    found = [
        TypeCheck(port, text, accepted) for port, text in node.input_types.items() if (accepted := accepted_types(text))
    ]
    is_error = _MODES.get(mode.lower())
    if is_error is not None:
        for port, text in node.output_types.items():
            if names := accepted_types(text):
                found.append(TypeCheck(port, text, names, is_output=True, is_error=is_error))
    return found


def accepted_types(text: str) -> list[str]:
    """Names of the Arrow types that a message of that stated type may have, as pyarrow writes them; empty: any."""
    use = parse_use(text)
    return [] if use is None else list(accepted_arrow_types(use.urn))
