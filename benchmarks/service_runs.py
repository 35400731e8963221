"""The background service under load, kills and nonsense: `python benchmarks/service_runs.py CASE [--count N]`.

The long form of `tests/end_to_end/test_service.py`.  Cases:

    graphs   start and stop N dataflows on one service: its memory, the time of a start, the age of messages, the time
             of a request; the latter two beside a pipe wake-up, so that a busy machine does not look like growth
    runs     eight `dora run` at the same time, N rounds, while the service runs
    kills    kill -9 of the service N times at random moments while a dataflow runs, then `up`
    stores   start with stores that are cut off, full of zeros, of another version
    garbage  N connections that say nonsense, half a request, or nothing
    schema   Schemathesis on the OpenAPI description (needs `pip install schemathesis`)
    idle     CPU of the service with nothing to do, over N seconds
    commands time of `dora list` on a running service, N times

Each prints its figures as JSON; exit code 1 if a promise was broken or something was left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from memory import memory_of

from end_to_end.running import is_alive, wait_until
from end_to_end.services import World

HZ = os.sysconf("SC_CLK_TCK")
TALKER = """
from dora import Node
node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("out", b"x")
"""
LISTENER = """
import sys
from dora import Node
count = 0
for event in Node():
    count += event["type"] == "INPUT"
print(count, flush=True)
"""
DATAFLOW = """
nodes:
  - id: talker
    path: talker.py
    inputs: {tick: dora/timer/millis/20}
    outputs: [out]
  - id: listener
    path: listener.py
    inputs: {in: {source: talker/out, queue_size: 100, queue_policy: backpressure}}
"""


CLOCK = """
import time
import numpy as np
from dora import Node
node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("out", np.array([time.monotonic_ns()]))
"""
METER = """
import os, statistics, time
from dora import Node
node = Node()
ages = []
for event in node:
    if event["type"] == "INPUT":
        ages.append((time.monotonic_ns() - event["value"][0].as_py()) / 1000)
        if len(ages) == 110:
            with open("age.new", "w") as file:
                file.write(str(statistics.median(ages[10:])))
            os.rename("age.new", "age.txt")
"""
AGES = """
nodes:
  - id: clock
    path: clock.py
    inputs: {tick: dora/timer/millis/5}
    outputs: [out]
  - id: meter
    path: meter.py
    inputs: {in: clock/out}
"""
FILES = {
    "talker.py": TALKER,
    "listener.py": LISTENER,
    "dataflow.yml": DATAFLOW,
    "clock.py": CLOCK,
    "meter.py": METER,
    "ages.yml": AGES,
}
MOST_GROWTH = 1.1


def wake_up_us() -> float:
    """Median time of a message through a pipe to a waiting thread and back: what the machine gives just now."""
    import threading

    there, back = os.pipe(), os.pipe()

    def echo() -> None:
        while os.read(there[0], 1) == b"x":
            os.write(back[1], b"x")

    thread = threading.Thread(target=echo)
    thread.start()
    times = []
    for _ in range(100):
        time.sleep(0.001)
        began = time.perf_counter()
        os.write(there[1], b"x")
        os.read(back[0], 1)
        times.append((time.perf_counter() - began) * 1e6)
    os.write(there[1], b"q")
    thread.join()
    for fd in (*there, *back):
        os.close(fd)
    return statistics.median(times)


def graphs(world: World, count: int) -> dict[str, Any]:
    """One dataflow after the other on one service."""
    world.says("up")
    pid = world.service_pid()
    seen: list[dict[str, float]] = []
    for number in range(count):
        seen.append(one_graph(world, f"g{number}"))
        if number == min(9, count - 1):  # everything is imported, every cache is filled
            first_mb = memory_of(pid).resident_mb
    world.says("clean")
    last_mb = memory_of(pid).resident_mb
    tenth = max(1, count // 10)
    growth = {
        what: statistics.median(one[what] / one["wake_us"] for one in seen[-tenth:])
        / statistics.median(one[what] / one["wake_us"] for one in seen[:tenth])
        for what in ("age_us", "request_us")
    }
    return {
        "graphs": count,
        "rss_first_mb": round(first_mb, 2),
        "rss_last_mb": round(last_mb, 2),
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        **{f"{what}_p50": round(statistics.median(one[what] for one in seen), 3) for what in seen[0]},
        "age_per_wake_up_last_to_first_tenth": round(growth["age_us"], 3),
        "request_per_wake_up_last_to_first_tenth": round(growth["request_us"], 3),
        "is_well": last_mb - first_mb < 5 and max(growth.values()) < MOST_GROWTH and pid == world.service_pid(),
    }


def one_graph(world: World, name: str) -> dict[str, float]:
    """Start one dataflow, look at it while it runs, stop it."""
    age = world.folder / "age.txt"
    age.unlink(missing_ok=True)
    began = time.perf_counter()
    world.says("start", "ages.yml", "--name", name, "--detach")
    start_s = time.perf_counter() - began
    wait_until(age.exists, what="the first hundred messages")
    times = []
    for _ in range(9):
        began = time.perf_counter()
        http_get(world, f"/v1/dataflows/{name}")
        times.append((time.perf_counter() - began) * 1e6)
    wake_us = wake_up_us()
    world.says("stop", name)
    return {
        "start_s": start_s,
        "age_us": float(age.read_text()),
        "request_us": statistics.median(times),
        "wake_us": wake_us,
    }


def http_get(world: World, target: str) -> bytes:
    """One request on the service's socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(world.home / "service.sock"))
        connection.settimeout(10)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: dora\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def runs(world: World, count: int) -> dict[str, Any]:
    """Eight `dora run` at once, beside the service and a dataflow of its own."""
    world.says("start", "dataflow.yml", "--name", "beside", "--detach")
    codes: list[int] = []
    for _ in range(count):
        command = [sys.executable, "-m", "dora", "run", "dataflow.yml", "--stop-after", "1s", "--quiet"]
        started = [
            subprocess.Popen(command, cwd=world.folder, env=world.environment, stdout=subprocess.DEVNULL)
            for _ in range(8)
        ]
        codes += [process.wait(120) for process in started]
    is_beside_well = "stopped beside" in world.says("stop", "beside")
    return {"runs": len(codes), "well": codes.count(0), "is_well": not any(codes) and is_beside_well}


def kills(world: World, count: int) -> dict[str, Any]:
    """The service dies at any moment; the dataflow, its nodes, messages and log lines do not."""
    world.says("start", "dataflow.yml", "--name", "steady", "--detach")
    before = [one["pid"] for one in nodes_of(world)]
    ready_s = []
    for _ in range(count):
        time.sleep(random.uniform(0, 0.3))
        pid = world.service_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not is_alive(pid))
        began = time.perf_counter()
        world.says("up")
        ready_s.append(time.perf_counter() - began)
    after = [one["pid"] for one in nodes_of(world)]
    lost = dropped_messages(world)
    is_stopped = "stopped steady" in world.says("stop", "steady")
    return {
        "kills": count,
        "ready_p50_s": round(statistics.median(ready_s), 3),
        "ready_max_s": round(max(ready_s), 3),
        "same_pids": before == after,
        "messages_dropped": lost,
        "is_well": before == after and not lost and is_stopped and max(ready_s) < 3,
    }


def nodes_of(world: World) -> list[dict[str, Any]]:
    """What `dora node list` says."""
    return [json.loads(line) for line in world.says("node", "list", "--format", "json").splitlines()]


def dropped_messages(world: World) -> int:
    """Messages that an input has lost so far."""
    port = json.loads(world.says("node", "info", "listener", "--format", "json"))["inputs"][0]
    return int(port["dropped"])


def stores(world: World, count: int) -> dict[str, Any]:
    """Stores that cannot be used: the service starts all the same, with one warning."""
    store = world.home / "history.sqlite3"
    damages: list[Callable[[], object]] = [
        lambda: store.write_bytes(bytes(16384)),
        lambda: store.write_bytes(store.read_bytes()[: store.stat().st_size // 2]),
        lambda: store.write_bytes(os.urandom(20_000)),
        lambda: store.write_bytes(store.read_bytes()[:60] + b"\xff\xff\xff\xff" + store.read_bytes()[64:]),
    ]
    world.says("up")
    world.says("down")
    warnings = []
    for number in range(count):
        damages[number % len(damages)]()
        world.says("up")
        warnings.append((world.home / "service.log").read_text().count("WARNING"))
        world.says("down")
    return {"starts": count, "warnings": warnings, "is_well": set(warnings) == {1}}


def garbage(world: World, count: int) -> dict[str, Any]:
    """Nonsense, half requests and silence on the service's socket, and on the admin socket of a run."""
    world.says("start", "dataflow.yml", "--name", "steady", "--detach")
    pid = world.service_pid()
    admin = next(iter(world.home.glob("run-*/admin.sock")))
    targets = [(str(world.home / "service.sock"), socket.SOCK_STREAM), (str(admin), socket.SOCK_SEQPACKET)]
    for _ in range(200):
        nonsense(*targets[0])
    first_mb = memory_of(pid).resident_mb
    held: list[socket.socket] = []
    for number in range(count):
        found = nonsense(*targets[number % 2])
        if found is not None and number % 10 == 0:
            held.append(found)  # stays open and says no more
            if len(held) > 300:
                held.pop(0).close()
        if number % 1000 == 0:
            assert b'"steady"' in http_get(world, "/v1/dataflows")
    for one in held:
        one.close()
    wait_until(lambda: b'"steady"' in http_get(world, "/v1/dataflows"))
    time.sleep(11)  # now and then the service gives back what it does not need
    last_mb = memory_of(pid).resident_mb
    is_serving = "steady" in world.says("list") and "stopped steady" in world.says("stop", "steady")
    is_well = is_serving and last_mb - first_mb < 10
    return {
        "connections": count,
        "rss_first_mb": round(first_mb, 1),
        "rss_last_mb": round(last_mb, 1),
        "is_well": is_well,
    }


NONSENSE = (
    b"",
    b"GET ",
    b"GET /v1/dataflows HTTP/1.1\r\nHost:",
    b"POST /v1/dataflows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)


def nonsense(path: str, kind: int) -> socket.socket | None:
    """A connection that says something wrong; None when it was refused."""
    connection = socket.socket(socket.AF_UNIX, kind)
    connection.settimeout(5)
    with contextlib.suppress(OSError):
        connection.connect(path)
        connection.send(random.choice((*NONSENSE, os.urandom(random.randrange(1, 2000)))))
        return connection
    connection.close()
    return None


def schema(world: World, count: int) -> dict[str, Any]:
    """Schemathesis: requests made from the description, and answers that must fit it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world.says("up", "--listen", f"127.0.0.1:{port}")
    pid = world.service_pid()
    url = f"http://127.0.0.1:{port}/openapi.json"
    program = str(Path(sys.executable).parent / "schemathesis")
    command = [program, "run", url, "--max-examples", str(count), "--exclude-path", "/v1/service/shutdown"]
    # a description cannot say that a file must be there, so data that fit it may be refused all the same
    command += ["--exclude-checks", "positive_data_acceptance", "--request-timeout", "20"]
    command += ["--suppress-health-check", "all"]
    pipe = subprocess.PIPE  # its notes on crashes go into the folder
    for target in ("/openapi.json", "/v1/dataflows", "/v1/service", "/nowhere"):
        http_get(world, target)
    first_mb = memory_of(pid).resident_mb
    done = subprocess.run(command, cwd=world.folder, stdout=pipe, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout[-6000:], file=sys.stderr)
    time.sleep(11)  # now and then the service gives back what it does not need
    last_mb = memory_of(pid).resident_mb
    return {
        "examples": count,
        "exit_code": done.returncode,
        "rss_first_mb": round(first_mb, 1),
        "rss_last_mb": round(last_mb, 1),
        "is_well": not done.returncode and pid == world.service_pid() and last_mb - first_mb < 10,
    }


def idle(world: World, count: int) -> dict[str, Any]:
    """CPU of a service with nothing to do, and of one with a dataflow."""
    world.says("up")
    alone = cpu_percent(world.service_pid(), count)
    world.says("start", "dataflow.yml", "--name", "steady", "--detach")
    busy = cpu_percent(world.service_pid(), count)
    world.says("stop", "steady")
    return {
        "seconds": count,
        "cpu_percent": alone,
        "cpu_percent_with_a_dataflow": busy,
        "is_well": max(alone, busy) < 0.5,
    }


def cpu_percent(pid: int, seconds: int) -> float:
    """CPU time of a process over that long, in percent of one core."""

    def ticks() -> int:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])

    before = ticks()
    time.sleep(seconds)
    return round(100 * (ticks() - before) / HZ / seconds, 2)


def commands(world: World, count: int) -> dict[str, Any]:
    """How long a list takes, on the clock and in CPU time (which a busy machine does not change much)."""
    world.says("start", "dataflow.yml", "--name", "steady", "--detach")
    wall, cpu = [], []
    for _ in range(count):
        began, before = time.perf_counter(), os.times()
        world.says("list")
        wall.append(time.perf_counter() - began)
        after = os.times()
        cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
    world.says("stop", "steady")
    return {
        "lists": count,
        "wall_p50_s": round(statistics.median(wall), 3),
        "wall_min_s": round(min(wall), 3),
        "cpu_p50_s": round(statistics.median(cpu), 3),
        "is_well": statistics.median(cpu) <= 0.25,  # on a free machine the two are the same
    }


CASES: dict[str, tuple[Callable[[World, int], dict[str, Any]], int]] = {
    "graphs": (graphs, 200),
    "runs": (runs, 5),
    "kills": (kills, 50),
    "stores": (stores, 8),
    "garbage": (garbage, 10_000),
    "schema": (schema, 50),
    "idle": (idle, 30),
    "commands": (commands, 20),
}


def main() -> int:
    """Run one case, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=[*CASES, "all"])
    parser.add_argument("--count", type=int, help="instead of the case's own")
    chosen = parser.parse_args()
    are_well = True
    for name in CASES if chosen.case == "all" else [chosen.case]:
        case, count = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            for file, text in FILES.items():
                Path(folder, file).write_text(text)
            world = World(Path(folder))
            try:
                figures = case(world, chosen.count or count)
            finally:
                left = world.end()
        print(json.dumps({"case": name, **figures, "left": left}), flush=True)
        are_well = are_well and figures["is_well"] and not left
    return 0 if are_well else 1


if __name__ == "__main__":
    sys.exit(main())
