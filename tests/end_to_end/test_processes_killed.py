"""Whatever is killed with SIGKILL, nothing that it had started lives on (failures.md 1, 2; design.md, section 9)."""

from __future__ import annotations

import os
import random
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from end_to_end.lineage import minder_pid, runner_pid, wait_all_gone
from end_to_end.node_sources import (
    COOPERATIVE,
    DETACHED_CHILD,
    HANGING_IMPORT,
    TICKER,
    TICKS,
    add_pair,
)
from end_to_end.running import Flow, is_alive, wait_until
from end_to_end.timing import allowed_s

pytestmark = pytest.mark.slow

GONE_S = 2.0
SHELL = {"args": "setsid sleep 1000 & sleep 1000"}


@pytest.fixture
def crowd(flow: Flow) -> Flow:
    """Nodes of every kind that could survive: at work, asleep in an import, a shell, each with a detached child."""
    flow.node("worker", DETACHED_CHILD + TICKER, inputs=TICKS, outputs=["out"])
    flow.node("importing", DETACHED_CHILD + HANGING_IMPORT)
    flow.other_node("shell", "shell", **SHELL)
    return flow


@pytest.fixture
def crowd_at_work(crowd: Flow) -> Flow:
    """The crowd, when all of it has been started."""
    run = crowd.start("--allow-shell-nodes")
    run.wait_said("importing", "importing")
    wait_until(lambda: len([pid for pid in run.pids() if is_detached_sleep(pid)]) == 3, what="detached children")
    return crowd


def is_detached_sleep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n" and os.getsid(pid) == pid
    except OSError:
        return False


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_nothing_survives_when_dora_run_is_killed_at_a_random_moment(crowd: Flow, seed: int) -> None:
    """Two runs side by side, each at a moment of its own."""
    runs = [(crowd.start("--allow-shell-nodes"), random.Random(seed + more)) for more in range(2)]
    due = sorted((time.monotonic() + choice.uniform(0.0, 1.0), number) for number, (_, choice) in enumerate(runs))
    killed = []
    for due_s, number in due:
        run = runs[number][0]
        with pytest.raises(AssertionError):
            wait_until(lambda run=run: run.process.poll() is not None, due_s - time.monotonic())
        run.signal(signal.SIGKILL)
        killed.append((run, time.monotonic() + allowed_s(GONE_S)))
    for run, end_s in killed:
        wait_all_gone(run, end_s - time.monotonic())


def test_nothing_survives_when_dora_run_is_killed_at_work(crowd_at_work: Flow) -> None:
    run = crowd_at_work.last
    run.signal(signal.SIGKILL)
    wait_all_gone(run, allowed_s(GONE_S))
    assert list(crowd_at_work.home.iterdir()) == []


def test_killed_minder_takes_the_tree_and_fails_the_run(crowd_at_work: Flow) -> None:
    run = crowd_at_work.last
    os.kill(minder_pid(run), signal.SIGKILL)
    ended = run.wait(allowed_s(GONE_S))
    assert ended.code == 1, ended
    assert "Dataflow failed:\n\nthe process that watches over the nodes (the minder) was killed" in ended.stderr
    assert run.pids() == []


def test_nodes_die_when_runner_and_minder_are_killed_at_once(flow: Flow) -> None:
    add_pair(flow)
    run = flow.start()
    nodes = run.wait_nodes("source", "sink")
    pids = (minder_pid(run), runner_pid(run))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, nodes.values())), allowed_s(GONE_S), "the end of the nodes")
    sweep(flow)


def test_wrapped_nodes_and_their_children_end_when_runner_and_minder_are_killed_at_once(flow: Flow) -> None:
    """Such as those that `uv run` or `conda run` start: the kernel only kills the wrapper."""
    (flow.folder / "wrapped.py").write_text(
        textwrap.dedent("import subprocess\nsubprocess.Popen(['sleep', '1000'])\n" + TICKER)
    )
    script = f"{sys.executable} -u wrapped.py; true"
    flow.other_node("wrapper", "shell", args=script, inputs=TICKS, outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "wrapper/out"})
    run = flow.start("--allow-shell-nodes")
    run.wait_said("sink", "INPUT in")
    for pid in (minder_pid(run), runner_pid(run)):
        os.kill(pid, signal.SIGKILL)
    wait_all_gone(run, allowed_s(GONE_S))
    sweep(flow)


def test_next_dora_run_sweeps_what_runner_and_minder_left_behind(crowd_at_work: Flow) -> None:
    run = crowd_at_work.last
    pids = (minder_pid(run), runner_pid(run))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: run.process.poll() is not None and not run.nodes(), allowed_s(GONE_S))
    assert list(crowd_at_work.home.iterdir()), "nothing was left to be swept"
    sweep(crowd_at_work)
    wait_all_gone(run, allowed_s(GONE_S))
    assert list(crowd_at_work.home.iterdir()) == []


def sweep(flow: Flow) -> None:
    """Any dora command that runs something."""
    other = Flow(flow.folder / "other")
    other.folder.mkdir()
    other.node("quick", "pass")
    ended = other.run(environment={"DORA_HOME": str(flow.home)})
    assert ended.code == 0, ended
    assert other.leftovers() == []


def test_killed_node_is_named_and_its_detached_children_die_with_it(flow: Flow) -> None:
    flow.node("victim", DETACHED_CHILD + TICKER, inputs=TICKS, outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "victim/out"})
    run = flow.start()
    run.wait_said("sink", "INPUT in")
    os.kill(run.nodes()["victim"], signal.SIGKILL)
    wait_until(
        lambda: not [pid for pid in run.pids() if is_detached_sleep(pid)], allowed_s(0.5), "the end of its child"
    )
    ended = run.wait(5)
    assert ended.code == 1
    assert "Node `victim` failed: exited because of signal SIGKILL" in ended.stderr
