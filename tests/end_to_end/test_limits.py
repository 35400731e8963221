"""Scarce resources: descriptors, pipes, shared memory; and what a process of the data plane holds on to."""

from __future__ import annotations

import os
import re
import resource
import signal
from pathlib import Path

import pytest

from end_to_end.node_sources import COOPERATIVE, TICKER, TICKS
from end_to_end.running import Flow, wait_until
from end_to_end.scenarios import limits
from end_to_end.scenarios.marks import hold

pytestmark = pytest.mark.slow

UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
QUIET_SENDER = """
import numpy as np
from dora import Node

node = Node()
node.send_output("out", np.zeros(10_000))
print("ready", flush=True)
for event in node:
    pass
"""
QUIET_READER = """
from dora import Node

node = Node()
kept = node.next()
print("ready", flush=True)
for event in node:
    pass
"""


def test_forty_links_work_in_processes_that_may_open_256_files(flow: Flow) -> None:
    hold(limits.many_links(flow, 4000))


def test_reader_that_keeps_1000_events_stops_nobody(flow: Flow) -> None:
    hold(limits.keeping_reader(flow, 3000))


def test_dev_shm_of_one_megabyte_is_enough(flow: Flow) -> None:
    hold(limits.tiny_dev_shm(flow, 5))


def test_reader_that_keeps_more_than_a_gibibyte_is_named_once(flow: Flow) -> None:
    flow.node("sender", limits.MEASURED_SENDER, outputs=["out"], env={"COUNT": 14, "SIZE": 100_000_000})
    flow.node("hoarder", limits.KEEPS, inputs={"pictures": {"source": "sender/out", "queue_size": 14}})
    ended = flow.run()
    assert ended.code == 0, ended
    warnings = [line for line in flow.said("hoarder") if "1 GiB" in line]
    assert len(warnings) == 1
    assert "node 'hoarder' keeps more than 1 GiB of arrays from input 'pictures' (sender/out)" in warnings[0]


def test_full_arena_raises_memory_error_at_the_sender(flow: Flow) -> None:
    sender = limits.MEASURED_SENDER.replace(
        '    node.send_output("out", data)',
        '    try:\n        node.send_output("out", data)\n    except MemoryError as error:\n'
        "        print(error, i, flush=True)\n        break",
    )
    flow.node("sender", sender, outputs=["out"], env={"COUNT": 40, "SIZE": 1_000_000})
    edge = {"source": "sender/out", "queue_size": 2, "queue_policy": "backpressure"}
    flow.node("hoarder", limits.KEEPS, inputs={"in": edge})
    ended = flow.run(environment={"DORA_ARENA_BYTES": str(16 << 20)})
    assert ended.code == 0, ended
    said = next(line for line in flow.said("sender") if "no room" in line)
    assert re.match(r"no room for a message of 1000000 bytes: \d+ of 16777216 bytes of this output are in use", said)
    assert flow.figures("hoarder")["kept"] >= 14


def test_small_arrays_that_are_kept_hold_no_memory_of_the_sender(flow: Flow) -> None:
    flow.node("sender", limits.MEASURED_SENDER, outputs=["out"], env={"COUNT": 20_000, "SIZE": 4096})
    keeps_all = limits.KEEPS.replace("maxlen=1000", "")
    edge = {"source": "sender/out", "queue_size": 100, "queue_policy": "backpressure"}
    flow.node("reader", keeps_all, inputs={"in": edge})
    assert flow.run().code == 0
    assert flow.figures("reader") == {"kept": 20_000, "right": True}
    assert max(flow.figures("sender")["shared"]) < 8 << 20


def test_more_arrays_let_go_at_once_than_the_release_pipe_holds_are_all_given_back(flow: Flow) -> None:
    sender = """
    import json
    import numpy as np
    from dora import Node

    node = Node()
    data = np.zeros(1000)
    used = []
    for _ in range(2):
        for i in range(15_000):
            node.send_output("out", data)
        used.append(int(open("/proc/self/status").read().split("RssShmem:")[1].split()[0]) / 1024)
        node.next()
    print(json.dumps(used))
    """
    reader = """
    from dora import Node

    node = Node()
    for _ in range(2):
        kept = [node.next() for _ in range(15_000)]
        kept.clear()
        node.send_output("done", b"")
    """
    flow.node("sender", sender, outputs=["out"], inputs={"done": "reader/done"})
    edge = {"source": "sender/out", "queue_size": 100, "queue_policy": "backpressure"}
    flow.node("reader", reader, inputs={"in": edge}, outputs=["done"])
    assert flow.run().code == 0
    first, both = flow.figures("sender")
    assert first > 100
    assert both < first + 10, "MiB: the second time used the memory of the first"


def test_more_types_than_an_output_remembers_all_arrive(flow: Flow) -> None:
    sender = """
    import pyarrow as pa
    from dora import Node

    node = Node()
    for turn in range(2):
        for i in range(1, 301):
            node.send_output("out", pa.array([b"x" * i], pa.binary(i)))
    """
    reader = """
    from dora import Node

    print([event["value"].type.byte_width for event in Node() if event["type"] == "INPUT"])
    """
    flow.node("sender", sender, outputs=["out"])
    edge = {"source": "sender/out", "queue_size": 10, "queue_policy": "backpressure"}
    flow.node("reader", reader, inputs={"in": edge})
    assert flow.run().code == 0
    assert flow.figures("reader") == [*range(1, 301)] * 2


def mappings(pid: int) -> dict[str, list[str]]:
    """The mappings of outputs' memory in a process: permissions -> VmFlags of each (proc(5), smaps)."""
    found: dict[str, list[str]] = {}
    blocks = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text(), flags=re.M)
    for block in blocks:
        if "memfd:dora-output" in block:
            found.setdefault(block.split()[1], []).append(re.search(r"VmFlags: (.*)", block)[1])
    return found


def open_files(pid: int) -> list[str]:
    """What a process has open, beside its standard files."""
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]


def test_arenas_are_read_only_for_readers_stay_out_of_core_dumps_and_keep_no_descriptor(flow: Flow) -> None:
    flow.node("sender", QUIET_SENDER, outputs=["out"], inputs={"tick": "dora/timer/secs/1"})
    flow.node("reader", QUIET_READER, inputs={"in": "sender/out"})
    run = flow.start()
    for node in ("sender", "reader"):
        run.wait_said(node, "ready")
    nodes = run.nodes()
    assert set(mappings(nodes["sender"])) == {"rw-s"}
    assert set(mappings(nodes["reader"])) == {"r--s"}
    flags = [flag for pid in nodes.values() for found in mappings(pid).values() for flag in found]
    assert all("dd" in flag.split() for flag in flags), flags
    assert not [name for pid in nodes.values() for name in open_files(pid) if "memfd" in name]
    assert sum("pipe" in name for name in open_files(nodes["sender"])) == 3
    assert sum("pipe" in name for name in open_files(nodes["reader"])) == 2
    runner = open_files(run.process.pid)
    assert sum("memfd:dora-output" in name for name in runner) == 1
    assert sum("pipe" in name for name in runner) <= 6, "the nodes' stdout and stderr, and the minder's"
    assert run.stop().code == 0


def test_more_edges_than_one_control_message_has_room_for(flow: Flow) -> None:
    count = 150
    flow.node(
        "sender",
        QUIET_SENDER.replace('"out"', '"out7"'),
        outputs=[f"out{i}" for i in range(count)],
        inputs={"tick": "dora/timer/secs/1"},
    )
    flow.node("reader", QUIET_READER, inputs={f"in{i}": f"sender/out{i}" for i in range(count)})
    run = flow.start()
    run.wait_said("reader", "ready")
    assert run.stop().code == 0


def test_too_few_descriptors_are_one_clear_error(flow: Flow) -> None:
    count = 60
    flow.node("sender", QUIET_SENDER, outputs=["out", *(f"out{i}" for i in range(count))])
    flow.node("reader", QUIET_READER, inputs={f"in{i}": f"sender/out{i}" for i in range(count)})
    ended = flow.run(prefix=("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh"))
    assert ended.code == 1, ended
    assert "ulimit -n" in ended.stderr, ended
    assert "Traceback" not in ended.stderr.split("stderr output")[0], ended


def test_queue_deeper_than_a_pipe_can_be_is_one_clear_error(flow: Flow) -> None:
    flow.node("sender", QUIET_SENDER, outputs=["out"])
    flow.node("reader", QUIET_READER, inputs={"in": {"source": "sender/out", "queue_size": 20_000}})
    ended = flow.run()
    assert ended.code == 1, ended
    assert "queue_size" in ended.stderr, ended
    assert "16320" in ended.stderr, ended
    assert "Traceback" not in ended.stderr, ended


def test_user_without_privileges_has_enough_of_everything(flow: Flow) -> None:
    """Limits such as pipe-user-pages-soft do not bind root, so root gives up its capabilities."""
    names = [f"out{i}" for i in range(100)]
    flow.node("sender", QUIET_SENDER.replace('"out"', '"out7"'), outputs=names)
    inputs = {f"in{i}": {"source": f"sender/{name}", "queue_size": 1000} for i, name in enumerate(names)}
    flow.node("reader", QUIET_READER, inputs=inputs)
    run = flow.start(prefix=UNPRIVILEGED)
    run.wait_said("reader", "ready")
    status = Path(f"/proc/{run.nodes()['reader']}/status").read_text()
    assert re.search(r"CapEff:\s+0{16}$", status, re.M), "the nodes are to have no privileges"
    assert run.stop().code == 0


def test_reader_with_a_long_path_to_its_runtime_directory_and_a_large_descriptor_starts(flow: Flow) -> None:
    home = flow.folder / ("long-" * 20)
    flow.node("sender", QUIET_SENDER, outputs=["out"], inputs={"tick": "dora/timer/secs/1"}, description="x" * 300_000)
    reader = QUIET_READER.replace("ready", "ready {len(node.dataflow_descriptor()['nodes'][0]['description'])}")
    flow.node("reader", reader.replace('print("', 'print(f"'), inputs={"in": "sender/out"})
    run = flow.start(environment={"DORA_HOME": str(home)})
    run.wait_said("reader", "ready 300000")
    config = Path(f"/proc/{run.nodes()['reader']}/environ").read_bytes().split(b"DORA_NODE_CONFIG=")[1].split(b"\0")[0]
    assert len(config) < 1000
    assert run.stop().code == 0
    assert list(home.iterdir()) == []


RESTARTED_READER = """
from dora import Node

node = Node()
node.next()
print("run", node.restart_count())
for event in node:
    pass
"""


def test_nodes_go_on_while_the_runner_has_no_descriptors_and_a_restart_waits_for_some(flow: Flow) -> None:
    flow.node("sender", TICKER, inputs=TICKS, outputs=["out"])
    flow.node("reader", RESTARTED_READER, inputs={"in": "sender/out"}, restart_policy="on-failure")
    flow.node("other", COOPERATIVE, inputs={"in": "sender/out"})
    run = flow.start()
    run.wait_said("reader", "run 0")
    runner = run.process.pid
    limits = resource.prlimit(runner, resource.RLIMIT_NOFILE)
    resource.prlimit(runner, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(run.nodes()["reader"], signal.SIGKILL)
    wait_until(lambda: "it is tried again until it can be done" in run.stdout(), what="the word about it")
    seen = len(run.said("other"))
    wait_until(lambda: "INPUT in" in run.said("other")[seen:], what="messages of the sender meanwhile")
    resource.prlimit(runner, resource.RLIMIT_NOFILE, limits)
    run.wait_said("reader", "run 1")
    assert run.stop().code == 0, run.wait()
    assert run.stdout().count("Too many open files") == 2, run.stdout()
