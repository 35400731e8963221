"""Every line of every node, in real runs: odd bytes, last words, rotation, full disks, readers of lines, followers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from end_to_end.node_sources import TICKS
from end_to_end.running import Flow, wait_until
from end_to_end.services import run_here

pytestmark = pytest.mark.slow

ODD = r"""
import os, signal
out = (
    b"nul \x00\n" b"\x1b[31mred\x1b[0m\n" b"\xff\xfe\n" b"\r\n" b"0%\r50%\r100%\n"
    + b"x" * 10_000_000 + b"\n" + '{"level": "info"}\n{"level": "info", "timestamp": 3, "message": 1}\n'.encode()
    + b'{"level": "info", "timestamp": "2026-01-01T00:00:00Z", "message": "m", "fields": ' + b"[" * 50_000 + b"\n"
    + b"half a lin"
)
while out:
    out = out[os.write(1, out):]
os.write(2, b"last words")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_odd_bytes_and_last_words_of_a_killed_node_are_kept(flow: Flow) -> None:
    flow.node("odd", ODD)
    ended = flow.run()
    assert ended.code == 1
    entries = flow.last.entries("odd")
    assert [entry["msg"] for entry in entries if entry["stream"] == "stderr"] == ["last words"]
    said = [entry["msg"] for entry in entries if entry["stream"] == "stdout"]
    assert said[:6] == ["nul \x00", "\x1b[31mred\x1b[0m", "\ufffd\ufffd", "", "0%", "100%"]
    assert said[6] == "x" * (1 << 20) + "... [truncated]"
    assert said[7] == '{"level": "info"}'
    assert said[-1] == "half a lin"
    assert len(said) == 11
    assert {entry["level"] for entry in entries} == {"stdout"}
    assert "stdout odd: nul \\x00\n" in ended.stdout
    assert "stdout odd: red\n" in ended.stdout


TELLER = """
from dora import Node
node = Node()
for event in node:
    if event["type"] == "INPUT":
        print("plain")
        node.log("info", "quiet", {"n": 1})
        node.log("warn", "loud")
        break
"""
LISTENER = """
import json
from dora import Node
node = Node()
node.send_output("ready", b"")
seen = {}
while {*seen} < {"raw", "own", "all", "loud", "theirs"} or len(seen["all"]) < 3:
    event = node.next(timeout=10)
    if event["type"] == "INPUT" and event["id"] != "raw":
        told = json.loads(event["value"][0].as_py())
        seen.setdefault(event["id"], []).append([told["node_id"], told["level"], told["message"]])
    elif event["type"] == "INPUT":
        seen.setdefault("raw", []).append(event["value"][0].as_py())
print(json.dumps(seen))
"""


def test_lines_reach_the_nodes_that_ask_for_them(flow: Flow) -> None:
    outputs = {"send_stdout_as": "raw", "send_logs_as": "own", "outputs": ["raw", "own"]}
    flow.node("teller", TELLER, inputs={"go": "listener/ready"}, **outputs)
    inputs = {"raw": "teller/raw", "own": "teller/own", "all": "dora/logs", "loud": "dora/logs/WARN"}
    flow.node("listener", LISTENER, inputs={**inputs, "theirs": "dora/logs/info/teller"}, outputs=["ready"])
    ended = flow.run()
    assert ended.code == 0, ended
    seen = flow.figures("listener")
    quiet, loud = ["teller", "INFO", "quiet"], ["teller", "WARN", "loud"]
    assert seen["raw"][0] == "plain\n"
    assert [json.loads(line)["message"] for line in seen["raw"][1:]] == ["quiet", "loud"][: len(seen["raw"]) - 1]
    assert seen["own"] == [quiet, loud][: len(seen["own"])]
    assert seen["all"] == [["teller", "stdout", "plain"], quiet, loud]
    assert seen["loud"] == [loud]
    assert seen["theirs"] == [quiet, loud][: len(seen["theirs"])]


SLOW_LISTENER = """
from dora import Node
node = Node()
node.send_output("ready", b"")
while True:
    event = node.next(timeout=10)
    if event["type"] == "INPUT" and "last" in event["value"][0].as_py():
        break
"""
MANY_LINES = """
from dora import Node
node = Node()
node.next()
for number in range(3000):
    print(number)
print("last")
"""


def test_lines_that_a_slow_reader_of_logs_misses_are_counted_at_the_end(flow: Flow) -> None:
    flow.node("many", MANY_LINES, inputs={"go": "reader/ready"})
    flow.node("reader", SLOW_LISTENER, inputs={"logs": {"source": "dora/logs", "queue_size": 1}}, outputs=["ready"])
    ended = flow.run("--log-level", "error")
    assert ended.code == 0, ended
    assert " of 3001 on reader/logs (queue_size 1, drop_oldest)" in ended.stderr
    assert len(flow.said("many")) == 3001


NUMBERS = "for number in range(40): print(number, 'x' * 40)"


def test_rotated_logs_of_a_node_leave_the_node_alone_that_is_called_like_them(flow: Flow) -> None:
    flow.node("cam", NUMBERS, max_log_size="1KB", max_rotated_files=3)
    flow.node("cam.1", NUMBERS)
    assert flow.run("--log-level", "error").code == 0
    (folder,) = (path for path in (flow.folder / "out").iterdir() if path.is_dir())
    kept = logs(flow, "--node", "cam")
    assert kept[-1].startswith("39 ")
    assert 20 <= len(kept) < 40
    assert len(logs(flow, "--node", "cam.1")) == 40
    assert sorted(path.name for path in folder.glob("log_cam*")) == [
        "log_cam%2E1.jsonl", "log_cam.1.jsonl", "log_cam.2.jsonl", "log_cam.3.jsonl", "log_cam.jsonl",
    ]  # fmt: skip


def logs(flow: Flow, *options: str) -> list[str]:
    """The messages that `dora logs` shows of what nodes printed."""
    shown = run_here(["logs", "--local", "--log-format", "json", *options], flow.folder, flow.environment)
    assert shown.returncode == 0, shown
    found: list[dict[str, Any]] = [json.loads(line) for line in shown.stdout.splitlines()]
    return [entry["message"] for entry in found if entry["level"] == "stdout"]


SMALL_DISK = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
MOUNT = 'mkdir -p out && mount -t tmpfs -o size=64k none out && "$@"; code=$?; cp -r out kept; exit $code'
PRINTS_MUCH = """
from dora import Node
node = Node()
for number in range(5000):
    print(number, "x" * 100)
node.send_output("done", b"")
"""


@pytest.mark.skipif(
    subprocess.run([*SMALL_DISK, "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine allows no private mounts",
)
def test_full_disk_is_one_warning_and_the_graph_runs_on(flow: Flow) -> None:
    flow.node("much", PRINTS_MUCH, outputs=["done"])
    flow.node("sink", "from dora import Node\nassert Node().next()['type'] == 'INPUT'", inputs={"in": "much/done"})
    ended = flow.run("--log-level", "error", prefix=(*SMALL_DISK, MOUNT, "--"))
    assert ended.code == 0, ended
    warning, count = ended.stderr.splitlines()
    assert warning.endswith("No space left on device; lines are not stored until it works again")
    (file,) = (flow.folder / "kept").glob("*/log_much.jsonl")
    stored = file.read_text().splitlines()
    assert [json.loads(line)["msg"].split()[0] for line in stored] == [str(number) for number in range(len(stored))]
    assert count == f"{5000 - len(stored)} lines are missing in the log files: the disk refused them"


def test_two_hundred_nodes_each_have_their_log(flow: Flow) -> None:
    for number in range(200):
        flow.other_node(f"n{number}", "/bin/echo", args=f"I am {number}")
    ended = flow.run("--log-format", "compact")
    assert ended.code == 0, ended
    assert {line.partition(": ")[2] for line in ended.stdout.splitlines()} == {f"I am {n}" for n in range(200)}
    assert logs(flow, "--node", "n7", "--node", "n77") in (["I am 7", "I am 77"], ["I am 77", "I am 7"])
    assert len(logs(flow)) == 200


CHATTY = """
from dora import Node
node = Node()
for number, event in enumerate(node):
    if event["type"] == "STOP":
        break
    print(number, "x" * 30, flush=True)
"""


def test_follower_sees_every_line_of_a_run_across_rotation_and_ends_with_it(flow: Flow) -> None:
    flow.node("chatty", CHATTY, inputs={"tick": "dora/timer/millis/2"}, max_log_size="4KB", max_rotated_files=20)
    run = flow.start("--log-level", "error")
    run.wait_said("chatty", "0 ")
    command = [sys.executable, "-m", "dora", "logs", "--local", "--follow", "--node", "chatty", "--format", "compact"]
    follower = subprocess.Popen(command, cwd=flow.folder, stdout=subprocess.PIPE, text=True)
    try:
        run.wait_said("chatty", "400 ")
        run.stop()
        shown, _ = follower.communicate(timeout=20)
    finally:
        follower.kill()
        follower.communicate()
    numbers = [int(line.split(": ")[1].split()[0]) for line in shown.splitlines() if " STDOUT " in line]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 400
    assert " DEBUG chatty: finished successfully" in shown.splitlines()[-1]


def test_run_that_was_killed_is_over_for_followers(flow: Flow) -> None:
    flow.node("chatty", CHATTY, inputs=TICKS)
    run = flow.start()
    run.wait_said("chatty", "0 ")
    run.signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not run.nodes(), what="the end of the nodes")
    assert logs(flow, "--follow")[0].startswith("0 ")
