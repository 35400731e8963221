"""Time: rates, phases, suspended machines, wall clocks that jump, and what waiting costs."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

TICKS = """
import json, os, resource, time
from dora import Node

node = Node()
ticks = []
usage = resource.getrusage(resource.RUSAGE_SELF)
begun = time.monotonic(), usage.ru_utime + usage.ru_stime
print("begins", flush=True)
for event in node:
    if event["type"] == "STOP" or time.monotonic() - begun[0] > float(os.environ["DURATION"]):
        break
    ticks.append([event["id"], event["value"][0].as_py(), time.monotonic()])
usage = resource.getrusage(resource.RUSAGE_SELF)
elapsed_s = time.monotonic() - begun[0]
with open("ticks.json", "w") as file:  # too long for a line of a log
    json.dump(ticks, file)
print(json.dumps({"elapsed_s": elapsed_s, "cpu_s": usage.ru_utime + usage.ru_stime - begun[1]}))
"""
JUMPING_CLOCK = '''
"""time.time() jumps by an hour, forth and back, every 0.3 s."""
import time

_time_ns, _monotonic = time.time_ns, time.monotonic


def jumping_ns():
    return _time_ns() + (int(_monotonic() / 0.3) % 3 - 1) * 3600 * 10**9


time.time_ns = jumping_ns
time.time = lambda: jumping_ns() / 1e9
'''
WATCHES = """
import json, time
from dora import Node

node = Node()
wall, ticks, longest_gap_s, jumps, timeouts_s = time.time(), 0, 0.0, 0, []
last = asked = time.monotonic()
print("waits", flush=True)
begun = time.monotonic()
while (event := node.next(timeout=0.005))["type"] != "STOP" and time.monotonic() < begun + 2:
    now = time.monotonic()
    if event["type"] == "ERROR":
        timeouts_s.append(now - asked)
    else:
        longest_gap_s = max(longest_gap_s, now - last)
        last = now
        ticks += 1
    jumps += abs(time.time() - wall) > 1000
    wall = time.time()
    asked = time.monotonic()
timeout_s = sorted(timeouts_s)[len(timeouts_s) // 2]
print(json.dumps({"ticks": ticks, "longest_gap_s": longest_gap_s, "jumps": jumps, "timeout_s": timeout_s}))
while node.next()["type"] != "STOP":
    pass
"""
PACED = """
import pyarrow as pa
from dora import Node

node = Node()
for event in node:
    if event["type"] == "STOP":
        break
    node.send_output("out", pa.array([event["value"][0].as_py()]))
"""
COUNTS = """
from dora import Node

for event in Node():
    if event["type"] == "STOP":
        break
"""


def _found(flow: Flow, node: str = "ticker") -> dict[str, Any]:
    """What `TICKS` has seen."""
    return {**flow.figures(node), "ticks": json.loads((flow.folder / "ticks.json").read_text())}


def rate(flow: Flow, rate_hz: int, duration_s: float, *, least_share: float = 0.98) -> list[Mark]:
    """One timer: its rate, what it skips (more on a machine with other work), what it costs."""
    timer = f"dora/timer/micros/{1_000_000 // rate_hz}"
    flow.node("ticker", TICKS, inputs={"tick": timer}, env={"DURATION": duration_s})
    ended = flow.run(timeout_s=duration_s + 30)
    assert ended.code == 0, ended
    found = _found(flow)
    ticks = found["ticks"][len(found["ticks"]) // 5 :]  # the first ones come while the other processes still start
    (_, first, began_s), (_, last, ended_s) = ticks[0], ticks[-1]
    return [
        Mark("rate by the numbers of the ticks / nominal", (last - first) / (ended_s - began_s) / rate_hz, ">=", 0.98),
        Mark("the same", (last - first) / (ended_s - began_s) / rate_hz, "<=", 1.02),
        Mark("share of ticks that came", len(ticks) / (last - first + 1), ">=", least_share),
        Mark("processor time / time", found["cpu_s"] / found["elapsed_s"], "<=", 0.5),
    ]


def slow_beside_fast(flow: Flow, ticks: int, *, most_ms: float = 1) -> list[Mark]:
    """1 Hz beside 1 kHz in one node: at most one period of the fast one late."""
    timers = {"slow": "dora/timer/hz/1", "fast": "dora/timer/hz/1000"}
    flow.node("ticker", TICKS, inputs=timers, env={"DURATION": ticks - 0.5})
    ended = flow.run(timeout_s=ticks + 30)
    assert ended.code == 0, ended
    found = _found(flow)["ticks"]
    slow = [(count, at) for name, count, at in found if name == "slow"]
    fast = dict((count, at) for name, count, at in found if name == "fast")
    origin_s = min(at - count / 1000 for count, at in fast.items())
    late_s = [at - origin_s - count for count, at in slow]
    return [
        Mark("ticks of the slow timer", len(slow), ">=", ticks - 1),
        Mark("median lateness of the slow timer, ms", sorted(late_s)[len(late_s) // 2] * 1000, "<=", most_ms),
    ]


def suspended(flow: Flow, duration_s: float) -> list[Mark]:
    """All processes of a run are stopped for a while, and go on."""
    duration = {"DURATION": duration_s + 2}
    flow.node("ticker", TICKS, inputs={"tick": "dora/timer/millis/20"}, health_check_timeout=1.0, env=duration)
    flow.node("paced", PACED, inputs={"tick": "dora/timer/millis/20"}, outputs=["out"], health_check_timeout=1.0)
    flow.node("reader", COUNTS, inputs={"in": "paced/out"}, health_check_timeout=1.0)
    flow.keys["health_check_interval"] = 0.5
    run = flow.start()
    run.wait_said("ticker", "begins")
    time.sleep(0.8)
    pids = run.pids()
    nodes = run.nodes()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    time.sleep(duration_s)
    resumed_s = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    same = run.wait_nodes("ticker", "paced", "reader") == nodes
    run.wait_said("ticker", "elapsed_s", timeout_s=30)
    ended = run.stop()
    assert ended.code == 0, ended
    times = [at for _, _, at in _found(flow)["ticks"]]
    within = sum(resumed_s <= at < resumed_s + 0.1 for at in times)
    return [
        Mark("same processes afterwards", same, "==", 1),
        Mark("ticks while stopped", sum(stopped_s + 0.05 < at < resumed_s for at in times), "==", 0),
        Mark("ticks in the first 100 ms afterwards", within, "<=", 7),
        Mark("ticks altogether", len(times), ">=", 60),
    ]


def idle_beside_busy(flow: Flow, duration_s: float) -> list[Mark]:
    """A node that ticks once a second, beside a 1 kHz graph it has nothing to do with."""
    flow.node("paced", PACED, inputs={"tick": "dora/timer/hz/1000"}, outputs=["out"])
    flow.node("reader", COUNTS, inputs={"in": "paced/out"})
    flow.node("idle", TICKS, inputs={"tick": "dora/timer/secs/1"}, env={"DURATION": duration_s})
    run = flow.start()
    run.wait_said("idle", "elapsed_s", timeout_s=duration_s + 30)
    ended = run.stop()
    assert ended.code == 0, ended
    found = _found(flow, "idle")
    return [
        Mark("ticks", len(found["ticks"]), ">=", int(duration_s)),
        Mark("processor time, % of one", 100 * found["cpu_s"] / found["elapsed_s"], "<=", 1),
    ]
