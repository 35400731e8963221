"""What a node does for its first message before the dataflow starts."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

from dora.errors import ResourceError
from dora.node import warm_up as warm_up_module
from dora.node.warm_up import warm_up
from dora.transport import pipes


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def mappings() -> list[str]:
    with open("/proc/self/maps") as file:
        return [line for line in file if "memfd:" in line]


def test_every_message_to_itself_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    take = warm_up_module.Input.take

    def note(source: Any) -> Any:
        taken.append(take(source))
        return taken[-1]

    monkeypatch.setattr(warm_up_module.Input, "take", note)
    warm_up()
    assert {event["value"].to_pylist() == [0] * 8 for event in taken} == {True}


def test_nothing_of_it_stays() -> None:
    gc.collect()
    files, maps = open_files(), mappings()
    gc.disable()
    try:
        warm_up()
        assert (open_files(), mappings()) == (files, maps)
    finally:
        gc.enable()


@pytest.mark.parametrize("fault", [OSError(24, "Too many open files"), ResourceError("no pipe")])
def test_a_machine_without_room_for_it_is_left_alone(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def refuse(_: int) -> Any:
        raise fault

    monkeypatch.setattr(pipes, "make_edge", refuse)
    files, maps = open_files(), mappings()
    warm_up()
    assert (open_files(), mappings()) == (files, maps)
