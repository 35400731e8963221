"""Changes of the running graph that are asked for on the admin socket: the questions before, then the stimulus.

Strategy: whatever can be wrong is found here, before anything is changed: the wish itself (`dataflow/live_node.py`,
`live_wires.py`), a program that is not there, descriptors that are not left, a node that is just ending.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from dora.dataflow.descriptor import Input, OutputSource
from dora.dataflow.live_node import LiveNode, read_live_node
from dora.dataflow.live_wires import INPUT, NODE, OUTPUT, Wired, WireFault, Wish, connect, disconnect
from dora.errors import DescriptorError, ResourceError
from dora.messages import runner_daemon as messages
from dora.runner import stimuli as s
from dora.runner.admin import Refusal, Visitor, unknown_node
from dora.runner.launch import Launcher
from dora.runner.state.node_life import NodeLife, Phase
from dora.runner.state.supervisor import Supervisor
from dora.runner.state.topology import Topology
from dora.transport import pipes
from dora.transport.control import close_all

_MOST_NODES: Final = 10_000
_SPARE_DESCRIPTORS: Final = 16
_CODES: Final[Mapping[str, str]] = {
    NODE: messages.UNKNOWN_NODE,
    OUTPUT: messages.UNKNOWN_OUTPUT,
    INPUT: messages.UNKNOWN_INPUT,
}


class GraphDesk:
    """What may be asked about the graph of one run.

    Args:
        tell: passes a stimulus to the rules.

    Attributes:
        topology: the graph.
        requests: as in `admin.Desk`.
    """

    def __init__(self, supervisor: Supervisor, launcher: Launcher, *, tell: Callable[[s.Stimulus], None]) -> None:
        self.topology: Final[Topology] = supervisor.topology
        self._supervisor = supervisor
        self._launcher = launcher
        self._tell = tell
        self.requests: Final[dict[type, Callable[[Any, Visitor], None]]] = {
            messages.AddNode: self._add,
            messages.RemoveNode: self._remove,
            messages.ReplaceNode: self._replace,
            messages.Connect: self._connect,
            messages.Disconnect: self._disconnect,
        }

    def _add(self, request: messages.AddNode, visitor: Visitor) -> None:
        self._check_state("added")
        if len(self.topology.dataflow.nodes) >= _MOST_NODES:
            raise Refusal(messages.NOT_POSSIBLE, f"the dataflow has {_MOST_NODES} nodes, more cannot be")
        live = self._read(request.text, request.file, None)
        name = str(live.stated.node.id)
        for port in live.stated.node.inputs.values():
            if isinstance(port.source, OutputSource) and port.source.node != name:
                self._check_stays(self.life(port.source.node))
        visitor.say(messages.GraphChanged(name, list(live.warnings)))
        self._tell(s.NodeAdded(live.stated))

    def _remove(self, request: messages.RemoveNode, visitor: Visitor) -> None:
        life = self.life(request.node)
        readers = [
            f"{route.reader}/{route.input}"
            for route in self.topology.routes
            if route.source == life.id and route.reader != life.id
        ]
        notes = [f"inputs that are closed by that: {', '.join(readers)}"] if readers else []
        visitor.say(messages.GraphChanged(life.id, notes))
        self._tell(s.NodeRemovalRequested(life.id, wait_s(request.grace_s), request.is_forced))

    def _replace(self, request: messages.ReplaceNode, visitor: Visitor) -> None:
        self._check_state("replaced")
        life = self.life(request.node)
        self._check_stays(life)
        if life.phase is Phase.FOREIGN:
            text = f"node `{life.id}` is dynamic: who started it must start another program in its place"
            raise Refusal(messages.NOT_POSSIBLE, text)
        if life.phase is Phase.ENDED:
            text = (
                f"node `{life.id}` has ended and its outputs are closed; `dora node remove` it, then `add` the new one"
            )
            raise Refusal(messages.NOT_POSSIBLE, text)
        live = self._read(request.text, request.file, life.id)
        if live.stated.node.is_dynamic:
            raise Refusal(messages.NOT_POSSIBLE, f"a dynamic node cannot take the place of `{life.id}`; add it beside")
        self._check_ports(life, live)
        visitor.say(messages.GraphChanged(life.id, list(live.warnings)))
        self._tell(s.NodeReplaceRequested(life.id, live.stated, wait_s(request.grace_s)))

    def _connect(self, request: messages.Connect, visitor: Visitor) -> None:
        self._check_state("connected")
        wish = Wish(request.source, request.target, request.is_instead, request.queue_size, request.queue_policy)
        wired = self._granted(lambda: connect(self.topology.dataflow, wish))
        reader = self.life(wired.reader.id)
        self._check_stays(reader)
        if reader.phase is Phase.ENDED:
            raise Refusal(messages.NOT_POSSIBLE, f"node `{reader.id}` has ended: nothing can be connected to it")
        if self._supervisor.is_input_gone(reader.id, wired.input):
            text = f"input `{wired.input}` of node `{reader.id}` is closed: its operator, or the node's work, has ended"
            raise Refusal(messages.NOT_POSSIBLE, text)
        if isinstance(wired.source, OutputSource):
            sender = self.life(wired.source.node)
            self._check_stays(sender)
            if sender.phase is Phase.ENDED:
                raise Refusal(messages.NOT_POSSIBLE, f"node `{sender.id}` has ended: it sends nothing any more")
        self._check_descriptors()
        self._check_queue(wired)
        self._rewire(wired, visitor)

    def _disconnect(self, request: messages.Disconnect, visitor: Visitor) -> None:
        wired = self._granted(lambda: disconnect(self.topology.dataflow, request.source, request.target))
        self._check_stays(self.life(wired.reader.id))
        self._rewire(wired, visitor)

    def _rewire(self, wired: Wired, visitor: Visitor) -> None:
        visitor.say(messages.GraphChanged(wired.reader.id, list(wired.notes)))
        self._tell(s.Rewired(wired.dataflow))

    # -- questions

    def life(self, node: str) -> NodeLife:
        """The node of that name, or raises `Refusal`."""
        life = self._supervisor.lives.get(node)
        if life is None:
            raise unknown_node(node, self._supervisor.lives)
        return life

    def _check_state(self, what: str) -> None:
        if self._supervisor.is_stopping:
            raise Refusal(messages.NOT_POSSIBLE, f"the dataflow is being stopped: nothing can be {what} any more")

    def _check_stays(self, life: NodeLife) -> None:
        if life.is_removal_asked:
            raise Refusal(messages.NOT_POSSIBLE, f"node `{life.id}` is just being removed")
        if life.successor is not None:
            raise Refusal(messages.NOT_POSSIBLE, f"node `{life.id}` is just being replaced; try again in a moment")

    def _read(self, text: str, file: str, replaces: str | None) -> LiveNode:
        """The node, with a program that is there and may be started."""
        environ = self._launcher.environ
        try:
            live = read_live_node(text, file, self.topology.dataflow, environ=environ, replaces=replaces)
            self._check_descriptors()
            for port in live.stated.node.inputs.values():
                _try_queue(port)
            self._launcher.prepare(live.stated.node)
        except DescriptorError as error:
            verb = "added" if replaces is None else "put there"
            raise Refusal(messages.WRONG_NODE, "\n".join([f"the node cannot be {verb}", *error.problems])) from None
        return live

    def _granted(self, ask: Callable[[], Wired]) -> Wired:
        try:
            return ask()
        except WireFault as fault:
            raise Refusal(_CODES.get(fault.about, messages.NOT_POSSIBLE), str(fault)) from None

    def _check_ports(self, life: NodeLife, live: LiveNode) -> None:
        """What others rely on must stay: outputs that are read, and inputs that are connected."""
        node = live.stated.node
        missing = [
            f"output `{route.output}`, which `{route.reader}/{route.input}` reads"
            for route in self.topology.routes
            if route.source == life.id and route.reader != life.id and route.output not in node.outputs
        ]
        missing += [f"input `{port}`, which is connected" for port in life.plan.inputs if port not in node.inputs]
        if missing:
            text = f"{live.stated.node.file}: a node in the place of `{life.id}` must have {', and '.join(missing)}"
            raise Refusal(messages.WRONG_NODE, f"{text}; add it, or `dora node disconnect` it first")

    def _check_queue(self, wired: Wired) -> None:
        node = next(node for node in wired.dataflow.nodes if node.id == wired.reader.id)
        _try_queue(node.inputs[wired.input])

    def _check_descriptors(self) -> None:
        """Edges need some here for a moment; who has none must not find out in the middle of the change."""
        probes: list[int] = []
        try:
            for _ in range(_SPARE_DESCRIPTORS):
                probes.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            text = f"the runner of the dataflow is out of descriptors ({error.strerror}): raise `ulimit -n`"
            raise Refusal(messages.NOT_POSSIBLE, text) from None
        finally:
            close_all(probes)


def _try_queue(port: Input) -> None:
    """Make its pipes and close them again: the machine may refuse queues that deep."""
    try:
        fds = pipes.make_edge(port.queue_size)
    except ResourceError as error:
        raise Refusal(messages.NOT_POSSIBLE, f"input `{port.id}`: {error}") from None
    close_all(fds)


def wait_s(stated: float) -> float:
    """A number that a stranger sent, made one that can be a wait."""
    return min(max(0.0, stated), 1e6) if stated == stated else 0.0
