"""What can be put under test: a script, a function, an operator class; each run as dora would run it."""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
import runpy
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from dora.errors import NodeError
from dora.node.events import Event
from dora.node.node import Node
from dora.node.operators import HostedOperator, OperatorError

Program = str | os.PathLike[str] | Callable[..., Any]
_OPERATOR: Final = "Operator"
_HANDLERS: Final = frozenset({"on_event", "on_input"})


def run_program(program: Any, args: tuple[str, ...]) -> int:
    """Run it to its end; returns its exit code.

    Raises:
        TypeError: it is nothing that can be run.
        Exception: whatever it raised.
    """
    try:
        _run(program, args)
    except SystemExit as end:
        return _exit_code(end.code)
    return 0


def _run(program: Any, args: tuple[str, ...]) -> None:
    if isinstance(program, (str, os.PathLike)):
        _run_file(Path(program), args)
    elif isinstance(program, type):
        _run_operator(program, getattr(sys.modules.get(program.__module__), "__file__", None) or program.__name__)
    elif callable(program):
        _run_function(program)
    else:
        raise TypeError(f"expected the path of a script, a function or an operator class, not {program!r}")


def _exit_code(code: Any) -> int:
    if isinstance(code, str):
        print(code, file=sys.stderr)
    return code if isinstance(code, int) else 0 if code is None else 1


def _run_file(path: Path, args: tuple[str, ...]) -> None:
    source = path.read_text(encoding="utf-8")
    before = sys.argv, list(sys.path)
    is_operator = _defines_operator(source)
    sys.argv = ["-c"] if is_operator else [str(path), *args]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        if is_operator:
            _run_operator(runpy.run_path(str(path), run_name=path.stem)[_OPERATOR], str(path))
        else:
            runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before


def _defines_operator(source: str) -> bool:
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == _OPERATOR]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = (entry for node in classes for entry in node.body if isinstance(entry, kinds))
    return any(function.name in _HANDLERS for function in functions)


def _run_function(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [entry for entry in parameters if entry.kind in kinds and entry.default is inspect.Parameter.empty]
    if len(required) > 1:
        names = ", ".join(entry.name for entry in required)
        raise TypeError(f"expected a function of no argument or of a node, but {function.__name__} needs {names}")
    found = function(Node()) if required else function()
    if inspect.iscoroutine(found):
        _finish(found)


def _finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    import asyncio

    asyncio.run(coroutine)


def _run_operator(kind: type, file: str) -> None:
    operator = HostedOperator("op", file)
    operator.adopt(kind())
    node = Node()
    with contextlib.suppress(NodeError):  # none was stated
        operator.describe(node.dataflow_descriptor())

    def send_output(
        output_id: str | None = None,
        data: Any = None,
        metadata: dict[str, Any] | None = None,
        *,
        output: str | None = None,
    ) -> None:
        node.send_output(output_id if output is None else output, data, metadata)  # type: ignore[arg-type]

    try:
        for event in node:
            if operator.tell(Event(event), send_output) or event["type"] == "STOP":
                break
        operator.drop()
    except OperatorError as error:
        cause = error.__cause__  # SystemExit would look like the good end of a script
        raise (error if cause is None or isinstance(cause, SystemExit) else cause) from None
