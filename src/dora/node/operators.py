"""One operator: its class, its instance, and what its answers mean (dora node-api, sections 14 and 16).

Strategy: everything that the user's code does wrong (it raises, it ends the process, it is not what an operator must
be) becomes an `OperatorError` with the operator's id and file; what runs operators (`host.py`) sees nothing else.
Which generation of the API a class speaks is found out once, when it has been made.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from dora import arrow
from dora.errors import NodeError
from dora.node.events import Event
from dora.node.operator_files import import_anew, import_file
from dora.node.status import DoraStatus

CONTINUE: Final = 0
STOP: Final = 1
STOP_ALL: Final = 2
"""the values of `DoraStatus`"""
_EXPECTED: Final = "expected DoraStatus.CONTINUE, .STOP or .STOP_ALL, 0, 1, 2 or None"
_OWN_FOLDER: Final = os.path.dirname(__file__) + os.sep

SendOutput = Callable[..., None]
"""send_output(output_id, data, metadata=None)"""
Call = Callable[[Event, SendOutput], Any]


class OperatorError(NodeError):
    """The code of an operator raised, or is not what an operator must be; `__cause__` is what it raised."""

    def __init__(self, operator_id: str, file: str, what: str) -> None:
        super().__init__(f"operator `{operator_id}` ({os.path.relpath(file)}) {what}")

    def report(self) -> str:
        """For stderr: the traceback of the operator's own code, then this error."""
        cause = self.__cause__
        lines: list[str] = []
        if cause is not None:
            lines = traceback.format_exception(type(cause), cause, _from_own_code(cause.__traceback__))
        return f"{''.join(lines)}dora: {self}\n"


def _from_own_code(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without our frames at its begin."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
        trace = trace.tb_next
    return trace


class HostedOperator:
    """The code of one operator; every method raises `OperatorError` when that code goes wrong."""

    def __init__(self, operator_id: str, file: str) -> None:
        self.id: Final = operator_id
        self.file: Final = file
        self._hears_inputs_only = False
        self._instance: Any = None
        self._call: Call = _nothing

    def load(self) -> None:
        """Import the file and make the instance."""
        try:
            module = import_file(self.file)
        except BaseException as error:  # a process boundary: SystemExit of a user's file must not end us in silence
            raise self._error(f"cannot be imported: {_named(error)}") from error
        self.adopt(self._make(module))

    def reload(self) -> None:
        """Make an instance of the file as it is now, with the state of the old one; on an error the old one stays."""
        try:
            module = import_anew(self.file)
        except BaseException as error:  # as in `load`
            raise self._error(f"cannot be imported again and stays as it was: {_named(error)}") from error
        former, instance = self._instance, self._make(module)
        state = getattr(former, "__dict__", None)
        if state is not None and hasattr(instance, "__dict__"):
            instance.__dict__.update(state)
        self.adopt(instance)

    def describe(self, descriptor: dict[str, Any]) -> None:
        """Set `dataflow_descriptor`, for an instance that takes attributes."""
        with contextlib.suppress(AttributeError):
            self._instance.dataflow_descriptor = descriptor

    def tell(self, event: Event, send_output: SendOutput) -> int:
        """Give it an event; returns what it answers: `CONTINUE`, `STOP` or `STOP_ALL`."""
        if self._hears_inputs_only and event["type"] != "INPUT":
            return CONTINUE
        try:
            answer = self._call(event, send_output)
        except BaseException as error:  # as in `load`
            raise self._error(f"failed at {_event_name(event)}: {_named(error)}") from error
        if answer is None or answer is DoraStatus.CONTINUE:
            return CONTINUE
        value = getattr(answer, "value", answer)
        if type(value) is bool or not isinstance(value, int) or not CONTINUE <= value <= STOP_ALL:
            if hasattr(answer, "__await__"):
                answer.close()  # nobody will await it, which Python would warn of
                raise self._error("has an `async def` for its events: write a plain `def`; a node can use asyncio")
            raise self._error(f"returned {answer!r} ({type(answer).__name__}) at {_event_name(event)}: {_EXPECTED}")
        return value

    def drop(self) -> None:
        """The operator has ended: `drop_operator()` if it has one, then the instance is gone."""
        instance, self._instance = self._instance, None
        self._call = _nothing
        end = getattr(instance, "drop_operator", None)
        try:
            if callable(end):
                end()
        except BaseException as error:  # as in `load`
            raise self._error(f"failed in drop_operator: {_named(error)}") from error

    def _make(self, module: Any) -> Any:
        kind = getattr(module, "Operator", None)
        if not callable(kind):
            raise self._error("has no class `Operator`: no `Operator` class found in module")
        try:
            return kind()
        except BaseException as error:  # as in `load`
            raise self._error(f"failed in Operator(): {_named(error)}") from error

    def adopt(self, instance: Any) -> None:
        """Let this object be the operator."""
        on_event, on_input = getattr(instance, "on_event", None), getattr(instance, "on_input", None)
        if callable(on_event):
            self._call, self._hears_inputs_only = on_event, False
        elif callable(on_input):
            self._call, self._hears_inputs_only = self._adapted(on_input), True
        else:
            raise self._error("has a class `Operator` without the method `on_event(self, event, send_output)`")
        self._instance = instance

    def _adapted(self, on_input: Callable[..., Any]) -> Call:
        """`on_input` of dora 0.1: (input_id, value, send_output), or a dict and send_output."""
        count = _positional_count(on_input)
        if count not in (2, 3):
            raise self._error(
                "has a method `on_input` that is neither (self, input_id, value, send_output) nor "
                f"(self, dora_input, send_output): it takes {count} arguments"
            )

        def with_three(event: Event, send_output: SendOutput) -> Any:
            return on_input(event["id"], arrow.raw_bytes(event["value"]), send_output)

        def with_two(event: Event, send_output: SendOutput) -> Any:
            data = arrow.raw_bytes(event["value"])
            return on_input({"id": event["id"], "data": data, "metadata": event["metadata"]}, send_output)

        return with_three if count == 3 else with_two

    def _error(self, what: str) -> OperatorError:
        return OperatorError(self.id, self.file, what)


def _nothing(event: Event, send_output: SendOutput) -> None:
    """There is no instance."""


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _event_name(event: Event) -> str:
    name = event.get("id")
    return event["type"] if name is None else f"{event['type']} `{name}`"


def _positional_count(function: Callable[..., Any]) -> int:
    import inspect  # only for operators of dora 0.1

    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 3
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters
    )
