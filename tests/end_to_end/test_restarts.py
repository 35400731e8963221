"""Nodes that are started again, killed because they hang, or told that nothing comes: with real processes."""

from __future__ import annotations

import json
import os
import signal

from end_to_end.node_sources import COOPERATIVE, HANGING_IMPORT, TICKS
from end_to_end.running import Flow, wait_until
from end_to_end.scenarios import restarts
from end_to_end.scenarios.marks import hold

THREE_AND_EXIT = """
import sys
import pyarrow as pa
from dora import Node

node = Node()
for number in range(3):
    node.send_output("out", pa.array([10 * node.restart_count() + number]))
sys.exit(int(sys.argv[1]))
"""
PRINTS_ALL = """
from dora import Node

for event in Node():
    print(event["type"], event["id"], *(event["value"].to_pylist() if event["type"] == "INPUT" else []), flush=True)
"""
FIVE_UNTIL_TOLD = """
import os, sys
import pyarrow as pa
from dora import Node

node = Node()
for number in range(5):
    node.send_output("out", pa.array([number]))
for event in node:
    if os.path.exists(sys.argv[1]):
        break
"""
DIES_OF_THE_FIRST = """
import os, signal
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        print(event["value"][0].as_py(), flush=True)
        if not node.is_restart():
            os.kill(os.getpid(), signal.SIGKILL)
"""
ECHOING_OPERATOR = """
from dora import DoraStatus


class Operator:
    def on_event(self, event, send_output):
        if event["type"] == "INPUT":
            send_output("out", event["value"])
        return DoraStatus.CONTINUE
"""
HANGS_ONCE = """
import time
from dora import Node

node = Node()
for event in node:
    if event["type"] == "STOP":
        break
    print("run", node.restart_count(), flush=True)
    if node.restart_count() == 0:
        time.sleep(1000)
"""
LOSSLESS = {"queue_size": 10, "queue_policy": "backpressure"}


def test_source_without_inputs_is_restarted_and_its_readers_lose_nothing(flow: Flow) -> None:
    flow.node("source", THREE_AND_EXIT, args="0", outputs=["out"], restart_policy="always", max_restarts=2)
    flow.node("reader", PRINTS_ALL, inputs={"in": {"source": "source/out", **LOSSLESS}})
    ended = flow.run()
    assert ended.code == 0, ended
    said = flow.said("reader")
    assert [line for line in said if line.startswith("INPUT in")] == [
        f"INPUT in {run + number}" for run in (0, 10, 20) for number in range(3)
    ]
    assert said.count("NODE_RESTARTED source") == 2
    assert said[-2:] == ["INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


def test_queue_of_a_reader_that_is_restarted_outlives_its_sender(flow: Flow) -> None:
    end = flow.folder / "end"
    flow.node("source", FIVE_UNTIL_TOLD, args=str(end), inputs=TICKS, outputs=["out"])
    keys = {"restart_policy": "on-failure", "restart_delay": 0.5}
    flow.node("reader", DIES_OF_THE_FIRST, inputs={"in": {"source": "source/out", **LOSSLESS}}, **keys)
    run = flow.start()
    wait_until(lambda: "restarting in 0.5 s" in run.stdout(), what="the end of the reader")
    end.touch()
    ended = run.wait()
    assert (ended.code, flow.said("reader")) == (0, ["0", "1", "2", "3", "4"]), ended


def test_killed_runtime_node_is_restarted_and_its_operators_go_on(flow: Flow) -> None:
    flow.runtime(
        "rt", flow.operator("op", ECHOING_OPERATOR, inputs=TICKS, outputs=["out"]), restart_policy="on-failure"
    )
    flow.node("reader", COOPERATIVE, inputs={"in": "rt/op/out"})
    run = flow.start()
    run.wait_said("reader", "INPUT in")
    os.kill(run.nodes()["rt"], signal.SIGKILL)
    run.wait_said("reader", "NODE_RESTARTED rt")
    seen = len(run.said("reader"))
    wait_until(lambda: "INPUT in" in run.said("reader")[seen:], what="messages of the new run")
    assert run.stop().code == 0, run.wait()


def test_node_that_hangs_is_killed_and_restarted_by_its_policy(flow: Flow) -> None:
    flow.node("hangs", HANGS_ONCE, inputs=TICKS, restart_policy="on-failure", health_check_timeout=0.5)
    run = flow.start()
    run.wait_said("hangs", "run 1")
    assert run.stop().code == 0, run.wait()
    text = "was killed: hung: no call to dora within health_check_timeout (0.5 s), restarting"
    assert text in run.stdout(), run.stdout()


def test_node_that_does_not_connect_in_time_is_killed_and_named(flow: Flow) -> None:
    flow.node("slow", HANGING_IMPORT, outputs=["out"], startup_timeout=0.5)
    flow.node("reader", COOPERATIVE, inputs={"in": "slow/out"})
    ended = flow.run(timeout_s=15)
    assert ended.code == 1, ended
    assert "Node `slow` failed: did not connect within startup_timeout (0.5 s)" in ended.stderr, ended


def test_node_runs_on_the_processors_it_states(flow: Flow) -> None:
    core = max(os.sched_getaffinity(0))
    code = "import json, os\nprint(json.dumps(sorted(os.sched_getaffinity(0))))"
    flow.node("pinned", code, cpu_affinity=[core])
    assert flow.run().code == 0
    assert json.loads(flow.said("pinned")[0]) == [core]


def test_source_that_crashes_again_and_again_costs_its_reader_nothing(flow: Flow) -> None:
    hold(restarts.crash_loop(flow, 3))


LOCKS = """
import fcntl, os, signal, subprocess
from dora import Node

device = open("device.lock", "w")
fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
subprocess.Popen(["setsid", "sleep", "1000"], pass_fds=[device.fileno()], stdout=2)
node = Node()
if not node.is_restart():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_restarted_node_gets_the_lock_that_its_dead_process_and_children_held(flow: Flow) -> None:
    flow.node("driver", LOCKS, outputs=["out"], restart_policy="on-failure")
    ended = flow.run(timeout_s=30)
    assert ended.code == 0, ended


FAILING_OPERATOR = """
from dora import DoraStatus


class Operator:
    def on_event(self, event, send_output):
        send_output("out", event["value"])
        raise ValueError
"""


def test_readers_of_a_failed_operator_wait_for_its_restart(flow: Flow) -> None:
    operator = flow.operator("op", FAILING_OPERATOR, inputs=TICKS, outputs=["out"])
    flow.runtime("rt", operator, restart_policy="on-failure", max_restarts=1)
    flow.node("reader", COOPERATIVE, inputs={"in": "rt/op/out"})
    assert flow.run().code == 1
    data = ["INPUT in", "INPUT in"]
    said = [line for line in flow.said("reader") if line not in ("ready", *data)]
    assert said == ["NODE_RESTARTED rt", "NODE_FAILED rt", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
    assert flow.said("reader").count("INPUT in") == 2


STOPPING_OPERATOR = FAILING_OPERATOR.replace("raise ValueError", "return DoraStatus.STOP")


def test_readers_of_an_operator_that_stops_go_on_with_its_next_run(flow: Flow) -> None:
    operator = flow.operator("op", STOPPING_OPERATOR, inputs=TICKS, outputs=["out"])
    flow.runtime("rt", operator, restart_policy="always", max_restarts=1)
    flow.node("reader", COOPERATIVE, inputs={"in": "rt/op/out"})
    assert flow.run().code == 0
    said = [line for line in flow.said("reader") if line not in ("ready", "INPUT in")]
    assert said == ["NODE_RESTARTED rt", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
