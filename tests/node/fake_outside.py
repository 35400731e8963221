"""The world around operators as a script, and operators that are functions.

A script is a list of events (and calls in between), then the end of the stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.node import events
from dora.node.host import Host
from dora.node.operators import OperatorError
from dora.node.receiver import END, Taken

Act = Callable[[events.Event, Callable[..., None]], Any]


class Code:
    """The code of an operator: calls `act`, and keeps what it was told."""

    def __init__(self, operator_id: str, act: Act | None = None) -> None:
        self.id = operator_id
        self.file = f"{operator_id}.py"
        self.act = act or (lambda event, send_output: None)
        self.told: list[str] = []
        self.events: list[events.Event] = []
        self.is_dropped = False
        self.reloads = 0
        self.reload_error: OperatorError | None = None

    def tell(self, event: events.Event, send_output: Callable[..., None]) -> int:
        """One event."""
        self.events.append(event)
        value = event["value"]
        text = f"={value.to_pylist()[0]}" if isinstance(value, pa.Array) else ""
        self.told.append(f"{event['type']} {event['id']}{text}")
        try:
            return self.act(event, send_output) or 0
        except Exception as error:
            raise OperatorError(self.id, self.file, f"failed at {event['type']}: {error}") from error

    def drop(self) -> None:
        """It has ended."""
        assert not self.is_dropped
        self.is_dropped = True

    def reload(self) -> None:
        """Its file was saved."""
        if self.reload_error is not None:
            raise self.reload_error
        self.reloads += 1


class World:
    """What is outside: gives a script of events, keeps what is sent."""

    def __init__(self, *script: events.Event | Callable[[], None], timers: Sequence[str] = ()) -> None:
        self.script = list(script)
        self.timers = timers
        self.read = {"a/out"}
        self.sent: list[tuple[str, Any, Any]] = []
        self.closed_inputs: set[str] = set()
        self.closed_ports: list[tuple[list[str], list[str]]] = []
        self.stops: list[str] = []
        self.warnings: list[str] = []
        self.counts = {"sent": 0, "bytes": 0, "dropped": 0, "taken": 0}
        self.woken = threading.Event()

    def take(self) -> Taken:
        """The next of the script."""
        while self.script:
            entry = self.script.pop(0)
            if isinstance(entry, events.Event):
                if entry["type"] == "INPUT_CLOSED":
                    self.closed_inputs.add(entry["id"])
                return entry
            entry()
        return END

    def wait(self, timeout_s: float | None) -> Taken:
        """The same."""
        return self.take()

    def wake(self) -> None:
        """Somebody sent from another thread."""
        self.woken.set()

    def has_readers(self, output: str) -> bool:
        """Somebody outside reads some outputs."""
        return output in self.read

    def send(self, output: str, data: Any, metadata: Any) -> None:
        """To other processes."""
        self.sent.append((output, data, metadata))

    def stamp(self, metadata: dict[str, Any]) -> None:
        """A short time."""
        metadata.setdefault("timestamp", 7)

    def is_closed(self, input_id: str) -> bool:
        """INPUT_CLOSED was given."""
        return input_id in self.closed_inputs

    def is_timer(self, input_id: str) -> bool:
        """Which inputs are timers."""
        return input_id in self.timers

    def close_ports(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """An operator has ended."""
        self.closed_ports.append((list(inputs), list(outputs)))

    def stop_all(self, reason: str) -> None:
        """An operator ends the dataflow."""
        self.stops.append(reason)

    def count_sent(self, slot: int, size_bytes: int, dropped: int) -> None:
        """Of all inputs together."""
        self.counts["sent"] += 1
        self.counts["bytes"] += size_bytes
        self.counts["dropped"] += dropped

    def count_taken(self, slot: int) -> None:
        """The same."""
        self.counts["taken"] += 1

    def warn(self, text: str) -> None:
        """A line for the user."""
        self.warnings.append(text)


def data(name: str, value: int = 0) -> events.Event:
    """A message from outside."""
    return events.input_event(name, pa.array([value]), {})


def config(operator_id: str, *inputs: str | OperatorInput, outputs: Sequence[str] = ("out",)) -> OperatorConfig:
    """An operator; a text is an input from outside."""
    entries = [entry if isinstance(entry, OperatorInput) else OperatorInput(entry, "camera") for entry in inputs]
    return OperatorConfig(operator_id, entries, list(outputs))


def fed(name: str, output: str, size: int = 10, *, lossless: bool = False, stated: bool = False) -> OperatorInput:
    """An input that a sibling feeds."""
    return OperatorInput(name, "rt", output, size, lossless, stated or lossless)


def run(world: World, *operators: tuple[Code, OperatorConfig], **options: Any) -> list[OperatorError]:
    """Host them until the script is over."""
    return Host(operators, world, **options).run()  # type: ignore[arg-type]


def sends(*values: int, output: str = "out", answer: int | None = None) -> Act:
    """Sends these at every input."""

    def act(event: events.Event, send_output: Callable[..., None]) -> int | None:
        if event["type"] != "INPUT":
            return None
        for value in values:
            send_output(output, pa.array([value]))
        return answer

    return act


PASS_ON: Act = lambda event, send: send("out", event["value"]) if event["type"] == "INPUT" else None  # noqa: E731


def failing(event: events.Event, send_output: object) -> None:
    """Fails at every event."""
    raise ValueError("bad")
