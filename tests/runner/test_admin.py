"""The admin socket: visitors of all kinds, and a loop that none of them can stop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dora.errors import ConnectionLost
from dora.messages import runner_daemon as messages
from dora.runner.admin import MAX_STRANGERS, AdminServer, Refusal, Visitor
from dora.runner.reactor import Reactor
from dora.runs.framing import HELLO, Arrived, unpack
from dora.transport import control

RUN = messages.Described("id", "n", "/f.yml", "run", "running", 1, 2, "1.2.0")


class FakeDesk:
    """Describes, refuses to stop, and remembers who left."""

    def __init__(self) -> None:
        self.described = RUN
        self.left: list[Visitor] = []
        self.requests: Mapping[type, Callable[[Any, Visitor], None]] = {
            messages.Describe: lambda _, visitor: visitor.say(self.described),
            messages.Stop: self._stop,
        }

    def forget(self, visitor: Visitor) -> None:
        self.left.append(visitor)

    def _stop(self, _: messages.Stop, visitor: Visitor) -> None:
        raise Refusal(messages.NOT_POSSIBLE, "no")


class Place:
    """A server with its loop, and ways to visit it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.desk = FakeDesk()
        self.reactor = Reactor()
        self.listener = control.listen(path)
        self.server = AdminServer(self.listener, self.reactor, self.desk, version="1.2.0")

    def connect(self) -> socket.socket:
        connection = control.connect(self.path)
        connection.setblocking(False)
        self.reactor.wait(0)
        return connection

    def visit(self) -> socket.socket:
        connection = self.connect()
        connection.send(HELLO)
        self.reactor.wait(0)
        assert isinstance(hear(connection), messages.Welcome)
        return connection

    def ask(self, connection: socket.socket, *requests: messages.Request) -> None:
        for request in requests:
            connection.send(messages.encode(request))
        self.reactor.wait(0)


def arrived(connection: socket.socket) -> Arrived:
    payload, fds = control.receive(connection)
    if not payload:
        raise ConnectionLost("hung up")
    return unpack(payload, fds)


def hear(connection: socket.socket) -> messages.Reply:
    return arrived(connection).message


def is_hung_up(connection: socket.socket) -> bool:
    try:
        return control.receive(connection)[0] == b""
    except BlockingIOError:
        return False


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(str(tmp_path / "admin.sock"))
    yield place
    place.server.close()
    place.listener.close()
    place.reactor.close()


def test_a_request_is_answered_in_order(place: Place) -> None:
    with place.visit() as visitor:
        place.ask(visitor, messages.Describe(), messages.Stop("x"), messages.Describe())
        said = [hear(visitor) for _ in range(3)]
    assert said == [RUN, messages.Refused(messages.NOT_POSSIBLE, "no"), RUN]


def test_a_request_may_follow_the_hello_at_once(place: Place) -> None:
    with place.connect() as visitor:
        visitor.send(HELLO)
        place.ask(visitor, messages.Describe())
        place.reactor.wait(0)
        assert [type(hear(visitor)) for _ in range(2)] == [messages.Welcome, messages.Described]


def test_a_request_that_the_desk_does_not_know_is_refused(place: Place) -> None:
    with place.visit() as visitor:
        place.ask(visitor, messages.GetCounters())
        assert hear(visitor) == messages.Refused(messages.NOT_POSSIBLE, "GetCounters is not possible now")


def test_another_version_is_told_both_versions(place: Place) -> None:
    with place.connect() as visitor:
        place.ask(visitor, messages.Hello(99, "9.9.9"))
        refused = hear(visitor)
        assert isinstance(refused, messages.Refused)
        assert refused.code == messages.WRONG_VERSION
        ours = f"dora 1.2.0 (link version {messages.VERSION})"
        assert f"{ours}, this is dora 9.9.9 (link version 99)" in refused.message
        assert is_hung_up(visitor)


GARBAGE = [b"\x00", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 4, messages.encode(messages.Describe())]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_stranger_who_does_not_say_hello_is_hung_up_on(place: Place, garbage: bytes) -> None:
    with place.connect() as stranger:
        stranger.send(garbage)
        place.reactor.wait(0)
        refused = hear(stranger)
        assert isinstance(refused, messages.Refused)
        assert refused.code == messages.NOT_UNDERSTOOD
        assert is_hung_up(stranger)


def test_descriptors_sent_by_a_stranger_are_closed(place: Place) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with place.connect() as stranger:
        read_end, write_end = os.pipe()
        control.send(stranger, HELLO, [read_end, write_end])
        os.close(read_end)
        os.close(write_end)
        place.reactor.wait(0)
        assert len(os.listdir("/proc/self/fd")) == before + 2  # the two ends of the connection


def test_of_many_who_say_nothing_the_oldest_is_hung_up_on(place: Place) -> None:
    silent = [place.connect() for _ in range(MAX_STRANGERS + 1)]
    assert [is_hung_up(stranger) for stranger in silent] == [True] + [False] * MAX_STRANGERS
    with place.visit() as visitor:
        place.ask(visitor, messages.Describe())
        assert hear(visitor) == RUN
    for stranger in silent:
        stranger.close()


def test_who_never_reads_is_hung_up_on_and_others_are_answered(place: Place) -> None:
    with place.visit() as slow, place.visit() as other:
        while not place.desk.left:
            place.ask(slow, *[messages.Describe()] * 4)
            assert len(place.desk.left) <= 1
        assert place.desk.left[0].socket.fileno() == -1
        place.ask(other, messages.Describe())
        assert hear(other) == RUN


def test_an_answer_that_did_not_fit_arrives_later(place: Place) -> None:
    place.desk.described = messages.Described("i" * 60_000, "n", "/f.yml", "run", "running", 1, 2, "1.2.0")
    with place.visit() as visitor:
        place.ask(visitor, *[messages.Describe()] * 12)
        heard = 0
        while heard < 12:
            assert hear(visitor) == place.desk.described
            place.reactor.wait(0)
            heard += 1


def test_a_long_answer_travels_in_a_memfd(place: Place) -> None:
    place.desk.described = messages.Described("i" * 300_000, "n", "/f.yml", "run", "running", 1, 2, "1.2.0")
    with place.visit() as visitor:
        place.ask(visitor, messages.Describe())
        message, fds = arrived(visitor)
    assert message == place.desk.described
    assert fds == []


def test_what_was_said_before_the_end_can_still_be_read(place: Place) -> None:
    with place.visit() as visitor:
        place.ask(visitor, messages.Describe())
        place.server.close()
        assert hear(visitor) == RUN
        assert is_hung_up(visitor)
