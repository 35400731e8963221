"""Timers keep their rate and their phase, cost nothing, and know nothing of the wall clock."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from dora.messages import runner_daemon as messages
from dora.runs.link import RunnerLink
from end_to_end.running import Flow, wait_until
from end_to_end.scenarios import clocks
from end_to_end.scenarios.marks import hold
from end_to_end.test_admin import open_link
from end_to_end.timing import overload

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("rate_hz", [1000, 2000])
def test_fast_timer_keeps_its_rate_without_a_busy_loop(flow: Flow, rate_hz: int) -> None:
    hold(clocks.rate(flow, rate_hz, 1.5, least_share=0.6 / overload()))


def test_slow_timer_beside_a_fast_one_is_on_time(flow: Flow) -> None:
    hold(clocks.slow_beside_fast(flow, 3, most_ms=20))


def test_ticks_have_the_same_numbers_for_all_and_go_on_counting_after_a_restart(flow: Flow) -> None:
    ticker = """
    import json, time
    from dora import Node

    node = Node()
    print(node.restart_count())
    for event in node:
        if event["type"] == "STOP":
            break
        print(json.dumps([event["value"][0].as_py(), str(event["value"].type), time.monotonic()]))
        if not node.is_restart() and event["value"][0].as_py() >= DIES_AT:
            raise SystemExit(1)
    """
    flow.node("steady", ticker.replace("DIES_AT", "1000"), inputs={"tick": "dora/timer/millis/50"})
    flow.node(
        "dies",
        ticker.replace("DIES_AT", "4"),
        inputs={"tick": "dora/timer/millis/50"},
        restart_policy="on-failure",
    )
    run = flow.start()
    wait_until(lambda: "1" in (said := run.said("dies")) and len(said) > said.index("1") + 10)
    ended = run.stop()
    assert ended.code == 0, ended
    steady, dies = flow.said("steady"), flow.said("dies")
    assert dies.count("0") == dies.count("1") == 1
    second = [json.loads(line) for line in dies[dies.index("1") + 1 :]]
    times = {k: at for k, kind, at in map(json.loads, steady[1:]) if kind == "uint64"}
    assert min(times) == 0
    assert second[0][0] > 4
    late_s = sorted(at - times[k] for k, _, at in second if k in times)
    assert abs(late_s[len(late_s) // 2]) < 0.02, late_s


def test_ticks_that_were_missed_are_skipped(flow: Flow) -> None:
    busy = """
    import time
    from dora import Node

    node = Node()
    ticks = []
    while len(ticks) < 6:
        ticks.append(node.next()["value"][0].as_py())
        if len(ticks) == 3:
            time.sleep(0.51)
    print(ticks)
    """
    flow.node("busy", busy, inputs={"tick": "dora/timer/millis/100"})
    flow.run()
    ticks = flow.figures("busy")
    assert ticks[3] - ticks[2] in (4, 5, 6)
    assert [b - a for a, b in itertools.pairwise(ticks[3:])] == [1, 1]


def timer_clocks(pid: int) -> list[str]:
    """The clocks of all timer descriptors of a process (proc(5): 0 is the wall clock, 1 the monotonic one)."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        text = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
        found += re.findall(r"clockid: (\d+)", text)
    return found


def test_timers_and_timeouts_do_not_follow_a_wall_clock_that_jumps(flow: Flow) -> None:
    """The wall clock of node and runner jumps by an hour, both ways, again and again: as Python sees it."""
    (flow.folder / "sitecustomize.py").write_text(clocks.JUMPING_CLOCK)
    flow.node("ticker", "import sitecustomize\n" + clocks.WATCHES, inputs={"tick": "dora/timer/millis/20"})
    run = flow.start("--stop-after", "4s", environment={"PYTHONPATH": str(flow.folder)})
    run.wait_said("ticker", "waits")
    assert timer_clocks(run.nodes()["ticker"]) == ["1"]
    ended = run.wait(20)
    assert ended.code == 0, ended
    assert 3.9 < ended.wall_s < 8, ended
    found = run.figures("ticker")
    assert found["jumps"] >= 2, found
    assert 60 <= found["ticks"] <= 101, found
    assert found["longest_gap_s"] < 0.5, found
    assert 0.004 < found["timeout_s"] < 0.02, found


def test_suspended_machine_kills_no_node_and_piles_up_no_ticks(flow: Flow) -> None:
    hold(clocks.suspended(flow, 1.5))


BUSY = """
import os, time
from dora import Node

node = Node()
node.next()
print("busy", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print("went on", flush=True)
"""


def let_it_look_around(link: RunnerLink) -> None:
    """A runner that has answered goes on to see what is due, and who hangs."""
    for _ in range(20):
        link.ask(messages.Describe(), messages.Described)


def test_deadlines_begin_anew_when_the_runner_was_suspended(flow: Flow) -> None:
    """Else a busy node would be killed as hung, and terminated because it did not stop within the grace."""
    flow.node("busy", BUSY, inputs={"tick": "dora/timer/millis/20"}, health_check_timeout=2.0)
    run = flow.start("--grace", "2s")
    run.wait_said("busy", "busy")
    with open_link(flow) as link:
        run.signal(signal.SIGINT)
        run.wait_said("dora", "stopping (Ctrl-C)")
        let_it_look_around(link)
        run.signal(signal.SIGSTOP)
        resumes_s = time.monotonic() + 3.2
        wait_until(lambda: time.monotonic() > resumes_s)
        run.signal(signal.SIGCONT)
        let_it_look_around(link)
    (flow.folder / "go").touch()
    assert run.wait(10).code == 0, run.wait()
    assert run.said("busy") == ["busy", "went on"]


def test_node_that_ticks_once_a_second_costs_nothing_beside_a_1_khz_graph(flow: Flow) -> None:
    hold(clocks.idle_beside_busy(flow, 3.0))
