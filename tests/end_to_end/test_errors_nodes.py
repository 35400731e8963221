"""Nodes that do not come up or break: who, how and why, in one block, within a second (dataflow-yaml.md, 16 and 24)."""

from __future__ import annotations

import re
import signal
import sys
import time

import pytest

from end_to_end.node_sources import COOPERATIVE, TICKER, TICKS
from end_to_end.running import Ended, Flow, wait_until
from end_to_end.timing import assert_within

pytestmark = pytest.mark.slow

RULE = "-" * 81


def failed(flow: Flow, *options: str, most_s: float = 1.0) -> Ended:
    """How a run ended that fails by itself."""
    seen: list[Ended] = []

    def measure() -> float:
        seen.append(flow.run(*options))
        assert seen[-1].code == 1, seen[-1]
        return seen[-1].wall_s

    assert_within(most_s, measure)
    return seen[-1]


def block(ended: Ended) -> str:
    """The report, with what differs from run to run replaced."""
    text = re.sub(r"out/[0-9a-f-]{36}", "out/ID", ended.stderr)
    return re.sub(r"\d+\.\d s", "N s", text)


def details(flow: Flow, node: str) -> str:
    """The lines about a failed node at the end of its part of the report."""
    return (
        f"  command:     {sys.executable} -u {flow.folder}/{node}.py\n"
        f"  interpreter: {sys.executable}\n"
        "  ran for:     N s\n"
        f"  log file:    {flow.folder}/out/ID/log_{node}.jsonl\n"
    )


EXITS_BESIDE_PLOT = """
import time
from dora.runs.link import describe_all

while not any(run.waits_for == ["camera"] for _, run in describe_all()[0]):
    time.sleep(0.01)
raise SystemExit({})
"""
"""exits when all others have connected and wait at the start barrier"""
LOGS = "\nLog files of all nodes: out/ID\n"


def test_script_with_a_syntax_error(flow: Flow) -> None:
    flow.node("camera", "x = 1\ndef f(:\n    pass\n")
    assert block(failed(flow)) == (
        "Dataflow failed:\n\n"
        "Node `camera` failed: exited with code 1 before connecting to dora with stderr output:\n"
        f'{RULE}\n  File "{flow.folder}/camera.py", line 2\n    def f(:\n          ^\n'
        f"SyntaxError: invalid syntax\n{RULE}\n" + details(flow, "camera") + LOGS
    )


def test_import_error(flow: Flow) -> None:
    flow.node("camera", "import no_such_module\n")
    assert block(failed(flow)) == (
        "Dataflow failed:\n\n"
        "Node `camera` failed: exited with code 1 before connecting to dora with stderr output:\n"
        f"{RULE}\nTraceback (most recent call last):\n"
        f'  File "{flow.folder}/camera.py", line 1, in <module>\n    import no_such_module\n'
        f"ModuleNotFoundError: No module named 'no_such_module'\n{RULE}\n" + details(flow, "camera") + LOGS
    )


def test_node_that_exits_at_once_with_a_code(flow: Flow) -> None:
    flow.node("camera", "raise SystemExit(3)\n")
    assert block(failed(flow)) == (
        "Dataflow failed:\n\nNode `camera` failed: exited with code 3 before connecting to dora\n"
        + details(flow, "camera")
        + LOGS
    )


def test_node_that_exits_before_the_start_is_the_cause_and_the_others_its_consequence(flow: Flow) -> None:
    flow.node("camera", EXITS_BESIDE_PLOT.format(4), outputs=["out"])
    flow.node("plot", COOPERATIVE, inputs={"in": "camera/out"})
    assert block(failed(flow, most_s=2.0)) == (
        "Dataflow failed:\n\nNode `camera` failed: exited with code 4 before connecting to dora\n"
        + details(flow, "camera")
        + "\nAs a consequence these ended, too: `plot`.\n"
        + LOGS
    )
    assert flow.said("plot") == [
        "dora: Node camera exited with code 4 before initializing dora: the dataflow does not start"
    ]


def test_node_that_exits_with_0_before_the_start_fails_the_run(flow: Flow) -> None:
    flow.node("camera", EXITS_BESIDE_PLOT.format(0), outputs=["out"])
    flow.node("plot", COOPERATIVE, inputs={"in": "camera/out"})
    assert block(failed(flow, most_s=2.0)) == (
        "Dataflow failed:\n\nNode `plot` failed: ended because node `camera` exited before connecting to dora\n"
        + details(flow, "plot")
        + LOGS
    )


def test_run_that_cannot_start_is_explained_when_no_node_has_failed(flow: Flow) -> None:
    flow.node("camera", "pass", outputs=["out"])
    flow.node("plot", "import time\ntime.sleep(1000)", inputs={"in": "camera/out"})
    assert block(failed(flow)) == (
        "Dataflow failed:\n\n"
        "Node camera exited with code 0 before initializing dora: the dataflow does not start\n" + LOGS
    )


def test_constructor_error_can_be_caught_as_a_runtime_error(flow: Flow) -> None:
    flow.node("camera", EXITS_BESIDE_PLOT.format(0), outputs=["out"])
    catching = "from dora import Node\ntry:\n    Node()\nexcept RuntimeError as error:\n    print('caught', error)"
    flow.node("plot", catching, inputs={"in": "camera/out"})
    failed(flow, most_s=2.0)
    text = "caught Node camera exited with code 0 before initializing dora: the dataflow does not start"
    assert flow.said("plot") == [text]


IMPORT_ERROR = "import time\nprint(time.monotonic(), flush=True)\nimport no_such_module\n"


def test_import_error_in_one_of_ten_nodes_ends_all_within_a_second(flow: Flow) -> None:
    flow.node("source", IMPORT_ERROR + TICKER, inputs=TICKS, outputs=["out"])
    for number in range(9):
        flow.node(f"sink{number}", COOPERATIVE, inputs={"in": "source/out"})
    assert_within(1.0, lambda: delay_of_import_error(flow))


def delay_of_import_error(flow: Flow) -> float:
    """Seconds from the import to the end of the run; the node is named with its last words, the others are not."""
    began_s = time.monotonic()
    ended = flow.run()
    assert ended.code == 1, ended
    assert "Node `source` failed: exited with code 1 before connecting to dora with stderr output:" in ended.stderr
    assert "ModuleNotFoundError: No module named 'no_such_module'" in ended.stderr
    assert "Node `sink" not in ended.stderr
    assert ended.stdout.count("Traceback") == 1
    return ended.wall_s - (float(flow.said("source")[0]) - began_s)


def test_lone_program_that_knows_nothing_of_dora_succeeds(flow: Flow) -> None:
    script = flow.folder / "plain.sh"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    flow.other_node("plain", "plain.sh")
    ended = flow.run()
    assert (ended.code, ended.stderr) == (0, ""), ended
    assert flow.said("plain") == ["hello"]


def test_program_that_cannot_be_executed_fails_the_run(flow: Flow) -> None:
    script = flow.folder / "broken"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    flow.other_node("broken", "broken", outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "broken/out"})
    text = block(failed(flow))
    assert text.startswith(
        f"Dataflow failed:\n\nNode `broken` failed: failed to spawn node: cannot execute {script}: "
        "No such file or directory (the interpreter in its first line is missing)\n"
    )


def test_exception_in_a_node_is_shown_with_its_traceback(flow: Flow) -> None:
    code = "from dora import Node\nnode = Node()\nraise ValueError('no good')\n"
    flow.node("camera", code, outputs=["out"])
    flow.node("plot", COOPERATIVE, inputs={"in": "camera/out"})
    assert block(failed(flow, most_s=2.0)) == (
        "Dataflow failed:\n\nNode `camera` failed: exited with code 1 with stderr output:\n"
        f"{RULE}\nTraceback (most recent call last):\n"
        f'  File "{flow.folder}/camera.py", line 3, in <module>\n'
        f"    raise ValueError('no good')\nValueError: no good\n{RULE}\n" + details(flow, "camera") + LOGS
    )
    assert flow.said("plot") == ["ready", "NODE_FAILED camera", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


CRASH = """
import os, signal, time
from dora import Node

node = Node()
node.next()
print(time.monotonic(), flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""
WITNESS = """
import time
from dora import Node

for event in Node():
    if event["type"] != "INPUT":
        print(event["type"], event["id"], time.monotonic(), flush=True)
"""


def test_segmentation_fault_is_told_to_the_readers_within_200_ms(flow: Flow) -> None:
    flow.node("victim", CRASH, inputs=TICKS, outputs=["out"])
    flow.node("reader", WITNESS, inputs={"in": "victim/out"})
    flow.node("bystander", WITNESS, inputs={**TICKS, "in": "victim/out"})
    assert_within(0.2, lambda: delay_of_crash(flow))
    said = [line.split()[:2] for line in flow.said("reader")]
    assert said == [["NODE_FAILED", "victim"], ["INPUT_CLOSED", "in"], ["STOP", "ALL_INPUTS_CLOSED"]]
    assert flow.said("bystander")[-1].startswith("STOP MANUAL")


def delay_of_crash(flow: Flow) -> float:
    """Seconds from the crash to the last reader's NODE_FAILED; the bystander lives on."""
    run = flow.start()
    for node in ("reader", "bystander"):
        run.wait_said(node, "NODE_FAILED")
    run.signal(signal.SIGINT)
    ended = run.wait()
    assert ended.code == 1, ended
    assert "Node `victim` failed: exited because of signal SIGSEGV\n" in ended.stderr
    assert "Node `bystander`" not in ended.stderr
    crash_s = float(flow.said("victim")[0])
    told = [flow.said(node)[0].split() for node in ("reader", "bystander")]
    assert [words[0] for words in told] == ["NODE_FAILED"] * 2
    return max(float(words[2]) for words in told) - crash_s


def test_failed_node_does_not_stop_the_others(flow: Flow) -> None:
    flow.node(
        "a", "import time\nfrom dora import Node\nnode = Node()\ntime.sleep(0.3)\nraise SystemExit(3)", outputs=["x"]
    )
    flow.node("b", COOPERATIVE, inputs={"in": "a/x"})
    flow.node("c", COOPERATIVE, inputs=TICKS)
    run = flow.start()
    run.wait_said("b", "STOP")
    count = len(run.said("c"))
    wait_until(lambda: len(run.said("c")) > count + 5, what="c goes on")
    run.signal(signal.SIGINT)
    ended = run.wait()
    assert ended.code == 1, ended
    assert flow.said("b") == ["ready", "NODE_FAILED a", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
    assert flow.said("c")[-1] == "STOP MANUAL"
    assert [line for line in ended.stderr.splitlines() if " failed: " in line] == [
        "Node `a` failed: exited with code 3"
    ]


def test_first_failure_is_told_first(flow: Flow) -> None:
    late = "from dora import Node\nimport time\nnode = Node()\ntime.sleep({})\nraise SystemExit({})"
    flow.node("a", late.format(0.6, 5), outputs=["x"])
    flow.node("b", late.format(0.2, 6), outputs=["x"])
    ended = failed(flow, most_s=3.0)
    lines = [line for line in ended.stderr.splitlines() if " failed: " in line]
    assert lines == ["Node `b` failed: exited with code 6", "Node `a` failed: exited with code 5"]
