"""What the tests of the rules share: small dataflows, and a supervisor with its clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dora.dataflow.descriptor import Dataflow, Input, Node, OutputSource, RestartPolicy, TimerSource
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.outcomes import (
    Ending,
)
from dora.runner.state.supervisor import Supervisor

SECOND_NS = 1_000_000_000
TIMER = TimerSource(100_000_000, "dora/timer/millis/100")


def node(name: str, *sources: str, outputs: bool = True) -> Node:
    """A node with an output `out` and an input per source, named like it; "timer" is a timer."""
    ports = {source: Input(source, TIMER if source == "timer" else OutputSource(source, "out")) for source in sources}
    return Node(name, f"{name}.py", inputs=ports, outputs=("out",) if outputs else ())


A, B = node("a"), node("b", "a", outputs=False)
AGAIN = A._replace(restart=RestartPolicy("on-failure", max_restarts=2, delay_s=0.2))
LONE = Node("lone", "lone")
DYNAMIC = Node("d", "dynamic", outputs=("out",))


class Play:
    """A supervisor, its clock, and all that it wanted."""

    def __init__(self, *nodes: Node, grace_s: float = 10.0, drains_timers: bool = False) -> None:
        dataflow = Dataflow(Path("/x/dataflow.yml"), Path("/x"), nodes)
        self.supervisor = Supervisor(dataflow, grace_s=grace_s, drains_timers=drains_timers)
        self.now_s = 100.0
        self.last: list[e.Effect] = []

    def tell(self, *stimuli: s.Stimulus, after_s: float = 0.0) -> list[e.Effect]:
        self.now_s += after_s
        self.last = []
        for stimulus in stimuli:
            self.last += self.supervisor.on(stimulus, round(self.now_s * 1000) * 1_000_000)
        return [effect for effect in self.last if not isinstance(effect, e.Note)]

    def notes(self) -> str:
        return "\n".join(effect.text for effect in self.last if isinstance(effect, e.Note))

    def spawn(self) -> list[e.Effect]:
        effects = self.tell(s.Began())
        names = [effect.node for effect in effects if isinstance(effect, e.SpawnNode)]
        self.tell(*[s.NodeSpawned(name, 1000 + index) for index, name in enumerate(names)])
        return effects

    def connect(self, *names: str) -> list[e.Effect]:
        return self.tell(*[told for name in names for told in (s.NodeSaidHello(name), s.NodeReady(name))])

    def run(self, *names: str) -> None:
        """Spawn all, connect these."""
        self.spawn()
        self.connect(*names)

    def exit(self, name: str, code: int | None = 0, signum: int | None = None, after_s: float = 0.0) -> list[e.Effect]:
        return self.tell(s.ProcessExited(name, code, signum), after_s=after_s)

    def pass_time(self, seconds: float) -> list[e.Effect]:
        return self.tell(s.TimePassed(), after_s=seconds)

    def ending(self, name: str) -> tuple[Ending, bool]:
        outcome = self.supervisor.lives[name].outcome
        assert outcome is not None
        return outcome.ending, outcome.is_failure


def kinds(effects: Sequence[e.Effect]) -> list[tuple[str, str]]:
    return [(type(effect).__name__, getattr(effect, "node", "")) for effect in effects]


def only(kind: type, effects: Sequence[e.Effect]) -> list[e.Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def verdicts(effects: Sequence[e.Effect]) -> list[tuple[str, str]]:
    return [(effect.verdict, effect.error) for effect in effects if isinstance(effect, e.SendVerdict)]
