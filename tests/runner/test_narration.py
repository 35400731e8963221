"""Who is waited for, as the progress display is told."""

from __future__ import annotations

from pathlib import Path

from dora.dataflow.descriptor import Dataflow, Node
from dora.runner import stimuli as s
from dora.runner.narration import Narrator
from dora.runner.progress import Progress
from dora.runner.state.supervisor import Supervisor


class Screen:
    """A terminal that shows one line."""

    def __init__(self) -> None:
        self.line: str | None = None

    def status(self, text: str | None) -> None:
        self.line = text

    def note(self, text: str) -> None:
        raise AssertionError(text)


class Show:
    """A run whose every second is shown."""

    def __init__(self) -> None:
        nodes = tuple(Node(name, f"{name}.py", outputs=("out",)) for name in ("a", "b"))
        self.supervisor = Supervisor(Dataflow(Path("/x/dataflow.yml"), Path("/x"), nodes))
        self.screen = Screen()
        self.progress = Progress(self.screen, is_live=True)
        self.narrator = Narrator(self.progress, self.supervisor, 0.0)
        self.now_s = 0.0

    def tell(self, stimulus: s.Stimulus) -> str | None:
        self.now_s += 1.0
        self.supervisor.on(stimulus, int(self.now_s * 1e9))
        self.narrator.follow(getattr(stimulus, "node", None), self.now_s)
        self.progress.tick(self.now_s)
        return self.screen.line


def test_a_start_names_who_is_not_ready_and_why() -> None:
    show = Show()
    assert show.tell(s.Began()) == "starting: waiting for a (not started), b (not started)"
    assert show.tell(s.NodeSpawned("a", 1)) == "starting: waiting for a (importing, 0 s), b (not started)"
    assert show.tell(s.NodeSpawned("b", 2)) == "starting: waiting for a (importing, 1 s), b (importing, 0 s)"
    assert show.tell(s.NodeSaidHello("a")) == "starting: waiting for a (connecting, 0 s), b (importing, 1 s)"
    assert show.tell(s.NodeReady("a")) == "starting: waiting for b (importing, 2 s)"


def test_nothing_is_shown_while_the_dataflow_runs() -> None:
    show = Show()
    for node in ("a", "b"):
        for stimulus in (s.Began(), s.NodeSpawned(node, 1), s.NodeSaidHello(node), s.NodeReady(node)):
            show.tell(stimulus)
    assert show.screen.line is None


def test_a_stop_names_who_has_not_ended() -> None:
    show = Show()
    show.tell(s.Began())
    show.tell(s.StopRequested("Ctrl-C"))
    assert show.tell(s.TimePassed()) == "stopping: waiting for a (1 s), b (1 s); Ctrl-C kills at once"
    assert show.tell(s.ProcessExited("a", 0, None)) == "stopping: waiting for b (2 s); Ctrl-C kills at once"
