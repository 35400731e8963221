"""The runner's end of the nodes' links, with nodes that speak by hand."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dora.messages import node_runner as messages
from dora.runner import stimuli as s
from dora.runner.node_server import Identity, NodeServer
from dora.runner.reactor import Reactor
from dora.runner.wiring import Parcel
from dora.transport import control


class Place:
    """A server on a socket of its own, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "nodes.sock")
        self.reactor = Reactor()
        self.told: list[s.Stimulus] = []
        self.announced: list[int] = []
        self.warned: list[str] = []
        self.server = NodeServer(
            control.listen(self.path),
            {"a": Identity("secret", 4), "b": Identity("other", 5)},
            self.reactor,
            tell=self.told.append,
            announce=self.announced.append,
            warn=self.warned.append,
        )
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        client = control.connect(self.path)
        self.clients.append(client)
        return client

    def hello(
        self, node: str = "a", token: str = "secret", pid: int = 42, version: int = messages.VERSION
    ) -> socket.socket:
        client = self.connect()
        control.send(client, messages.encode(messages.Hello(node, token, pid, version)))
        self.turn()
        return client

    def turn(self) -> None:
        """Let the server do all there is to do."""
        for _ in range(4):
            self.reactor.wait(0.0)

    def close(self) -> None:
        self.server.close()
        self.reactor.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server after which no descriptor may be left."""
    before = len(os.listdir("/proc/self/fd"))
    place = Place(tmp_path)
    yield place
    place.close()
    assert len(os.listdir("/proc/self/fd")) == before


def answer(client: socket.socket) -> messages.ToNode:
    client.settimeout(5.0)
    payload, fds = control.receive(client)
    for fd in fds:
        os.close(fd)
    return messages.decode_to_node(payload)


def test_what_a_node_says_is_told_in_order(place: Place) -> None:
    client = place.hello()
    for message in (messages.Ready(), messages.OutputsClosed()):
        control.send(client, messages.encode(message))
    client.close()
    place.turn()
    assert place.told == [s.NodeSaidHello("a"), s.NodeReady("a"), s.OutputsClosed("a"), s.LinkLost("a")]


def test_what_the_process_of_operators_says_is_told(place: Place) -> None:
    client = place.hello()
    for message in (messages.PortsClosed(["x/in"], ["x/out"]), messages.StopAll("operator `x` returned STOP_ALL")):
        control.send(client, messages.encode(message))
    place.turn()
    assert place.told[1:] == [
        s.PortsClosed("a", ("x/in",), ("x/out",)),
        s.StopRequested("operator `x` returned STOP_ALL in node `a`", is_insistent=False),
    ]


@pytest.mark.parametrize(("node", "token"), [("a", "wrong"), ("a", "other"), ("nobody", "secret")])
def test_a_stranger_is_turned_away_with_a_reason(place: Place, node: str, token: str) -> None:
    refusal = answer(place.hello(node, token))
    assert isinstance(refusal, messages.StartFailed)
    assert "DORA_NODE_CONFIG" in refusal.reason
    assert place.told == []


def test_another_version_of_the_link_is_refused_naming_both(place: Place) -> None:
    refusal = answer(place.hello(version=99))
    assert isinstance(refusal, messages.StartFailed)
    assert f"version 99 of the link to its runner, the runner speaks {messages.VERSION}" in refusal.reason


def test_a_second_process_of_the_same_node_is_refused_naming_the_first(place: Place) -> None:
    place.hello(pid=42)
    refusal = answer(place.hello(pid=43))
    assert refusal == messages.StartFailed("node `a` is already open in the process with PID 42")
    assert place.told == [s.NodeSaidHello("a")]


def test_a_node_that_closed_its_link_may_open_it_again_at_once(place: Place) -> None:
    first = place.hello()
    for message in [messages.Ready()] * 3 + [messages.OutputsClosed()]:  # its end is not read before the next hello is
        control.send(first, messages.encode(message))
    first.close()
    place.hello()
    assert place.told[4:] == [s.OutputsClosed("a"), s.LinkLost("a"), s.NodeSaidHello("a")]


@pytest.mark.parametrize("payload", [b"garbage", b"\x00", messages.encode(messages.Ready()), b"x" * 60_000])
def test_nonsense_ends_that_link_only(place: Place, payload: bytes) -> None:
    good = place.hello("b", "other")
    bad = place.connect()
    control.send(bad, payload)
    place.turn()
    bad.settimeout(5.0)
    assert control.receive(bad) == (b"", [])
    place.server.send("b", Parcel(messages.Stop()))
    assert answer(good) == messages.Stop()


def test_a_message_arrives_with_its_descriptors_and_is_announced(place: Place) -> None:
    client = place.hello()
    lent, owned = os.memfd_create("lent"), os.memfd_create("owned")
    place.server.send("a", Parcel(messages.Configure(1), owned=(owned,), lent=(lent,)))
    payload, fds = control.receive(client)
    assert messages.decode_to_node(payload) == messages.Configure(1)
    assert [os.readlink(f"/proc/self/fd/{fd}").split(":")[1] for fd in fds] == ["owned (deleted)", "lent (deleted)"]
    for fd in (*fds, lent):
        os.close(fd)
    assert place.announced == [4]


def test_messages_to_a_node_that_does_not_read_wait_in_order(place: Place) -> None:
    client = place.hello()
    cycles = [f"{number}" * 10_000 for number in range(100)]
    for cycle in cycles:
        place.server.send("a", Parcel(messages.Deadlock(cycle), owned=(os.memfd_create("x"),)))
    place.turn()
    for cycle in cycles:
        assert answer(client) == messages.Deadlock(cycle)
        place.turn()


def test_a_message_to_a_node_that_is_gone_is_forgotten(place: Place) -> None:
    place.server.send("a", Parcel(messages.Configure(1), owned=(os.memfd_create("x"),)))
    assert place.announced == []


def test_all_that_a_node_said_is_taken_before_its_exit_is_believed(place: Place) -> None:
    client = place.connect()
    control.send(client, messages.encode(messages.Hello("a", "secret", 42, messages.VERSION)))
    control.send(client, messages.encode(messages.Ready()))
    client.close()
    place.server.drain("a")
    assert place.told == [s.NodeSaidHello("a"), s.NodeReady("a"), s.LinkLost("a")]


def test_a_dropped_link_is_not_reported_as_lost(place: Place) -> None:
    client = place.hello()
    place.server.drop("a")
    place.turn()
    assert control.receive(client) == (b"", [])
    assert place.told == [s.NodeSaidHello("a")]


def test_nodes_that_come_when_there_are_no_descriptors_are_told_so_and_the_user_once(
    place: Place, few: Callable[[int | None], None]
) -> None:
    callers = [place.connect() for _ in range(2)]
    for caller in callers:
        control.send(caller, messages.encode(messages.Hello("a", "secret", 42, messages.VERSION)))
    few(0)
    place.turn()
    few(None)
    text = "dora cannot connect a node: Too many open files (limit: `ulimit -n` where dora was started)"
    assert [answer(caller) for caller in callers] == [messages.StartFailed(text)] * 2
    assert place.warned == [text]
    place.hello()
    assert place.told == [s.NodeSaidHello("a")]


@pytest.mark.parametrize("count", [0, 1])
def test_a_request_whose_descriptor_finds_no_room_is_refused_and_the_link_stays(
    place: Place, few: Callable[[int | None], None], count: int
) -> None:
    client = place.hello()
    value = os.memfd_create("value")
    control.send(client, messages.encode(messages.ExtensionRequest(1, messages.STORE, "ns", "key")), (value,))
    few(count)
    place.turn()
    few(None)
    os.close(value)
    reply = answer(client)
    assert isinstance(reply, messages.ExtensionReply)
    assert reply.error.startswith("out of file descriptors")
    assert place.told == [s.NodeSaidHello("a")]
