"""Nodes that do not react to a stop are pushed harder, and the report says so (failures.md 9; scenarios 8 to 11)."""

from __future__ import annotations

import os
import signal
import time

import pytest

from end_to_end.lineage import wait_all_gone
from end_to_end.node_sources import DEAF, TICKS
from end_to_end.running import Ended, Flow
from end_to_end.timing import allowed_s

pytestmark = pytest.mark.slow

ON_SIGTERM = "import signal, sys\nsignal.signal(signal.SIGTERM, {})\n"


def stop(flow: Flow, code: str, grace: str) -> tuple[Ended, float]:
    """Ctrl-C to a run of one node, and how long its end took."""
    flow.node("deaf", code, inputs=TICKS)
    run = flow.start("--grace", grace)
    run.wait_said("deaf", "ready")
    run.signal(signal.SIGINT)
    seconds = wait_all_gone(run, 20.0)
    return run.wait(), seconds


def test_node_that_ignores_stop_gets_sigterm_at_the_grace_and_is_named(flow: Flow) -> None:
    ended, seconds = stop(flow, DEAF, "700ms")
    assert 0.7 <= seconds < allowed_s(1.7)
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr
    assert "WARN   deaf: still running 1 s after the stop: SIGTERM\n" in ended.stdout


def test_node_that_catches_sigterm_and_exits_with_5_has_failed(flow: Flow) -> None:
    ended, _ = stop(flow, ON_SIGTERM.format("lambda *_: sys.exit(5)") + DEAF, "300ms")
    assert ended.code == 1, ended
    assert ended.stderr.startswith("Dataflow failed:\n\nNode `deaf` failed: exited with code 5\n"), ended


def test_exit_with_0_or_the_code_of_our_signal_after_sigterm_is_a_planned_stop(flow: Flow) -> None:
    codes = (0, 143, 130)
    for code in codes:
        flow.node(f"exits-{code}", ON_SIGTERM.format(f"lambda *_: sys.exit({code})") + DEAF, inputs=TICKS)
    run = flow.start("--grace", "300ms")
    for code in codes:
        run.wait_said(f"exits-{code}", "ready")
    run.signal(signal.SIGINT)
    assert 0.3 <= wait_all_gone(run, 20.0) < allowed_s(1.3)
    ended = run.wait()
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr


def test_node_that_ignores_sigterm_is_killed_and_has_failed(flow: Flow) -> None:
    ended, seconds = stop(flow, ON_SIGTERM.format("signal.SIG_IGN") + DEAF, "200ms")
    assert 5.2 <= seconds < allowed_s(6.2)
    assert ended.code == 1, ended
    text = "node was killed by dora because it didn't react to a stop message in time (SIGKILL after 5 s)\n"
    assert f"Dataflow failed:\n\nNode `deaf` failed: {text}" in ended.stderr, ended
    assert "stopping: waiting for deaf (2 s)\n" in ended.stderr


def test_node_that_raises_after_stop_has_failed(flow: Flow) -> None:
    code = "from dora import Node\nprint('ready')\nfor event in Node():\n    if event['type'] == 'STOP':\n        1 / 0"
    ended, _ = stop(flow, code, "5s")
    assert ended.code == 1, ended
    assert "Node `deaf` failed: exited with code 1 with stderr output:" in ended.stderr
    assert "ZeroDivisionError: division by zero" in ended.stderr


def test_sigterm_of_an_outsider_is_a_failure(flow: Flow) -> None:
    flow.node("victim", DEAF, inputs=TICKS)
    run = flow.start()
    run.wait_said("victim", "ready")
    os.kill(run.nodes()["victim"], signal.SIGTERM)
    ended = run.wait(5)
    assert ended.code == 1, ended
    assert "Node `victim` failed: exited because of signal SIGTERM" in ended.stderr


def test_program_that_never_connects_ends_with_ctrl_c(flow: Flow) -> None:
    flow.other_node("shell", "shell", args="echo ready; exec sleep 1000")
    run = flow.start("--allow-shell-nodes")
    run.wait_said("shell", "ready")
    run.signal(signal.SIGINT)
    began_s = time.monotonic()
    assert run.wait(10).code == 0, run.wait()
    assert time.monotonic() - began_s < allowed_s(1.0)
