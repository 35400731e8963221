"""A graph that is changed while it runs: `python benchmarks/live_graph.py [--count N]`.

One sender at 1 kHz feeds two readers whose edges nobody touches.  Meanwhile N nodes that read the same output are
added and removed again, an input of one of the readers is connected and disconnected N times, a relay is replaced N
times, and every tenth node that is added crashes by itself.  Promised: on the untouched edges no message is lost or out
of order, and none on the way through the relay, whose queue is long enough for its restarts; runner, sender and
readers hold no more descriptors and not much more memory than before; no process is left.

Prints its figures as JSON; exit code 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from memory import memory_of

from dora.control import Control, ControlError, connect_to_service
from dora.messages import api
from end_to_end.services import World

SENDER = """
import time
import numpy
from dora import Node

node = Node()
count, due = 0, time.monotonic()
while True:
    node.send_output("out", numpy.array([count], dtype=numpy.uint64))
    count += 1
    due += 0.001
    pause = due - time.monotonic()
    if pause > 0:
        event = node.next(timeout=pause)
        if event is not None and event["type"] == "STOP":
            break
with open("sent", "w") as file:
    file.write(str(count))
"""
READER = """
import json, sys
from dora import Node

expected = None
seen = {"count": 0, "lost": 0, "swapped": 0, "others": 0, "closed": 0}
for event in Node():
    if event["type"] == "INPUT_CLOSED":
        seen["closed"] += 1
    if event["type"] != "INPUT":
        continue
    if event["id"] != "in":
        seen["others"] += 1
        continue
    number = int(event["value"][0].as_py())
    if expected is not None and number != expected:
        seen["lost" if number > expected else "swapped"] += abs(number - expected)
    seen["first"] = seen.get("first", number)
    seen["last"] = number
    expected = number + 1
    seen["count"] += 1
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
"""
RELAY = """
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("out", event["value"])
"""
CRASHER = """
import os
from dora import Node

count = 0
for event in Node():
    count += event["type"] == "INPUT"
    if count == 20:
        os._exit(3)
"""
DATAFLOW = """
nodes:
  - id: sender
    path: sender.py
    inputs: {tick: dora/timer/secs/10}
    outputs: [out]
  - id: first
    path: reader.py
    args: first
    inputs: {in: {source: sender/out, queue_size: 2000}}
  - id: second
    path: reader.py
    args: second
    inputs: {in: {source: sender/out, queue_size: 2000}}
  - id: relay
    path: relay.py
    inputs: {in: {source: sender/out, queue_size: 10000}}
    outputs: [out]
  - id: behind
    path: reader.py
    args: behind
    inputs: {in: {source: relay/out, queue_size: 2000, queue_policy: backpressure}}
"""
REPLACEMENT = "id: relay\npath: relay.py\nenv: {{ROUND: {number}}}\n"
REPLACEMENT += "inputs: {{in: {{source: sender/out, queue_size: 10000}}}}\noutputs: [out]\n"
ADDED = "id: added-{number}\npath: {path}\nargs: added\ninputs: {{in: sender/out}}\n"


def state_of(pid: int) -> tuple[int, float]:
    """Descriptors and memory of a process in MB, without the memory of messages, which it shares."""
    return len(os.listdir(f"/proc/{pid}/fd")), memory_of(pid).anonymous_kb * 1024 / 1e6


class Changes:
    """Rounds of changes, and how long each kind takes."""

    def __init__(self, control: Control, flow: str) -> None:
        self._control = control
        self._flow = flow
        self.took_s: dict[str, list[float]] = {}
        self.faults: list[str] = []

    def round(self, number: int) -> None:
        """Each kind of change once."""
        control, flow, name = self._control, self._flow, f"added-{number}"
        path = "crasher.py" if number % 10 == 9 else "reader.py"
        self._do("add", lambda: control.add_node(flow, ADDED.format(number=number, path=path)))
        self._do("connect", lambda: control.connect_input(flow, "relay/out", "second/more"))
        self._do("replace", lambda: control.replace_node(flow, "relay", REPLACEMENT.format(number=number)))
        self._do("disconnect", lambda: control.disconnect_input(flow, "relay/out", "second/more"))
        self._do("remove", lambda: control.remove_node(flow, name))

    def _do(self, kind: str, act: Callable[[], api.GraphChange]) -> None:
        began = time.perf_counter()
        try:
            act()
        except ControlError as error:
            self.faults.append(f"{kind}: {error}")
        self.took_s.setdefault(kind, []).append(time.perf_counter() - began)


def run(world: World, count: int) -> dict[str, Any]:
    """All rounds, and what was left of them."""
    world.says("start", "dataflow.yml", "--name", "live", "--detach")
    control = connect_to_service(str(world.home / "service.sock"))
    info = control.dataflow("live", wait="started")
    changes = Changes(control, info.id)
    for number in range(min(5, count)):  # everything is imported, every cache is filled
        changes.round(number)
    info = control.dataflow(info.id)
    watched = {"runner": info.pid or 0, **{n.id: n.pid or 0 for n in info.nodes if n.id != "relay"}}
    before = {name: state_of(pid) for name, pid in watched.items()}
    began = time.perf_counter()
    for number in range(5, count):
        changes.round(number)
    seconds = time.perf_counter() - began
    time.sleep(1)
    after = {name: state_of(pid) for name, pid in watched.items()}
    nodes = control.dataflow(info.id).nodes
    dropped = {f"{n.id}/{port.id}": port.dropped for n in nodes for port in n.inputs}
    processes = len(world.pids())
    world.says("stop", "live")
    seen = {name: json.loads((world.folder / name).read_text()) for name in ("first", "second", "behind")}
    sent = int((world.folder / "sent").read_text())
    more_fds = {name: after[name][0] - before[name][0] for name in watched}
    more_mb = {name: round(after[name][1] - before[name][1], 2) for name in watched}
    # what is sent after the stop of the run need not arrive
    are_complete = all(one["lost"] == one["swapped"] == one["first"] == 0 < one["count"] for one in seen.values())
    expected_processes = 2 + 1 + len(info.nodes)  # the service, runner and minder, the nodes
    return {
        "rounds": count,
        "changes": sum(map(len, changes.took_s.values())),
        "seconds": round(seconds, 1),
        "p50_s": {kind: round(statistics.median(took), 3) for kind, took in changes.took_s.items()},
        "max_s": {kind: round(max(took), 3) for kind, took in changes.took_s.items()},
        "faults": changes.faults[:5],
        "messages_sent": sent,
        "rate_hz": round(sent / (seconds + 1e-9)) if count > 20 else None,
        "untouched": {name: seen[name] for name in ("first", "second")},
        "behind_the_relay": seen["behind"],
        "dropped": dropped,
        "more_fds": more_fds,
        "more_mb": more_mb,
        "nodes_left": [n.id for n in nodes],
        "processes": processes,
        "is_well": are_complete
        and not changes.faults
        and max(more_fds.values()) <= 2
        and max(more_mb.values()) < 5
        and len(nodes) == len(info.nodes)
        and processes == expected_processes,
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="rounds (100)")
    chosen = parser.parse_args()
    programs = {"sender.py": SENDER, "reader.py": READER, "relay.py": RELAY, "crasher.py": CRASHER}
    with tempfile.TemporaryDirectory() as folder:
        for file, text in {**programs, "dataflow.yml": DATAFLOW}.items():
            Path(folder, file).write_text(text)
        world = World(Path(folder))
        try:
            figures = run(world, chosen.count)
        finally:
            left = world.end()
    print(json.dumps({**figures, "left": left}, indent=1), flush=True)
    return 0 if figures["is_well"] and not left else 1


if __name__ == "__main__":
    sys.exit(main())
