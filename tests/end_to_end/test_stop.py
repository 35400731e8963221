"""A planned stop is quick, complete and a success (failures.md 3, 8, 10, 12 to 14; dataflow-yaml.md, section 19)."""

from __future__ import annotations

import signal
import time

import pytest

from end_to_end.lineage import wait_all_gone
from end_to_end.node_sources import COOPERATIVE, DEAF, TICKER, TICKS, add_pair
from end_to_end.running import Flow, wait_until
from end_to_end.timing import allowed_s, assert_within

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_everything_within_two_seconds_without_a_traceback(flow: Flow, signum: int) -> None:
    add_pair(flow)
    run = flow.start()
    run.wait_said("sink", "INPUT in")
    run.signal(signum)
    wait_all_gone(run, allowed_s(2.0))
    ended = run.wait()
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr
    reason = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
    assert f"INFO   [dora]: stopping ({reason})\n" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert run.said("sink")[-1] == "STOP MANUAL"


def test_ctrl_c_with_ten_cooperative_nodes_takes_at_most_a_second(flow: Flow) -> None:
    flow.node("n0", TICKER, inputs=TICKS, outputs=["out"])
    for number in range(1, 10):
        flow.node(f"n{number}", COOPERATIVE, inputs={"in": "n0/out"})
    assert_within(1.0, lambda: stop_ten(flow))


def stop_ten(flow: Flow) -> float:
    """Seconds from Ctrl-C to the end of ten nodes at work."""
    run = flow.start()
    for number in range(1, 10):
        run.wait_said(f"n{number}", "INPUT in")
    run.signal(signal.SIGINT)
    seconds = wait_all_gone(run, 10.0)
    ended = run.wait()
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr
    assert "Traceback" not in ended.stdout
    return seconds


@pytest.mark.parametrize("number", range(5))
def test_planned_stop_is_never_reported_as_a_failure(flow: Flow, number: int) -> None:
    add_pair(flow)
    ended = flow.run("--stop-after", f"{0.3 + 0.15 * number}s")
    assert ended.code == 0, ended
    assert "failed" not in ended.stderr
    assert "143" not in ended.stdout
    assert "exited" not in ended.stdout


def test_second_ctrl_c_kills_everything_within_half_a_second(flow: Flow) -> None:
    flow.node("deaf", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + DEAF, inputs=TICKS)
    assert_within(0.5, lambda: stop_twice(flow, signal.SIGINT))
    ended = flow.last.wait()
    assert ended.code == 1
    assert ended.stderr.startswith("Dataflow failed:\n\nstopped at once by a second Ctrl-C\n"), ended
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_second_signal_of_another_kind_kills_too(flow: Flow, signum: int) -> None:
    flow.node("deaf", DEAF, inputs=TICKS)
    assert_within(0.5, lambda: stop_twice(flow, signum))
    assert flow.last.wait().code == 1


def stop_twice(flow: Flow, second: int) -> float:
    """Seconds from a second signal, 0.2 s after Ctrl-C, to the end of a run whose node does not react."""
    run = flow.start()
    run.wait_said("deaf", "ready")
    run.signal(signal.SIGINT)
    asked_s = time.monotonic()
    wait_until(lambda: time.monotonic() > asked_s + 0.2)
    run.signal(second)
    return wait_all_gone(run, 5.0)


def test_same_ctrl_c_told_twice_by_a_parent_counts_once(flow: Flow) -> None:
    flow.node("sink", COOPERATIVE, inputs=TICKS)
    run = flow.start()
    run.wait_said("sink", "INPUT")
    run.signal(signal.SIGINT)
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()


FLOOD = """
import time
import numpy as np
from dora import Node

node = Node()
frame = np.zeros(4_000_000, np.uint8)
due_s = time.monotonic()
sent = 0
while True:
    event = node.try_recv()
    if event is not None and event["type"] == "STOP":
        break
    node.send_output("out", frame)
    sent += 1
    if sent == 100:
        print("100 sent")
    due_s += 0.001
    time.sleep(max(0.0, due_s - time.monotonic()))
print(time.monotonic())
"""

DRINK = """
import time
from dora import Node

node = Node()
for event in node:
    if event["type"] == "STOP":
        break
print(time.monotonic())
"""


def test_ctrl_c_under_1000_messages_of_4_mb_per_second_is_heard_within_half_a_second(flow: Flow) -> None:
    flow.node("flood", FLOOD, outputs=["out"])
    flow.node("drink", DRINK, inputs={"in": {"source": "flood/out", "queue_size": 10}})
    assert_within(0.5, lambda: stop_flood(flow))


def stop_flood(flow: Flow) -> float:
    """Seconds from Ctrl-C to the moment when both nodes have seen STOP."""
    run = flow.start()
    run.wait_said("flood", "100 sent")
    asked_s = time.monotonic()
    run.signal(signal.SIGINT)
    ended = run.wait(10)
    assert ended.code == 0, ended
    return float(max(run.figures("flood"), run.figures("drink")) - asked_s)


BLOCKED_SENDER = """
import pyarrow as pa
from dora import Node

node = Node()
for number in range(1000):
    if number == 1:
        print("full")
    node.send_output("out", pa.array([number]))
    if node.try_recv():
        break
"""


def test_node_blocked_in_a_lossless_send_leaves_within_a_second_of_stop(flow: Flow) -> None:
    flow.node("sender", BLOCKED_SENDER, outputs=["out"])
    lossless = {"source": "sender/out", "queue_size": 1, "queue_policy": "backpressure"}
    flow.node(
        "reader",
        "import time\n" + COOPERATIVE.replace("for event", "time.sleep(1000)\nfor event"),
        inputs={"in": lossless},
    )
    run = flow.start("--grace", "1.5s")
    run.wait_said("sender", "full")
    run.signal(signal.SIGINT)
    wait_until(lambda: "sender" not in run.nodes(), allowed_s(1.0), "the end of the sender")
    ended = run.wait(10)
    assert ended.code == 0, ended


def test_stop_after_stops_like_ctrl_c(flow: Flow) -> None:
    add_pair(flow)
    ended = flow.run("--stop-after", "700ms")
    assert ended.code == 0, ended
    assert 0.7 <= ended.wall_s < allowed_s(2.7)
    assert "[dora]: stopping (--stop-after)" in ended.stdout


def test_stop_reaches_a_node_that_waits_for_rare_data(flow: Flow) -> None:
    flow.node("rare", COOPERATIVE, inputs={"never": "dora/timer/secs/1000"})
    run = flow.start()
    run.wait_said("rare", "INPUT never")
    run.signal(signal.SIGINT)
    wait_all_gone(run, allowed_s(2.0))
    assert run.said("rare") == ["ready", "INPUT never", "STOP MANUAL"]


def test_sigint_is_heard_by_a_run_in_the_background_of_a_script(flow: Flow) -> None:
    add_pair(flow)
    run = flow.start(prefix=("sh", "-c", "trap '' INT; exec \"$@\"", "--"))
    run.wait_said("sink", "INPUT in")
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 0, run.wait()
