"""What nodes start themselves: workers, grandchildren, second handles, second processes (failures.md 4, 7, 16, 56)."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from end_to_end.lineage import runner_pid, wait_all_gone
from end_to_end.node_sources import COOPERATIVE, TICKER, TICKS
from end_to_end.running import Flow, is_alive, wait_until
from end_to_end.timing import allowed_s

pytestmark = pytest.mark.slow

WORKERS = """
import multiprocessing, time
from dora import Node

def work():
    time.sleep(1000)

if __name__ == "__main__":
    node = Node()
    context = multiprocessing.get_context("{method}")
    workers = [context.Process(target=work, daemon={is_daemon}) for _ in range(3)]
    for worker in workers:
        worker.start()
    print([worker.pid for worker in workers])
    for event in node:
        if event["type"] == "STOP":
            break
"""

NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
"""in front of a command: it becomes PID 1 of a namespace of its own, as in a container"""

GRANDCHILDREN = """
import os, pathlib, time

for _ in range(1000):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)

def zombies():
    found = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            found += path.read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            pass
    return found

end_s = time.monotonic() + 2
while zombies() and time.monotonic() < end_s:
    time.sleep(0.01)
print(zombies())
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("is_daemon", [True, False])
def test_multiprocessing_workers_are_gone_a_second_after_the_grace(flow: Flow, method: str, is_daemon: bool) -> None:
    flow.node("pool", WORKERS.format(method=method, is_daemon=is_daemon), inputs=TICKS)
    run = flow.start("--grace", "500ms")
    workers = json.loads(run.wait_said("pool", "["))
    assert all(map(is_alive, workers))
    run.signal(signal.SIGINT)
    wait_all_gone(run, allowed_s(1.5))
    assert run.wait().code == 0, run.wait()


def test_pid_1_leaves_no_zombie_of_1000_short_lived_grandchildren(flow: Flow) -> None:
    flow.node("forks", GRANDCHILDREN)
    ended = flow.run(prefix=NAMESPACE)
    assert ended.code == 0, ended
    assert flow.figures("forks") == 0


def test_pid_1_reaps_what_was_handed_to_it(flow: Flow) -> None:
    flow.node("sink", COOPERATIVE, inputs=TICKS)
    inherited = 'for i in 1 2 3 4 5; do sleep 0.1 & (sleep 0.2 &) done; (sleep 1; (sleep 0.1 &); sleep 1) & exec "$@"'
    run = flow.start(prefix=(*NAMESPACE, "sh", "-c", inherited, "--"))
    run.wait_said("sink", "INPUT")
    wait_until(lambda: not zombies_of(runner_pid(run)), 3.0, "no zombie")
    os.kill(runner_pid(run), signal.SIGTERM)
    assert run.wait().code == 0, run.wait()


def zombies_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split() if not is_alive(int(child))]


def test_node_constructed_twice_is_one_node_until_both_are_gone(flow: Flow) -> None:
    source = """
        import pyarrow as pa
        from dora import Node

        first, second = Node(), Node()
        first.send_output("out", pa.array([1]))
        del first
        second.send_output("out", pa.array([2]))
        """
    sink = """
        from dora import Node

        print([event["value"].to_pylist()[0] for event in Node() if event["type"] == "INPUT"])
        """
    flow.node("source", source, outputs=["out"])
    flow.node("sink", sink, inputs={"in": "source/out"})
    assert flow.run().code == 0
    assert flow.said("sink") == ["[1, 2]"]


SECOND_PROCESS = """
import os, subprocess, sys
from dora import Node

node = Node()
code = "from dora import Node\\ntry:\\n    Node()\\nexcept RuntimeError as error:\\n    print(error)"
done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
print(os.getpid(), done.stdout.strip(), done.stderr)
"""


def test_second_process_of_a_node_gets_an_error_naming_the_first(flow: Flow) -> None:
    flow.node("twice", SECOND_PROCESS, inputs=TICKS)
    assert flow.run().code == 0
    (line,) = flow.said("twice")
    pid, _, text = line.partition(" ")
    assert text.strip() == f"node `twice` is already open in the process with PID {pid}"


@pytest.mark.parametrize(
    "last_words",
    [
        "threading.Thread(target=lambda: list(node), daemon=True).start()",
        "threading.Thread(target=lambda: list(node), daemon=True).start()\nnode.next(timeout=0.05)",
        "atexit.register(lambda: node.send_output('out', node.next(timeout=0.01)['type'].encode()))",
        "atexit.register(node.close)",
        "import sys\nsys.modules['kept'] = node",
        "node.cycle = node",
    ],
)
def test_interpreter_ends_within_a_second_beside_a_live_node(flow: Flow, last_words: str) -> None:
    code = f"import atexit, threading, time\nfrom dora import Node\nnode = Node()\n{last_words}\nprint(time.time())"
    flow.node("ends", code, inputs={"never": "dora/timer/secs/1000"}, outputs=["out"])
    assert flow.run().code == 0
    assert time.time() - float(flow.said("ends")[-1]) < allowed_s(1.0)


def test_empty_list_of_nodes_is_finished_at_once(flow: Flow) -> None:
    ended = flow.run()
    assert (ended.code, ended.stdout) == (0, ""), ended
    assert ended.wall_s < allowed_s(1.0)


def test_forked_child_cannot_use_the_node_of_its_parent(flow: Flow) -> None:
    code = """
        import os
        from dora import Node

        node = Node()
        if os.fork() == 0:
            try:
                node.send_output("out", b"x")
            except RuntimeError as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
        print("parent", os.getpid())
        """
    flow.node("forks", code, outputs=["out"])
    assert flow.run().code == 0
    said = "\n".join(flow.said("forks"))
    (parent,) = re.findall(r"^parent (\d+)$", said, re.MULTILINE)
    assert f"this Node belongs to process {parent} and cannot be used in its forked child" in said


def test_two_dataflows_of_one_name_run_side_by_side(flow: Flow) -> None:
    flow.node("source", TICKER, inputs=TICKS, outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "source/out"})
    runs = [flow.start(), flow.start()]
    for run in runs:
        wait_until(lambda run=run: "sink: INPUT in" in run.stdout(), what="a message")
    for run in runs:
        run.signal(signal.SIGINT)
        assert run.wait(5).code == 0, run.wait()


def test_eight_runs_in_parallel_all_succeed(flow: Flow) -> None:
    flow.node("source", "from dora import Node\nNode().send_output('out', b'x')", outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "source/out"})
    runs = [flow.start() for _ in range(8)]
    for run in runs:
        ended = run.wait()
        assert ended.code == 0, ended
        assert "sink: STOP ALL_INPUTS_CLOSED" in ended.stdout
