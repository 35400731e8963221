"""Dynamic nodes: programs that a user starts, attached to a real run (dora node-api, section 17)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from end_to_end.node_sources import COOPERATIVE, TICKER, TICKS
from end_to_end.outside import Shell
from end_to_end.running import Flow, Run, wait_until

pytestmark = pytest.mark.slow

ECHO = """
from dora import Node

node = Node()
print("ready")
for event in node:
    if event["type"] == "INPUT" and event["id"] == "in":
        print("got", event["value"].to_pylist(), flush=True)
    elif event["type"] != "INPUT":
        print(event["type"], event["id"], flush=True)
"""


def run_with_probe(flow: Flow) -> Run:
    """A ticking source, a dynamic `probe` that reads it, and an `echo` that reads the probe."""
    flow.node("source", TICKER, inputs=TICKS, outputs=["out"])
    flow.other_node("probe", "dynamic", inputs={"in": "source/out"}, outputs=["found"])
    flow.node("echo", ECHO, inputs={"in": "probe/found", "tick": "dora/timer/secs/1"})
    run = flow.start()
    run.wait_said("echo", "ready")
    return run


CLOSED = "INPUT_CLOSED in"


@pytest.fixture(scope="module")
def shared(flows: Callable[[], Flow]) -> Iterator[Flow]:
    """A run with a probe, whose tests leave it as it was: detached, and known to be."""
    flow = flows()
    run_with_probe(flow)
    yield flow
    assert flow.last.stop().code == 0


@contextlib.contextmanager
def attached(flow: Flow) -> Iterator[Shell]:
    """A shell that is the probe; when it has left, its reader knows."""
    closings = flow.said("echo").count(CLOSED)
    with Shell(flow) as shell:
        assert shell.do("node = Node('probe')") == ""
        yield shell
    wait_until(lambda: flow.said("echo").count(CLOSED) > closings, what="the closing")


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_dynamic_node_receives_and_sends_while_it_is_attached(shared: Flow) -> None:
    before = len(shared.said("echo"))
    with attached(shared) as shell:
        assert shell.do("event = node.next(); print(event['type'], event['id'])") == "INPUT in"
        assert shell.do("print(sorted(node.node_config()))") == "['inputs', 'outputs']"
        shell.do("node.send_output('found', b'7')")
        wait_until(lambda: shared.said("echo")[before:] == ["got [55]"], what="the message")
        shell.do("del node, event")
        wait_until(lambda: shared.said("echo")[before:] == ["got [55]", CLOSED], what="the closing")


def test_input_of_a_dynamic_node_opens_again_when_it_attaches_again(shared: Flow) -> None:
    before = len(shared.said("echo"))
    for number in range(2):
        with attached(shared) as shell:
            shell.do(f"node.send_output('found', b'{number}')")
            shell.do("del node")
    assert shared.said("echo")[before:] == ["got [48]", CLOSED, "got [49]", CLOSED]


def test_dynamic_node_attaches_20_times_from_one_process_and_leaves_no_trace(flow: Flow) -> None:
    run = run_with_probe(flow)
    counts: list[tuple[int, ...]] = []
    with Shell(flow) as shell:
        for _ in range(20):
            assert shell.do("node = Node('probe'); print(node.next()['type']); del node") == "INPUT"
            wait_until(lambda: run.said("echo").count("INPUT_CLOSED in") == len(counts) + 1)
            pids = [run.process.pid, *run.wait_nodes("source", "echo").values()]
            shell_count = int(shell.do("import os; print(len(os.listdir('/proc/self/fd')))"))
            counts.append((*map(descriptors_of, pids), shell_count))
    assert counts[1] == counts[-1]
    assert run.stop().code == 0


def test_killed_dynamic_node_counts_as_left(shared: Flow) -> None:
    with attached(shared) as shell:
        shell.kill()
    with attached(shared) as shell:
        assert shell.do("print(node.next()['type'])") == "INPUT"


def test_dynamic_node_is_stopped_with_the_run(flow: Flow) -> None:
    run = run_with_probe(flow)
    with Shell(flow) as shell:
        shell.do("node = Node('probe')")
        run.signal(signal.SIGINT)
        assert shell.do("print([e['id'] for e in node if e['type'] == 'STOP'])") == "['MANUAL']"
        assert run.wait().code == 0
        assert shell.do("print(node.next())") == "None"


def test_dynamic_node_reads_everything_that_was_sent_before_the_run_was_over(flow: Flow) -> None:
    flow.node("source", SEND_WHEN_ASKED, inputs={"go": "probe/go"}, outputs=["out"])
    flow.other_node("probe", "dynamic", inputs={"in": "source/out"}, outputs=["go"])
    run = flow.start()
    run.wait_said("source", "ready")
    with Shell(flow) as shell:
        shell.do("node = Node('probe')")
        shell.do("node.send_output('go', b'')")
        assert run.wait().code == 0
        assert shell.do("print([e['value'][0].as_py() if e['type'] == 'INPUT' else e['type'] for e in node])") == str(
            [0, 1, 2, 3, 4, "INPUT_CLOSED", "STOP"]
        )


SEND_WHEN_ASKED = """
import pyarrow as pa
from dora import Node

node = Node()
print("ready")
node.next()
for number in range(5):
    node.send_output("out", pa.array([number]))
"""


def test_dataflow_of_dynamic_nodes_alone_runs_until_it_is_stopped(flow: Flow) -> None:
    flow.other_node("a", "dynamic", outputs=["out"])
    flow.other_node("b", "dynamic", inputs={"in": "a/out"})
    run = flow.start()
    wait_until(lambda: list(flow.home.glob("run-*/nodes.json")))
    with Shell(flow) as left, Shell(flow) as right:
        left.do("node = Node('a')")
        right.do("node = Node('b')")
        left.do("node.send_output('out', b'x')")
        assert right.do("print(node.next()['value'].to_pylist())") == "[120]"
        left.do("del node")
        right.do("del node")
        assert left.do("node = Node('a'); print(node.next(timeout=0)['type'])") == "ERROR"
        assert run.process.poll() is None
        assert run.stop().code == 0


def test_node_that_is_assigned_again_after_its_run_attaches_to_the_next_run(flow: Flow) -> None:
    run = run_with_probe(flow)
    with Shell(flow) as shell:
        shell.do("node = Node('probe'); first = node.dataflow_id()")
        run.stop()
        again = flow.start()
        again.wait_said("echo", "ready")
        assert shell.do("node = Node('probe'); print(node.dataflow_id() != first)") == "True"
        again.stop()


def test_another_id_in_a_process_that_is_attached_is_refused(shared: Flow) -> None:
    with attached(shared) as shell:
        assert shell.do("other = Node('other')").startswith(
            "NodeError: this process is already the dynamic node `probe`"
        )
        assert shell.do("node.next()") == ""


def test_dynamic_node_that_is_attached_elsewhere_is_refused_naming_the_process(shared: Flow) -> None:
    with attached(shared) as first, Shell(shared) as second:
        pid = first.do("import os; print(os.getpid())")
        assert f"already open in the process with PID {pid}" in second.do("node = Node('probe')")


@pytest.mark.parametrize(
    ("node_id", "reason"),
    [
        ("prob", "no node with ID `prob` in a running dataflow; did you mean `probe`?"),
        ("echo", "node `echo` of {file} is not dynamic: dora starts it"),
    ],
)
def test_id_that_is_not_a_dynamic_node_is_refused_with_a_reason(shared: Flow, node_id: str, reason: str) -> None:
    with Shell(shared) as shell:
        said = shell.do(f"node = Node({node_id!r})")
    assert said.startswith(f"NodeError: Could not setup node from node id `{node_id}`: ")
    assert reason.format(file=shared.folder / "dataflow.yml") in said


def test_id_that_two_running_dataflows_have_is_refused_naming_both(flow: Flow, tmp_path: Path) -> None:
    flow.other_node("probe", "dynamic", outputs=["out"])
    runs = [flow.start(), flow.start()]
    wait_until(lambda: len(list(flow.home.glob("run-*/nodes.json"))) == 2)
    with Shell(flow) as shell:
        said = shell.do("node = Node('probe')")
    assert "multiple dataflows contain dynamic node id `probe`: " in said
    assert said.count(str(tmp_path / "dataflow.yml")) == 2
    for run in runs:
        run.stop()


def test_without_a_running_dataflow_the_reason_is_given_at_once(flow: Flow) -> None:
    with Shell(flow, {"XDG_RUNTIME_DIR": "", "TMPDIR": str(flow.folder)}) as shell:
        said = shell.do("node = Node('probe')")
    assert said.startswith("NodeError: Could not setup node from node id `probe`: no dataflow of this user is running")


def test_bad_characters_in_a_dynamic_id_are_named(flow: Flow) -> None:
    with Shell(flow) as shell:
        said = shell.do("node = Node('a b')")
    assert said.endswith("identifier contains invalid character ' ' -- only [a-zA-Z0-9_.-] are allowed")


def test_dynamic_node_survives_the_death_of_the_runner_and_its_stream_ends(flow: Flow) -> None:
    flow.node("source", COOPERATIVE, inputs={"in": "probe/out"})
    flow.other_node("probe", "dynamic", outputs=["out"], inputs={"tick": "dora/timer/millis/20"})
    run = flow.start()
    run.wait_said("source", "ready")
    with Shell(flow) as shell:
        shell.do("node = Node('probe')")
        run.signal(signal.SIGKILL)
        run.wait()
        assert shell.do("print([e['type'] for e in node][-1])") == "STOP"
        assert "link to dora is closed" in shell.do("node.send_output('out', b'')")
