"""The page of every public name of the Python API, made from signatures and docstrings."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

MODULES: Final = {
    "dora": "`from dora import ...`; each name is loaded when it is first used.",
    "dora.builder": "Dataflows made in Python instead of YAML.",
    "dora.testing": "Tests of nodes and operators without a dataflow: see [testing](testing.md).",
    "dora.telemetry": "OpenTelemetry contexts in metadata; needs the extra `otel` (`pip install dora-rs[otel]`).",
    "dora.cuda": "GPU tensors between processes without a copy; needs PyTorch with CUDA when used, not when imported.",
}
RETURNED: Final = {
    "Event": ("dora.node.events", "What receiving gives: see [events](python-guide.md#events)."),
    "SampleHandler": ("dora.node.samples", "What `Node.send_output_raw` gives."),
    "SampleBuffer": (
        "dora.node.sample_buffer",
        "What `with` and `SampleHandler.as_buffer` give; its `view_count` is that of the handler.",
    ),
    "StreamSegment": ("dora.node.patterns", "What `Node.stream_segment` gives."),
    "Graph": ("dora.dataflow.graph", "What `DataflowBuilder.graph` gives."),
}
"""classes that are met, but not imported by name"""
INTRO: Final = """
Every public name, from its signature and docstring; what is not here is not part of the API.
Guides: [nodes](python-guide.md), [operators](operators.md), [patterns](patterns.md), [testing](testing.md).

Beyond what dora-rs 1.1.0 has are `close`, `with Node()`, `async for`, `fileno`, `recv_service_response`,
`recv_action_result`, their `_async` twins and `stream_segment`; the rest has its names, arguments and meaning.
Exceptions of dora are also a RuntimeError where dora-rs raises one.

There is no ROS 2 bridge: the `Ros2*` classes can be imported, and any use of one raises a NotImplementedError.
There is no tensor pool either (`node.register_tensor_pool` and its kin, the package `dora_tensor_pool`), as in the
package of dora-rs itself: the methods raise an AttributeError, the import a ModuleNotFoundError.
`dora.cuda` passes GPU tensors on, and `send_output_raw` writes large arrays in shared memory.
"""
_OPAQUE: Final = frozenset({"SampleBuffer"})
"""classes whose methods are not for users"""
_SECTION: Final = re.compile(r"^(Args|Returns|Raises|Attributes):\s*(.*)$")
_ENTRY: Final = re.compile(r"^    (?=\S)")


def api_page() -> str:
    """The whole page."""
    parts = ["# The Python API", INTRO.strip()]
    for module, intro in MODULES.items():
        parts += [f"## {module}", intro]
        for name in names_of(module):
            parts += described(getattr(importlib.import_module(module), name), name)
    parts += ["## What these give", "Classes that are met but never imported by name."]
    for name, (module, intro) in RETURNED.items():
        parts += described(getattr(importlib.import_module(module), name), name, intro)
    return "\n\n".join(part for part in parts if part) + "\n"


def names_of(module: str) -> list[str]:
    """Its public names, classes first."""
    loaded = importlib.import_module(module)
    names = [name for name in loaded.__all__ if not name.startswith("__")]
    return sorted(names, key=lambda name: (not isinstance(getattr(loaded, name), type), name))


def described(thing: Any, name: str, intro: str = "") -> list[str]:
    """A function, or a class with its methods."""
    if not isinstance(thing, type):
        return [f"### `{name}{signature_of(thing)}`", *text_of(thing)]
    is_enum = issubclass(thing, enum.Enum)
    is_made = "__init__" in vars(thing) and name not in RETURNED
    heading = f"{name}{signature_of(vars(thing)['__init__'])}" if is_made else name
    parts = [f"### `{heading}`", intro, *text_of(thing)]
    if is_enum:
        parts.append(", ".join(f"`{member.name}` = {member.value}" for member in thing))
        return parts
    for method, member in () if name in _OPAQUE else members_of(thing):
        what = f": {annotation(member.fget)}" if isinstance(member, property) else signature_of(member)
        parts += [f"#### `{name}.{method}{what}`", *text_of(member)]
    return parts


def members_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties, in the order of the source, those of dicts and tuples aside."""
    for name, member in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def annotation(function: Any) -> str:
    """What a property gives."""
    return str(function.__annotations__.get("return", ""))


def signature_of(function: Any) -> str:
    """Arguments and result, as in the source; the same in every version of Python."""
    found = inspect.signature(function)
    shown, is_keyword_only = [], False
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword_only:
            is_keyword_only = True
            shown.append("*")
        shown.append(_parameter(parameter))
    result = "" if found.return_annotation in (found.empty, "None", None) else f" -> {found.return_annotation}"
    return f"({', '.join(shown)}){result}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
    value = parameter.default
    default = f" = {type(value).__name__}()" if dataclasses.is_dataclass(value) else f" = {value!r}"
    default = "" if value is parameter.empty else default
    return f"{stars}{parameter.name}{kind}{default if kind else default.replace(' ', '')}"


def text_of(thing: Any) -> list[str]:
    """A docstring in Markdown: its sections become lists."""
    parts: list[str] = []
    for block in (inspect.getdoc(thing) or "").split("\n\n"):
        first, *rest = block.split("\n")
        section = _SECTION.match(first)
        if section is None:
            code = all(line.startswith("    ") or not line for line in [first, *rest])
            parts.append(block if code else " ".join(line.strip() for line in block.split("\n")))
            continue
        texts = ([section[2]] if section[2] else []) + rest
        if section[1] == "Returns":
            parts.append("**Returns** " + " ".join(line.strip() for line in texts))
        else:
            parts.append(f"**{section[1]}**\n\n" + "\n".join(_entries(texts)))
    return parts


def _entries(lines: list[str]) -> Iterator[str]:
    """List items; continued lines are joined."""
    items: list[str] = []
    for line in lines:
        if _ENTRY.match(line) and not line.startswith("     "):
            items.append(line.strip())
        else:
            items[-1] += " " + line.strip()
    for item in items:
        name, colon, meaning = item.partition(": ")
        yield f"- `{name}`: {meaning}" if colon else f"- {item}"
