"""What waits while the machine has no descriptors, and in which order it is done."""

from __future__ import annotations

import pytest

from dora.errors import ResourceError
from dora.runner.arrears import Act, Arrears


class Machine:
    """Has descriptors or has none; notes what was done."""

    def __init__(self) -> None:
        self.has_descriptors = True
        self.done: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.arrears = Arrears(lambda text, node: self.told.append((text, node)))

    def act(self, name: str) -> Act:
        def act() -> None:
            if not self.has_descriptors:
                raise ResourceError("cannot make a pipe")
            self.done.append(name)

        return act

    def note(self, name: str) -> Act:
        return lambda: self.done.append(name)


@pytest.fixture
def machine() -> Machine:
    """One that has no descriptors, of which node `a` was owed one edge."""
    machine = Machine()
    machine.arrears.do("a", machine.act("before"))
    machine.has_descriptors = False
    machine.arrears.do("a", machine.act("edge"), machine.note("edge undone"))
    return machine


def test_what_cannot_be_done_is_done_later_and_what_follows_stays_behind_it(machine: Machine) -> None:
    machine.arrears.do("a", machine.note("verdict"))
    machine.arrears.do("b", machine.note("of another"))
    machine.arrears.try_again()
    assert machine.done == ["before", "of another"]
    machine.has_descriptors = True
    machine.arrears.try_again()
    assert machine.done == ["before", "of another", "edge", "verdict"]
    assert not machine.arrears


def test_the_want_is_told_once_until_nothing_is_owed_any_more(machine: Machine) -> None:
    machine.arrears.do("b", machine.act("other edge"))
    text = "cannot make a pipe: new connections of running nodes wait until it can be done"
    assert machine.told == [(text, "a")]
    machine.has_descriptors = True
    machine.arrears.try_again()
    machine.has_descriptors = False
    machine.arrears.do("b", machine.act("other edge"))
    assert [node for _, node in machine.told] == ["a", "b"]


def test_what_is_owed_to_a_node_that_has_ended_is_undone(machine: Machine) -> None:
    machine.arrears.do("a", machine.note("verdict"))
    machine.arrears.forget("a")
    machine.has_descriptors = True
    machine.arrears.try_again()
    assert machine.done == ["before", "edge undone"]
    assert not machine.arrears.is_behind("a")


def test_what_follows_is_not_done_when_the_run_of_the_node_ends_meanwhile(machine: Machine) -> None:
    machine.arrears.do("a", lambda: machine.arrears.forget("a"))
    machine.arrears.do("a", machine.act("later edge"), machine.note("later edge undone"))
    machine.has_descriptors = True
    machine.arrears.try_again()
    assert machine.done == ["before", "edge", "later edge undone"]
    assert not machine.arrears
