"""What nodes start themselves: workers, grandchildren, second handles, second processes (failures.md 4, 7, 16, 56)."""

from __future__ import annotations

import json
import os
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


def test_multiprocessing_workers_are_gone_a_second_after_the_grace(flow: Flow) -> None:
    """Forked and spawned ones, daemons and others."""
    kinds = [(method, is_daemon) for method in ("fork", "spawn") for is_daemon in (True, False)]
    for number, (method, is_daemon) in enumerate(kinds):
        flow.node(f"pool{number}", WORKERS.format(method=method, is_daemon=is_daemon), inputs=TICKS)
    run = flow.start("--grace", "500ms")
    for number in range(len(kinds)):
        assert all(map(is_alive, json.loads(run.wait_said(f"pool{number}", "["))))
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


LAST_WORDS = [
    "threading.Thread(target=lambda: list(node), daemon=True).start()",
    "threading.Thread(target=lambda: list(node), daemon=True).start()\nnode.next(timeout=0.05)",
    "atexit.register(lambda: node.send_output('out', node.next(timeout=0.01)['type'].encode()))",
    "atexit.register(node.close)",
    "import sys\nsys.modules['kept'] = node",
    "node.cycle = node",
]
"""what a program with a live node may have done before it ends"""


def test_interpreter_ends_within_a_second_beside_a_live_node(flow: Flow) -> None:
    for number, words in enumerate(LAST_WORDS):
        code = f"import atexit, threading, time\nfrom dora import Node\nnode = Node()\n{words}\nprint(time.time())"
        flow.node(f"ends{number}", code, inputs={"never": "dora/timer/secs/1000"}, outputs=["out"])
    assert flow.run().code == 0
    ended_s = time.time()
    for number, words in enumerate(LAST_WORDS):
        assert ended_s - float(flow.said(f"ends{number}")[-1]) < allowed_s(1.0), words


def test_empty_list_of_nodes_is_finished_at_once(flow: Flow) -> None:
    ended = flow.run()
    assert (ended.code, ended.stdout) == (0, ""), ended
    assert ended.wall_s < allowed_s(1.0)


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
