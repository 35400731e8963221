"""Operators in real dataflows that fail, hang or cannot be made: who is named, and that others live on."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from end_to_end.node_sources import COOPERATIVE, TICKER, TICKS
from end_to_end.running import Ended, Flow, wait_until
from end_to_end.test_operators import PASSING_ON, PRINTING_NODE

pytestmark = pytest.mark.slow

RAISING = """
class Operator:
    def on_event(self, event, send_output):
        send_output("out", b"last word")
        raise ValueError("no good")
"""
EXITING = "class Operator:\n    def on_event(self, event, send_output): raise SystemExit(0)"
ANSWERING = "class Operator:\n    def on_event(self, event, send_output): return 'x'"
HANGING = "import time\nclass Operator:\n    def on_event(self, event, send_output): time.sleep(1000)"
FAILING = "class Operator:\n    def on_event(self, event, send_output):\n        print('run')\n        raise ValueError"


@pytest.fixture(scope="module")
def failures(flows: Callable[[], Flow]) -> Flow:
    """A dataflow in which operators failed, each in its own way, beside a node that lived until Ctrl-C."""
    flow = flows()
    for name, code in (("raising", RAISING), ("exiting", EXITING), ("answering", ANSWERING)):
        flow.runtime(f"rt-{name}", flow.operator(name, code, inputs=TICKS, outputs=["out"]))
        flow.node(f"{name}-reader", PRINTING_NODE, inputs={"x": f"rt-{name}/{name}/out"})
    flow.runtime("rt-hanging", flow.operator("hanging", HANGING, inputs=TICKS), health_check_timeout=0.5)
    again = flow.operator("again", FAILING, inputs=TICKS)
    flow.runtime("rt-again", again, restart_policy="on-failure", max_restarts=2)
    flow.node("bystander", TICKER, inputs=TICKS, outputs=["out"])
    run = flow.start()
    for name in ("raising", "exiting", "answering"):
        run.wait_said(f"{name}-reader", "STOP")
    wait_until(lambda: run.said("rt-again").count("run") >= 3, what="the restarts")
    wait_until(lambda: set(run.nodes()) == {"bystander"}, what="the end of all others")
    run.signal(2)
    assert run.wait().code == 1, run.wait()
    return flow


def test_exception_in_on_event_fails_the_node_and_the_report_names_operator_and_line(failures: Flow) -> None:
    ends = ["NODE_FAILED rt-raising", "INPUT_CLOSED x", "STOP ALL_INPUTS_CLOSED"]
    assert failures.said("raising-reader")[1:] == ends
    report = failures.last.wait().stderr
    assert "Node `rt-raising` failed: exited with code 1" in report
    assert re.search(r"Traceback.*\n  File \".*/raising.py\", line 5, in on_event\n", report), report
    said = "dora: operator `raising` (raising.py) failed at INPUT `tick`: ValueError: no good\n"
    assert f"ValueError: no good\n{said}" in report
    assert "/dora/node/" not in report


@pytest.mark.parametrize(
    ("name", "said"),
    [("exiting", "failed at INPUT `tick`"), ("answering", "returned 'x' (str) at INPUT `tick`")],
)
def test_operator_that_ends_the_process_or_answers_nonsense_fails_the_node(
    failures: Flow, name: str, said: str
) -> None:
    report = failures.last.wait().stderr
    assert f"Node `rt-{name}` failed: exited with code 1" in report
    assert f"dora: operator `{name}` ({name}.py) {said}" in report


def test_operator_that_hangs_is_killed_beyond_the_time_of_its_node(failures: Flow) -> None:
    text = "Node `rt-hanging` failed: hung: no call to dora within health_check_timeout (0.5 s)"
    assert text in failures.last.wait().stderr


def test_failed_operators_are_restarted_by_the_policy_of_their_node(failures: Flow) -> None:
    assert failures.said("rt-again").count("run") == 3
    assert "Node `rt-again` failed: exited with code 1 (after 2 restarts)" in failures.last.wait().stderr


EARLY = [
    ("class Operator:\n    def __init__(self): 1 / 0", "failed in Operator(): ZeroDivisionError: division by zero"),
    ("x = 1", "no `Operator` class found in module"),
    ("class Operator: pass", "without the method `on_event(self, event, send_output)`"),
    ("import nowhere", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
    ("def (", "cannot be imported: SyntaxError"),
]


@pytest.fixture(scope="module")
def early(flows: Callable[[], Flow]) -> list[Ended]:
    """How the runs ended whose operator cannot be made; they ran side by side."""
    runs = []
    for code, _ in EARLY:
        flow = flows()
        flow.runtime("rt", flow.operator("bad", code, inputs=TICKS))
        flow.node("bystander", COOPERATIVE, inputs=TICKS)
        runs.append(flow.start())
    return [run.wait() for run in runs]


@pytest.mark.parametrize(("number", "said"), list(enumerate(said for _, said in EARLY)))
def test_operator_that_cannot_be_made_fails_the_start(early: list[Ended], number: int, said: str) -> None:
    assert early[number].code == 1
    assert said in early[number].stderr
    assert "/dora/node/" not in early[number].stderr


def test_missing_operator_file_starts_nothing(flow: Flow) -> None:
    flow.runtime("rt", {"id": "a", "python": "nowhere.py", "inputs": TICKS})
    ended = flow.run()
    assert ended.code == 1
    assert f"node 'rt': operator 'a': no Python file 'nowhere.py' in {flow.folder}" in ended.stderr


def test_busy_operators_that_feed_each_other_do_not_hang(flow: Flow) -> None:
    passing_on = [
        flow.operator("a", PASSING_ON, inputs=TICKS | {"back": "rt/b/out"}, outputs=["out"]),
        flow.operator("b", PASSING_ON, inputs={"in": "rt/a/out"}, outputs=["out"]),
    ]
    flow.runtime("rt", *passing_on, health_check_timeout=0.5)
    ended = flow.run("--stop-after", "2s")
    assert ended.code == 0, ended


def test_stop_while_an_operator_imports_ends_it_at_once(flow: Flow) -> None:
    flow.runtime("rt", flow.operator("a", "import time\nprint('importing')\ntime.sleep(1000)", inputs=TICKS))
    run = flow.start()
    run.wait_said("rt", "importing")
    run.signal(2)
    ended = run.wait(5)
    assert ended.code == 0, ended
