"""What processes say to each other on sockets: nodes to the runner, the runner to nodes, runner and minder."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dora.dataflow.descriptor import Dataflow, Input, Node, OutputSource
from dora.messages import node_runner as m
from dora.runner import stimuli as s
from dora.runner.effects import Effect, Finish
from dora.runner.node_server import Identity, NodeServer
from dora.runner.processes import MinderGone, Processes, SpawnRequest
from dora.runner.reactor import Reactor
from dora.runner.runtime_dir import create_runtime_dir
from dora.runner.state.supervisor import Supervisor
from dora.runner.wiring import Parcel
from dora.transport import control
from fuzzing.choices import Choices
from node.fake_runner import FakeRunner

FROM_NODE: tuple[m.ToRunner, ...] = (
    m.Hello("a", "secret of a", 1, m.VERSION),
    m.Hello("b", "secret of b", 1, m.VERSION),
    m.Ready(),
    m.OutputsClosed(),
    m.PortsClosed(["a"], ["out"]),
    m.StopAll("enough"),
    *(m.ExtensionRequest(1, action, "space", "key", b"data") for action in (m.STORE, m.LOAD, m.TAKE, m.DROP, m.DRAIN)),
)
TO_NODE: tuple[m.ToNode, ...] = (
    m.Configure(m.VERSION),
    m.AddOutput("out", 1 << 20),
    m.AddOutputEdge(7, "out", "reader", "in", 1, 10, False, False),
    m.AddInputEdge(8, "in", "sender", "out", 1, 1 << 20),
    m.RemoveOutputEdge(7),
    m.Wired(),
    m.Start(1),
    m.EdgeVerdict(1, m.FAILED, "why", 1),
    m.Drained(),
    m.Deadlock("a -> b"),
    m.ExtensionReply(1),
)


def rules() -> Supervisor:
    """Those of a run of `a`, `b` (reads `a`) and `c` (reads `b`)."""
    nodes = [
        Node(
            name,
            "x.py",
            inputs={source: Input(source, OutputSource(source, "out")) for source in sources},
            outputs=("out",),
        )
        for name, sources in (("a", ""), ("b", "a"), ("c", "b"))
    ]
    return Supervisor(Dataflow(Path("/x/dataflow.yml"), Path("/x"), tuple(nodes)), grace_s=10.0, drains_timers=False)


class Place:
    """The runner's end with the rules behind it: nodes `a` and `c` behave, `b` is played by the target."""

    def __init__(self) -> None:
        self.path = os.path.join(tempfile.mkdtemp(prefix="dora-fuzz-"), "nodes.sock")
        self.reactor = Reactor()
        self.server = NodeServer(
            control.listen(self.path),
            {name: Identity(f"secret of {name}", slot) for slot, name in enumerate("abc")},
            self.reactor,
            tell=self.take,
            announce=lambda slot: None,
            warn=lambda text: None,
        )
        self.rules = rules()
        self.now_ns = 0
        self.last: list[Effect] = []
        self.told: list[s.Stimulus] = []

    def take(self, stimulus: s.Stimulus) -> None:
        self.told.append(stimulus)
        self.now_ns += 1_000_000
        self.last = self.rules.on(stimulus, self.now_ns)

    def begin(self) -> list[socket.socket]:
        """A new run, in which `a` and `c` are connected."""
        self.rules = rules()
        for stimulus in (s.Began(), *(s.NodeSpawned(name, 1) for name in "abc")):
            self.take(stimulus)
        return [self.connect(m.Hello(name, f"secret of {name}", 1, m.VERSION)) for name in "ac"]

    def connect(self, *said: m.ToRunner) -> socket.socket:
        link = control.connect(self.path)
        link.setblocking(False)
        for message in said:
            control.send(link, m.encode(message))
        self.turn()
        return link

    def turn(self) -> None:
        for _ in range(16):
            self.reactor.wait(0)


@cache
def place() -> Place:
    """One for the whole process."""
    return Place()


def from_node(data: bytes) -> None:
    """A node says anything: the runner hears the others as before, and the run comes to its end."""
    choices, here = Choices(data), place()
    good = here.begin()
    bad = here.connect(*[FROM_NODE[1]] if choices.below(4) else [])
    while not choices.is_over:
        with contextlib.suppress(OSError):
            control.send(bad, _said(choices, FROM_NODE), [0] * choices.below(3))
        here.turn()
    here.told.clear()
    control.send(good[0], m.encode(m.Ready()))
    here.turn()
    assert s.NodeReady("a") in here.told
    here.server.send("a", Parcel(m.Stop()))
    assert control.receive(good[0])[0] == m.encode(m.Stop())
    for link in (bad, *good):
        link.close()
    here.turn()
    for name in "bca":
        here.server.drop(name)
        here.take(s.ProcessExited(name, 1, None))
    assert any(isinstance(effect, Finish) for effect in here.last)


def _said(choices: Choices, known: tuple[Any, ...]) -> bytes:
    kind = choices.below(4)
    if kind == 0:
        return choices.bytes(200) or b"\xc1"
    good = m.encode(choices.one(known))
    return good if kind == 1 else choices.mutated(good) or b"\x90"


def to_node(data: bytes) -> None:
    """The runner says nonsense: the node loses its link at most, and ends like one whose runner is gone."""
    choices = Choices(data)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="dora-fuzz-") as folder:
        runner = FakeRunner(Path(folder), patch)
        patch.setattr(sys, "stderr", open(os.devnull, "w"))  # noqa: SIM115 - closed below
        feed = runner.feed("in")
        runner.output("out")
        opened = runner.node()
        feed.send(5)
        while not choices.is_over:
            with contextlib.suppress(OSError):
                control.send(runner.link, _said(choices, TO_NODE))
                runner.page.announce(0)
            opened.try_recv()
        for _ in range(20):
            opened.try_recv()
        runner.close()
        sys.stderr.close()


def to_minder(data: bytes) -> None:
    """Somebody says nonsense to the minder: it goes on or ends, and then what it had started is gone, too."""
    choices = Choices(data)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="dora-fuzz-") as home:
        patch.setenv("DORA_HOME", home)
        with Processes.start(create_runtime_dir()) as processes, open(os.devnull, "wb") as null:
            out = null.fileno()
            processes.spawn(SpawnRequest("node", ("sleep", "1000"), {"PATH": os.environ["PATH"]}, home, out, out))
            link = socket.socket(fileno=os.dup(processes.fileno()))
            with link:
                for _ in range(1 + choices.below(5)):
                    with contextlib.suppress(OSError):
                        link.send(_request(choices))
        assert not os.path.exists(f"/proc/{processes.minder_pid}")
        assert not os.listdir(home)


def _request(choices: Choices) -> bytes:
    requests: tuple[Any, ...] = (
        ("signal", "node", int(signal.SIGCONT) * choices.below(2)),
        ("kill", "nobody"),
        ("spawn", "x", ["true"], {}, "/"),
        ("memfd", choices.word(32)),
        (choices.word(16),),
        choices.word(16),
        (),
    )
    good = marshal.dumps(choices.one(requests))
    return (good if choices.below(2) else choices.bytes(60)) or b"x"


def from_minder(data: bytes) -> None:
    """The minder says nonsense: that is its end for the runner, told once."""
    choices = Choices(data)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        processes = Processes(ours, 0, "", frozenset())
        theirs.send(marshal.dumps(("spawned", "a", 5)))
        good = marshal.dumps(("exited", "a", 5, 0, None))
        theirs.send(choices.one((choices.mutated(good), choices.bytes(100))) or b"\xff")
        found = processes.reports()
        assert found[0] == ("a", 5)
        theirs.close()
        found += processes.reports()
        assert sum(isinstance(report, MinderGone) for report in found) == 1
