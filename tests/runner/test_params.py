"""What a runner answers about parameters: while it runs, while it builds, and when it must refuse."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dora.messages import runner_daemon as messages
from dora.runner.admin import Refusal, unknown_node
from dora.runner.building_desk import BuildingDesk
from dora.runner.params import MAX_UNREAD, ParamDesk
from dora.runner.roster import RunIdentity
from dora.runner.state.params import ParamBook
from dora.runs.framing import RunnerRefused
from dora.runs.link import RunnerLink
from dora.transport import control


class Hearer:
    """A visitor who remembers the answers."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def say(self, message: Any) -> None:
        self.heard.append(message)


class Office:
    """A desk whose nodes are `a` and `b`, and which changes its book at once."""

    def __init__(self) -> None:
        self.book = ParamBook()
        self.unread = 0
        self.desk = ParamDesk(self.book, check_node=self._check, change=self.book.set, unread=lambda node: self.unread)

    def _check(self, node: str) -> None:
        if node not in ("a", "b"):
            raise unknown_node(node, ("a", "b"))

    def ask(self, request: Any) -> Any:
        visitor = Hearer()
        self.desk.requests[type(request)](request, visitor)  # type: ignore[arg-type]
        return visitor.heard


@pytest.fixture
def office() -> Office:
    return Office()


def test_what_is_set_can_be_asked_for_until_it_is_deleted(office: Office) -> None:
    assert office.ask(messages.SetParam("a", "x", "1")) == [messages.Done()]
    assert office.ask(messages.SetParam("b", "y", '"z"')) == [messages.Done()]
    assert office.ask(messages.GetParams("a")) == [messages.Params({"a": {"x": "1"}})]
    assert office.ask(messages.GetParams()) == [messages.Params({"a": {"x": "1"}, "b": {"y": '"z"'}})]
    assert office.ask(messages.DeleteParam("a", "x")) == [messages.Done()]
    assert office.ask(messages.GetParams("a")) == [messages.Params({})]


REFUSED = [
    (messages.GetParams("aa"), "there is no node `aa` (did you mean `a`? nodes: a, b)"),
    (messages.SetParam("c", "x", "1"), "there is no node `c` (nodes: a, b)"),
    (messages.DeleteParam("c", "x"), "there is no node `c` (nodes: a, b)"),
    (messages.SetParam("a", "", "1"), "the key of a parameter must not be empty"),
    (messages.SetParam("a", "x", "fast"), "`fast` is not valid JSON: it ends too early"),
]


@pytest.mark.parametrize(("request_", "text"), REFUSED)
def test_nonsense_is_refused_and_changes_nothing(office: Office, request_: Any, text: str) -> None:
    with pytest.raises(Refusal) as caught:
        office.ask(request_)
    assert str(caught.value) == text
    assert office.book.all() == {}


def test_changes_do_not_pile_up_for_a_node_that_never_looks(office: Office) -> None:
    office.unread = MAX_UNREAD
    with pytest.raises(Refusal, match="node `a` has not looked at its last changes"):
        office.ask(messages.SetParam("a", "x", "1"))


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with control.listen(str(tmp_path / "admin.sock")) as listener:
        yield listener


def test_what_is_set_while_nodes_are_built_is_kept_for_the_run(tmp_path: Path, listener: socket.socket) -> None:
    book = ParamBook()
    identity = RunIdentity("id", "/x/dataflow.yml")
    with BuildingDesk(identity, listener, ["a"], book), RunnerLink.open(str(tmp_path / "admin.sock")) as link:
        link.ask(messages.SetParam("a", "x", "1"), messages.Done)
        assert link.ask(messages.GetParams("a"), messages.Params).nodes == {"a": {"x": "1"}}
        with pytest.raises(RunnerRefused, match="there is no node `b`"):
            link.ask(messages.SetParam("b", "x", "1"), messages.Done)
    assert book.all() == {"a": {"x": "1"}}
