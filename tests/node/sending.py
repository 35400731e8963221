"""What tests of sending share: numbers as messages, and actions in other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from dora.node.node import Node
from node.fake_runner import Sink

Act = Callable[[], object]


class Aside:
    """Runs something in another thread, and says what came of it."""

    def __init__(self, action: Act) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        self._thread.start()

    def _run(self, action: Act) -> None:
        try:
            action()
        except Exception as error:
            self.error = error

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end; an error is raised here."""
        self._thread.join(20)
        assert not self.is_running
        if self.error is not None:
            raise self.error


Start = Callable[[Act], Aside]


def is_free(lock: Any) -> bool:
    """Whether another thread than this one would get the lock."""
    found: list[bool] = []

    def try_it() -> None:
        found.append(lock.acquire(blocking=False))
        if found[0]:
            lock.release()

    Aside(try_it).join()
    return found[0]


def send(node: Node, *numbers: int, output: str = "out") -> None:
    """Send each number as an array of one element."""
    for number in numbers:
        node.send_output(output, pa.array([number]))


def refuse_to_wait(*_: object) -> None:
    """In place of `Output._poll`, where no send may wait."""
    raise AssertionError("a send waits")


def taken(sink: Sink) -> list[int]:
    """The numbers that wait at a reader."""
    return [value[0] for value in sink.take_all()]
