"""Nodes that write nonsense where other processes read: they harm themselves, are named, and the others go on."""

from __future__ import annotations

import pytest

from end_to_end.node_sources import TICKER, TICKS
from end_to_end.running import Flow, Run, wait_until

pytestmark = pytest.mark.slow

MAD = """
import os
from dora import Node
from dora.node import session

node = Node()
here = session.current
node.next()
{act}
for event in node:
    pass
"""
TO_RUNNER = MAD.format(act="os.write(here.link.socket.fileno(), os.urandom(1000))")
TO_READER = MAD.format(act="os.write(here.outputs['out']._edges[0].queue_write, os.urandom(1000))")
TO_SENDER = MAD.format(act="os.write(here.receiver._inputs['in'].edges[0].link.release_write, os.urandom(1001))")
READER = """
from dora import Node
node = Node()
count = 0
for event in node:
    if event["type"] == "ERROR":
        print("ERROR", event["error"], flush=True)
    elif event["type"] == "INPUT" and event["id"] == "good":
        count += 1
        print("good", count, flush=True)
"""


def good(run: Run) -> int:
    """How many right messages the reader has had."""
    return sum(line.startswith("good") for line in run.said("reader"))


def test_nonsense_harms_only_the_node_that_wrote_it(flow: Flow) -> None:
    flow.node("ticker", TICKER, inputs=TICKS, outputs=["out"])
    flow.node("mad-at-runner", TO_RUNNER, inputs={"in": "ticker/out"})
    flow.node("mad-at-reader", TO_READER, inputs={"in": "ticker/out"}, outputs=["out"])
    flow.node("mad-at-sender", TO_SENDER, inputs={"in": "ticker/out"})
    flow.node("reader", READER, inputs={"good": "ticker/out", "bad": "mad-at-reader/out"})
    run = flow.start()
    run.wait_said("reader", "something that is no message")
    run.wait_said("dora", "mad-at-runner")
    wait_until(lambda: "exited because of signal SIGKILL" in run.stdout(), what="the end of the node without a link")
    before = good(run)
    wait_until(lambda: good(run) > before + 20, what="more messages")
    ended = run.stop()
    assert ended.code == 1
    assert "node `mad-at-runner` said something that is not understood on the control socket" in ended.stdout
    assert "Node `mad-at-runner` failed: exited because of signal SIGKILL" in ended.stderr
    assert ended.stderr.count("` failed: ") == 1, ended
    errors = [line for line in run.said("reader") if line.startswith("ERROR")]
    assert len(errors) == 16  # 15 records, and a rest that is none
    assert all("mad-at-reader/out" in error for error in errors)
    assert "mad-at-reader wrote something that is no message" in errors[-1]
    assert "dropped" not in "".join(line for line in ended.stderr.splitlines() if "reader/good" in line)
