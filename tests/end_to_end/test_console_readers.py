"""Readers of `dora run`'s output that stop reading, or were never there, do no harm to the nodes (design.md 11.19)."""

from __future__ import annotations

import os
import signal

import pytest

from end_to_end.lineage import is_runner, runner_pid, wait_all_gone
from end_to_end.node_sources import COOPERATIVE, TICKS
from end_to_end.on_terminal import TERMINAL
from end_to_end.running import Flow, Run, wait_until
from end_to_end.timing import allowed_s

pytestmark = pytest.mark.slow

CHATTY = """
from dora import Node

node = Node()
for number in range({count}):
    print(number, "x" * 100)
print("done")
for event in node:
    if event["type"] == "STOP":
        print("stopped")
        break
"""


WAIT_FOR_GO = "while [ ! -e go ]; do sleep 0.05; done"


def piped(reader: str) -> tuple[str, ...]:
    """In front of a command: its stdout goes to `reader`, its exit code to a file."""
    return ("sh", "-c", f'("$@"; echo $? >code) | {reader}', "--")


def code_of(flow: Flow) -> int:
    """The exit code of `dora run` in front of the pipe."""
    return int(wait_until(lambda: (file := flow.folder / "code").exists() and file.read_text(), what="a code"))


def test_head_that_has_seen_enough_does_not_stop_the_nodes(flow: Flow) -> None:
    flow.node("chatty", CHATTY.format(count=20_000).replace("for event in node", "for event in []"))
    ended = flow.run(prefix=piped("head -n 1"))
    assert ended.stdout.count("\n") == 1
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr
    assert code_of(flow) == 0
    assert len(flow.said("chatty")) == 20_001


def test_reader_that_reads_nothing_stalls_no_node(flow: Flow) -> None:
    flow.node("chatty", CHATTY.format(count=200_000), inputs={"tick": "dora/timer/millis/200"})
    run = flow.start(prefix=piped(WAIT_FOR_GO))
    wait_for_log_line(flow, "done")
    os.kill(runner_pid(run), signal.SIGINT)
    wait_for_log_line(flow, "stopped")
    wait_until(lambda: not run.nodes(), allowed_s(2.0), "the end of the nodes")
    wait_until(lambda: interrupted(run), 5.0, "the end of dora run")
    assert code_of(flow) == 130
    (flow.folder / "go").touch()
    run.wait(5)


def interrupted(run: Run) -> bool:
    """Press Ctrl-C; True if `dora run` is gone."""
    runners = [pid for pid in run.pids() if is_runner(pid)]
    for pid in runners:
        os.kill(pid, signal.SIGINT)
    return not runners


def wait_for_log_line(flow: Flow, text: str) -> None:
    """Wait until the log file of `chatty` (20 MB) ends with that line."""

    def is_there() -> bool:
        files = list(flow.folder.glob("out/*/log_chatty.jsonl"))
        return bool(files) and f'"{text}"' in files[0].read_bytes()[-500:].decode()

    wait_until(is_there, 30.0, text)


def test_lines_that_a_slow_reader_misses_are_counted(flow: Flow) -> None:
    flow.node("chatty", CHATTY.format(count=200_000).replace("for event in node", "for event in []"))
    run = flow.start(prefix=piped(f"({WAIT_FOR_GO}; cat)"))
    wait_for_log_line(flow, "done")
    (flow.folder / "go").touch()
    ended = run.wait()
    assert code_of(flow) == 0
    shown = ended.stdout.count(" chatty: ")
    (line,) = [line for line in ended.stderr.splitlines() if "were not shown here" in line]
    assert line == f"{200_001 - shown} lines were not shown here; the log files have them"
    assert "lines are not shown: the output is not read fast enough (the log files have them)" in ended.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(flow: Flow, closed: str) -> None:
    flow.node("source", "from dora import Node\nNode().send_output('out', b'x')", outputs=["out"])
    flow.node("sink", COOPERATIVE, inputs={"in": "source/out"})
    ended = flow.run(prefix=("sh", "-c", f'exec "$@" {closed}', "--"))
    assert ended.code == 0, ended
    assert flow.said("sink") == ["ready", "INPUT in", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


def test_terminal_that_goes_away_stops_the_run_like_sighup(flow: Flow) -> None:
    flow.node("sink", COOPERATIVE, inputs=TICKS)
    run = flow.start(prefix=TERMINAL)
    run.wait_said("sink", "INPUT tick")
    run.signal(signal.SIGKILL)
    wait_all_gone(run, allowed_s(2.0))
    assert run.said("sink")[-1] == "STOP MANUAL"
