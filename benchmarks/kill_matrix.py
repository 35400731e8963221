"""Kills every kind of process in every phase: `python benchmarks/kill_matrix.py [--count N] [--kind K] [--phase P]`.

A source sends 40 MB messages to the victim and to a witness; the victim sends 40 MB messages to the witness.
The victim is a node, the process of an operator, a mere reader or a dynamic node; or it is the minder or the command
that is killed.  It happens while the victim imports, while it waits at the start barrier, in the middle of sending, in
the middle of receiving, or between STOP and its end.  Each repetition is a run of its own.

What counts as the time of a cell: of minder and command, and before the start, from the kill until every process is
gone (2 s); of a sender, until the witness has NODE_FAILED or INPUT_CLOSED (0.2 s); of a reader, how much later than
usual the witness has the next message of the source (0.2 s); behind a stop, until every process is gone (2 s); of a
dynamic node before the start, which nobody notices, from Ctrl-C until every process is gone (2 s).  After each one
nothing may be left: no process, nothing in /dev/shm, no runtime directory.  Exit code 1: something was left, wrong, or
too late.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from end_to_end.lineage import has_socket, minder_pid, wait_all_gone
from end_to_end.running import TOKEN, Flow, Run, is_alive, wait_until

GONE_S, TOLD_S = 2.0, 0.2
PATIENCE_S = 20.0
SOURCE = """
import time
import numpy as np
from dora import Node

data = np.zeros(40_000_000, dtype=np.uint8)
node = Node()
for event in node:
    if event["type"] == "STOP":
        break
    node.send_output("out", data)
"""
WITNESS = """
import json, time
from dora import Node

node = Node()
for event in node:
    if event["type"] == "STOP":
        break
    print(json.dumps([event["type"], event["id"], time.monotonic()]), flush=True)
"""
BEFORE = {
    "importing": 'import time\nprint("importing", flush=True)\ntime.sleep(1000)\n',
    "barrier": 'print("connecting", flush=True)\n',
}
VICTIM = """
import sys, time
import numpy as np
from dora import Node

data = np.zeros(40_000_000, dtype=np.uint8)
node = Node(*sys.argv[1:])
for event in node:
    if event["type"] == "STOP":
        if PHASE != "stopping":
            break
        print("stopping", flush=True)
        time.sleep(3)
        break
    if event["type"] == "INPUT":
        print("working", flush=True)
        for _ in range(SENDS):
            node.send_output("out", data)
"""
OPERATOR = """
import time
import numpy as np
from dora import DoraStatus

data = np.zeros(40_000_000, dtype=np.uint8)


class Operator:
    def on_event(self, event, send_output):
        if event["type"] == "STOP" and PHASE == "stopping":
            print("stopping", flush=True)
            time.sleep(3)
        if event["type"] == "INPUT":
            print("working", flush=True)
            for _ in range(SENDS):
                send_output("out", data.copy())
        return DoraStatus.CONTINUE
"""
PHASES = ("importing", "barrier", "sending", "receiving", "stopping")
KINDS = ("node", "operators", "reader", "dynamic", "minder", "command")
SIGNS = {"importing": "importing", "barrier": "connecting", "stopping": "stopping"}


class Scene(NamedTuple):
    """One repetition, until the kill.

    Attributes:
        pid: of what is to be killed.
        outside: the dynamic node, if there is one.
    """

    run: Run
    pid: int
    outside: subprocess.Popen[bytes] | None


def build(flow: Flow, kind: str, phase: str) -> None:
    """The graph, with a victim of that kind, in a state to come to that phase."""
    sends = 0 if kind == "reader" else {"sending": 1000, "receiving": 0}.get(phase, 1)
    settings = f"PHASE = {phase!r}\nSENDS = {sends}\n"
    code = settings + BEFORE.get(phase, "") + (OPERATOR if kind == "operators" else VICTIM)
    frames = {"source": "source/out", "queue_size": 2}
    flow.node("source", SOURCE, inputs={"tick": "dora/timer/millis/50"}, outputs=["out"])
    shown = "victim/op/out" if kind == "operators" else "victim/out"
    reads = {} if kind == "reader" else {"victim": {"source": shown, "queue_size": 2}}
    flow.node("witness", WITNESS, inputs={"source": frames, **reads})
    if kind == "operators":
        operator = flow.operator("op", code, inputs={"in": frames}, outputs=["out"])
        flow.runtime("victim", operator)
    elif kind == "dynamic":
        (flow.folder / "victim.py").write_text(code)
        flow.other_node("victim", "dynamic", inputs={"in": frames}, outputs=["out"])
    else:
        flow.node("victim", code, inputs={"in": frames}, outputs=[] if kind == "reader" else ["out"])
    if phase == "barrier":
        flow.node("late", "import time\ntime.sleep(1000)\nfrom dora import Node", inputs={"in": "source/out"})


def set_up(flow: Flow, kind: str, phase: str) -> Scene:
    """Start, and wait for a random moment of the phase."""
    build(flow, kind, phase)
    run = flow.start()
    outside = None
    path = flow.folder / "victim.txt"

    def said() -> str:
        return path.read_text() if outside is not None else "\n".join(run.said("victim"))

    if kind == "dynamic":
        run.wait_nodes("witness")
        if phase not in ("importing", "barrier"):
            run.wait_said("witness", "INPUT")
        command = [sys.executable, "-u", "victim.py", "victim"]
        env = flow.environment | {TOKEN: run._token}
        with path.open("wb") as output:
            outside = subprocess.Popen(command, cwd=flow.folder, env=env, stdout=output, stderr=output)
    if phase == "stopping":
        wait_until(lambda: "working" in said(), PATIENCE_S, "the victim at work")
        run.signal(signal.SIGINT)
    wait_until(lambda: SIGNS.get(phase, "working") in said(), PATIENCE_S, f"the victim in its phase {phase}")
    pid = outside.pid if outside is not None else run.wait_nodes("victim")["victim"]
    if phase == "barrier":
        wait_until(lambda: has_socket(pid), PATIENCE_S, "the victim's link")
    moment_s = time.monotonic() + random.random() * 0.1
    wait_until(lambda: time.monotonic() > moment_s)
    chosen = {"minder": lambda: minder_pid(run), "command": lambda: run.process.pid}.get(kind, lambda: pid)
    return Scene(run, chosen(), outside)


def witnessed(run: Run, wanted: Callable[[list[Any]], bool], since_s: float) -> float:
    """Seconds from then until the witness had such an event."""

    def found() -> float | None:
        events = (json.loads(line) for line in run.said("witness") if line.startswith("["))
        return next((event[2] for event in events if event[2] >= since_s and wanted(event)), None)

    return float(wait_until(found, PATIENCE_S, "what the witness must be told")) - since_s


def usual_interval_s(run: Run, until_s: float) -> float:
    """Between two messages of the source, before the kill."""
    events = (json.loads(line) for line in run.said("witness") if line.startswith("["))
    times = [event[2] for event in events if is_next_frame(event) and event[2] < until_s]
    return statistics.median(later - sooner for sooner, later in itertools.pairwise(times)) if len(times) > 1 else 0.0


def is_end_of_victim(event: list[Any]) -> bool:
    """The victim has failed, or its output is closed."""
    return event[0] == "NODE_FAILED" or event[:2] == ["INPUT_CLOSED", "victim"]


def is_next_frame(event: list[Any]) -> bool:
    """The source is heard."""
    return event[:2] == ["INPUT", "source"]


def perform(flow: Flow, kind: str, phase: str) -> tuple[float, float]:
    """One repetition: the seconds that count, and their limit."""
    scene = set_up(flow, kind, phase)
    run = scene.run
    try:
        began_s = time.monotonic()
        os.kill(scene.pid, signal.SIGKILL)
        if kind in ("minder", "command"):
            if scene.outside is not None:
                scene.outside.kill()
            return wait_all_gone(run, PATIENCE_S), GONE_S
        if scene.outside is not None:
            scene.outside.wait()
        if phase == "stopping" or (kind != "dynamic" and phase in ("importing", "barrier")):
            return wait_all_gone(run, PATIENCE_S), GONE_S
        if phase in ("importing", "barrier"):  # of a dynamic node: the others do not notice
            run.signal(signal.SIGINT)
            return wait_all_gone(run, PATIENCE_S), GONE_S
        told_s = witnessed(run, is_next_frame if kind == "reader" else is_end_of_victim, began_s)
        if kind == "reader":
            told_s = max(0.0, told_s - usual_interval_s(run, began_s))
        run.signal(signal.SIGINT)
        wait_all_gone(run, PATIENCE_S)
        return told_s, TOLD_S
    finally:
        if scene.outside is not None and is_alive(scene.outside.pid):
            scene.outside.kill()
            scene.outside.wait()


def once(kind: str, phase: str) -> tuple[float | None, float, str]:
    """Seconds, limit, and what went wrong or was left."""
    with tempfile.TemporaryDirectory(prefix="dora-kill-") as folder:
        flow = Flow(Path(folder))
        seconds, limit_s, trouble = None, GONE_S, []
        try:
            seconds, limit_s = perform(flow, kind, phase)
        except AssertionError as error:
            trouble.append(str(error))
            with contextlib.suppress(AssertionError, IndexError):
                trouble.append(flow.last.stderr()[-2000:])
        trouble += flow.leftovers()
        return seconds, limit_s, "\n".join(trouble)


def cell(kind: str, phase: str, count: int) -> bool:
    """Print a row of the table; whether all is well."""
    results = [once(kind, phase) for _ in range(count)]
    times = sorted(seconds for seconds, _, _ in results if seconds is not None)
    late = sum(seconds is not None and seconds > limit_s for seconds, limit_s, _ in results)
    troubles = [trouble for _, _, trouble in results if trouble]
    middle, most = (statistics.median(times), times[-1]) if times else (float("nan"), float("nan"))
    figures = f"{middle:.3f} | {most:.3f} | {results[0][1]:g} | {late}"
    print(f"| {kind} | {phase} | {count - len(troubles)} of {count} | {figures} |", flush=True)
    for trouble in troubles[:2]:
        print(trouble, file=sys.stderr, flush=True)
    return not troubles and not late


def main() -> int:
    """The whole matrix, or a part of it."""
    parser = argparse.ArgumentParser(description="Kill every kind of process in every phase.")
    parser.add_argument("--count", type=int, default=20, help="repetitions of each cell (20)")
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--phase", choices=PHASES, help="only this one")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kinds = [options.kind] if options.kind else KINDS
    phases = [options.phase] if options.phase else PHASES
    cells = [(kind, phase) for kind in kinds for phase in phases if (kind, phase) != ("reader", "sending")]
    print("| killed | while the victim is | well | median s | most s | limit s | late |\n|---|---|---|---|---|---|---|")
    results = [cell(kind, phase, options.count) for kind, phase in cells]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
