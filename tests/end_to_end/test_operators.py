"""Operators in real dataflows: what they get, how they end, and that others live on.

Strategy: operators that end by themselves are all in one run (`finished`), those that run until Ctrl-C in another
(`stopped`).
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from end_to_end.node_sources import COOPERATIVE, TICKS
from end_to_end.running import Flow, Run, wait_until

pytestmark = pytest.mark.slow

GUIDE_OPERATOR = """\
# doubler_op.py
import pyarrow as pa
from dora import DoraStatus
class Operator:
    def on_event(self, event, send_output) -> DoraStatus:
        if event["type"] == "INPUT":
            value = event["value"].to_pylist()[0]
            send_output("doubled", pa.array([value * 2]), event["metadata"])
        return DoraStatus.CONTINUE
"""
GUIDE_DATAFLOW = """\
nodes:
  - id: timer
    path: dora/timer/millis/500
    outputs:
      - tick
  - id: doubler
    operator:
      python: doubler_op.py
      inputs:
        tick: timer/tick
      outputs:
        - doubled
"""
"""both as the guide has them, with the indentation that the guide's page has lost"""

COUNTING = """
import pyarrow as pa
from dora import Node

node = Node()
for number in range(20):
    node.send_output("out", pa.array([number]))
"""
"""sends 0 to 19, and ends"""

PRINTING = """
class Operator:
    def on_event(self, event, send_output):
        value = event["value"]
        print(event["type"], event["id"], *([] if value is None else value.to_pylist()))
"""
"""prints every event and its value"""

PASSING_ON = """
class Operator:
    def on_event(self, event, send_output):
        if event["type"] == "INPUT":
            send_output("out", event["value"], event["metadata"])
"""
"""sends on `out` what it gets"""

PRINTING_NODE = """
from dora import Node

for event in Node():
    value = event["value"]
    print(event["type"], event["id"], *(value.to_pylist() if event["type"] == "INPUT" else []))
"""


@pytest.fixture(scope="module")
def finished(flows: Callable[[], Flow]) -> Flow:
    """The end of one dataflow with all operators that end by themselves."""
    flow = flows()
    for add in (chain, siblings, closed, all_stopped, surroundings, undeclared, printing, old, dropping):
        add(flow)
    ended = flow.run()
    assert ended.code == 0, ended
    return flow


class Stopped(NamedTuple):
    """The end of one dataflow with all operators that run until Ctrl-C, and the processes that it had."""

    run: Run
    nodes: dict[str, int]


@pytest.fixture(scope="module")
def stopped(flows: Callable[[], Flow]) -> Stopped:
    """When each operator had done what is looked at, all were stopped."""
    flow = flows()
    for add in (guide, three_in_one, last_words, one_stops, flooded):
        add(flow)
    run = flow.start()
    run.wait_said("doubled", "INPUT x 4")
    wait_until(lambda: len(run.said("three")) >= 9, what="the operators of one node")
    run.wait_said("last-words", "INPUT")
    run.wait_said("stopping-reader", "STOP")
    before = len(run.said("other-reader"))
    wait_until(lambda: len(run.said("other-reader")) > before + 5, what="messages beside the operator that stopped")
    run.wait_said("flood", "sent all")
    nodes = run.nodes()
    run.signal(2)
    ended = run.wait()
    assert ended.code == 0, ended
    return Stopped(run, nodes)


def guide(flow: Flow) -> None:
    (flow.folder / "doubler_op.py").write_text(GUIDE_OPERATOR)
    for entry in yaml.safe_load(GUIDE_DATAFLOW)["nodes"]:
        flow.other_node(entry.pop("id"), entry.pop("path", None), **entry)
    flow.node("doubled", PRINTING_NODE, inputs={"x": "doubler/doubled"})


def test_operator_of_the_guide_doubles_the_ticks_of_its_timer_node(stopped: Stopped) -> None:
    assert stopped.run.said("doubled")[:3] == ["INPUT x 0", "INPUT x 2", "INPUT x 4"]


def chain(flow: Flow) -> None:
    """A node that sends 20 messages, two operators of one process after it, and a node behind them."""
    flow.node("source", COUNTING, outputs=["out"])
    first = flow.operator("first", PASSING_ON, inputs={"in": "source/out"}, outputs=["out"])
    second = flow.operator("second", PASSING_ON, inputs={"in": "chain/first/out"}, outputs=["out"])
    flow.runtime("chain", first, second)
    flow.node("sink", PRINTING_NODE, inputs={"in": {"source": "chain/second/out", "queue_size": 100}})


def test_messages_pass_through_two_operators_of_one_process_and_all_ends_by_itself(finished: Flow) -> None:
    expected = [f"INPUT in {number}" for number in range(20)] + ["INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
    assert finished.said("sink") == expected


def three_in_one(flow: Flow) -> None:
    code = "import os\nclass Operator:\n    def on_event(self, event, send_output): print(os.getpid())"
    flow.runtime("three", *(flow.operator(f"three-{name}", code, inputs=TICKS) for name in "abc"))


def test_operators_of_a_node_share_one_process(stopped: Stopped) -> None:
    assert set(stopped.run.said("three")) == {str(stopped.nodes["three"])}


def siblings(flow: Flow) -> None:
    sender = """
        import pyarrow as pa
        array = pa.array([1.5] * 200_000)
        class Operator:
            def on_event(self, event, send_output):
                if event["type"] == "INPUT":
                    print("at", array.buffers()[1].address)
                    send_output("out", array)
                    return 1
    """
    reader = """
        class Operator:
            def on_event(self, event, send_output):
                if event["type"] == "INPUT":
                    print("at", event["value"].buffers()[1].address)
    """
    first = flow.operator("sibling-a", sender, inputs=TICKS, outputs=["out"])
    flow.runtime("siblings", first, flow.operator("sibling-b", reader, inputs={"in": "siblings/sibling-a/out"}))


def test_array_reaches_a_sibling_without_a_copy(finished: Flow) -> None:
    first, second = finished.said("siblings")
    assert first == second


def closed(flow: Flow) -> None:
    flow.runtime("closed", flow.operator("printer", PRINTING, inputs={"in": "source/out"}))


def test_operator_hears_that_its_input_closed_and_then_that_all_have(finished: Flow) -> None:
    assert finished.said("closed")[-2:] == ["INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


def last_words(flow: Flow) -> None:
    last_word = """
        class Operator:
            def on_event(self, event, send_output):
                print(event["type"], event["id"])
                if event["type"] == "STOP":
                    send_output("out", b"bye")
    """
    operators = [flow.operator(f"last-{name}", last_word, inputs=TICKS, outputs=["out"]) for name in "ab"]
    flow.runtime("last-words", *operators)


def test_manual_stop_reaches_every_operator_which_may_still_send(stopped: Stopped) -> None:
    assert stopped.run.said("last-words")[-2:] == ["STOP MANUAL"] * 2


STOPPING = """
class Operator:
    def __init__(self):
        self.count = 0
    def on_event(self, event, send_output):
        send_output("out", bytes([self.count]))
        self.count += 1
        return 1 if self.count == 3 else None
"""
"""ends after three messages"""


def one_stops(flow: Flow) -> None:
    stopping = flow.operator("stopping", STOPPING, inputs=TICKS, outputs=["out"])
    other = flow.operator("other", PASSING_ON, inputs=TICKS, outputs=["out"])
    flow.runtime("one-stops", stopping, other)
    flow.node("stopping-reader", PRINTING_NODE, inputs={"x": "one-stops/stopping/out"})
    flow.node("other-reader", COOPERATIVE, inputs={"y": "one-stops/other/out"})


def test_operator_that_stops_ends_alone_and_closes_its_outputs(stopped: Stopped) -> None:
    ends = ["INPUT_CLOSED x", "STOP ALL_INPUTS_CLOSED"]
    assert stopped.run.said("stopping-reader") == ["INPUT x 0", "INPUT x 1", "INPUT x 2", *ends]


def flooded(flow: Flow) -> None:
    flood = """
        from dora import Node
        node = Node()
        for number in range(2000):
            node.send_output("out", b"x")
        print("sent all")
    """
    flow.node("flood", flood, outputs=["out"])
    lossless = {"source": "flood/out", "queue_policy": "backpressure", "queue_size": 2}
    ending = flow.operator("ending", STOPPING, inputs={"in": lossless}, outputs=["out"])
    flow.runtime("flooded", ending, flow.operator("beside", PASSING_ON, inputs=TICKS, outputs=["out"]))


def test_lossless_sender_goes_on_when_the_operator_that_reads_it_has_ended(stopped: Stopped) -> None:
    assert stopped.run.said("flood") == ["sent all"]


def all_stopped(flow: Flow) -> None:
    operators = [flow.operator(f"stops-{name}", STOPPING, inputs=TICKS, outputs=["out"]) for name in "ab"]
    flow.runtime("all-stopped", *operators)
    flow.node("all-stopped-reader", PRINTING_NODE, inputs={"x": "all-stopped/stops-a/out"})


def test_node_ends_well_when_all_its_operators_have_stopped(finished: Flow) -> None:
    assert finished.said("all-stopped-reader")[-2:] == ["INPUT_CLOSED x", "STOP ALL_INPUTS_CLOSED"]


@pytest.mark.parametrize("answer", ["DoraStatus.STOP_ALL", "2"])
def test_stop_all_stops_the_whole_dataflow_as_planned(flow: Flow, answer: str) -> None:
    code = f"from dora import DoraStatus\nclass Operator:\n    def on_event(self, event, send_output): return {answer}"
    flow.runtime("rt", flow.operator("a", code, inputs=TICKS))
    flow.node("bystander", COOPERATIVE, inputs=TICKS)
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("bystander")[-1] == "STOP MANUAL"
    assert "stopping (operator `a` returned STOP_ALL in node `rt`)" in ended.stdout


# -- what operators find around them -------------------------------------------------------------------------


def surroundings(flow: Flow) -> None:
    (flow.folder / "lib").mkdir()
    code = """
        import os, sys, threading
        class Operator:
            def on_event(self, event, send_output):
                nodes = [node["id"] for node in self.dataflow_descriptor["nodes"]]
                print(sys.argv, os.getcwd(), sys.path[0] == "", sys.path[-1], __name__)
                print(threading.current_thread() is threading.main_thread(), "surroundings" in nodes, "chain" in nodes)
                return 1
    """
    (flow.folder / "lib" / "my_op.py").write_text(textwrap.dedent(code))
    flow.runtime("surroundings", {"id": "a", "python": "lib/my_op.py", "inputs": TICKS})


def test_operators_find_the_process_as_ever(finished: Flow) -> None:
    folder = finished.folder
    assert finished.said("surroundings") == [f"['-c'] {folder} True {folder}/lib my_op", "True True True"]


def undeclared(flow: Flow) -> None:
    code = """
        class Operator:
            def on_event(self, event, send_output):
                for _ in range(3):
                    send_output("uot", b"")
                return 1
    """
    flow.runtime("undeclared", flow.operator("careless", code, inputs=TICKS, outputs=["out"]))


def test_undeclared_output_is_warned_about_once(finished: Flow) -> None:
    (entry,) = finished.last.entries("undeclared")
    assert entry["level"] == "warn"
    text = "Ignoring output `uot` not in the output list of operator `careless`. Did you mean `out`?"
    assert entry["msg"].startswith(text)


def printing(flow: Flow) -> None:
    code = "class Operator:\n    def on_event(self, event, send_output):\n        print('tick')\n        return 1\n"
    flow.runtime("printing", flow.operator("prints", code, inputs=TICKS, send_stdout_as="lines"))
    flow.node("lines-reader", PRINTING_NODE, inputs={"x": "printing/prints/lines"})


def test_what_operators_print_can_be_read_as_an_output(finished: Flow) -> None:
    assert "INPUT x tick" in [line.strip() for line in finished.said("lines-reader")]


# -- dora 0.1 ------------------------------------------------------------------------------------------------

OLD_COUNTER = """
from enum import Enum

class DoraStatus(Enum):
    CONTINUE = 0
    STOP = 1

class Operator:
    def __init__(self):
        self.counter = 0

    def on_input(self, input_id: str, value: bytes, send_output) -> DoraStatus:
        self.counter += 1
        send_output("counter", bytes([self.counter]))
        return DoraStatus.CONTINUE if self.counter < 3 else DoraStatus.STOP

    def drop_operator(self):
        print("dropped")
"""


def old(flow: Flow) -> None:
    flow.runtime("old", flow.operator("counts", OLD_COUNTER, inputs=TICKS, outputs=["counter"]))
    flow.node("old-reader", PRINTING_NODE, inputs={"x": "old/counts/counter"})


def test_operator_of_dora_0_1_gets_bytes_and_is_dropped_at_its_end(finished: Flow) -> None:
    assert finished.said("old") == ["dropped"]
    assert finished.said("old-reader")[:3] == ["INPUT x 1", "INPUT x 2", "INPUT x 3"]


# -- hot reload ----------------------------------------------------------------------------------------------

VERSION = """
class Operator:
    def __init__(self):
        self.count = 0
    def on_event(self, event, send_output):
        self.count += 1
        print("VERSION", event["type"], event["id"], self.count)
"""


def save_in_place(file: Path, text: str) -> None:
    """As simple editors do."""
    file.write_text(text)


def save_by_rename(file: Path, text: str) -> None:
    """As vim and most IDEs do."""
    unfinished = file.with_suffix(".py~")
    unfinished.write_text(text)
    os.replace(unfinished, file)


def test_saved_operator_is_reloaded_once_with_its_state_in_the_same_process(flow: Flow) -> None:
    """However it was saved, and the other one is left alone."""
    saves = {"rt-place": save_in_place, "rt-rename": save_by_rename}
    for node in saves:
        flow.runtime(node, flow.operator(f"of-{node}", VERSION.replace("VERSION", "one"), inputs=TICKS))
    run = flow.start("--hot-reload")
    pids = run.wait_nodes(*saves)
    counts = {}
    for node, save in saves.items():
        run.wait_said(node, "one INPUT")
        save(flow.folder / f"of-{node}.py", VERSION.replace("VERSION", "two"))
        counts[node] = int(run.wait_said(node, f"two RELOAD of-{node}").split()[-1])
    for node, count in counts.items():
        run.wait_said(node, f"two INPUT tick {count + 3}")
    assert run.nodes() == pids
    run.signal(2)
    assert run.wait().code == 0
    for node, count in counts.items():
        assert f"one INPUT tick {count - 1}" in run.said(node)
        assert len([line for line in run.said(node) if "RELOAD" in line]) == 1


def test_operator_goes_on_when_the_saved_file_is_wrong_and_takes_up_the_next(flow: Flow) -> None:
    flow.runtime("rt", flow.operator("a", VERSION.replace("VERSION", "one"), inputs=TICKS))
    run = flow.start("--hot-reload")
    run.wait_said("rt", "one INPUT")
    file = flow.folder / "a.py"
    save_by_rename(file, "def (")
    run.wait_said("rt", "cannot be imported again and stays as it was: SyntaxError")
    before = len(run.said("rt"))
    wait_until(lambda: len([line for line in run.said("rt")[before:] if line.startswith("one INPUT")]) > 2)
    save_by_rename(file, VERSION.replace("VERSION", "three"))
    run.wait_said("rt", "three RELOAD a")
    run.signal(2)
    assert run.wait().code == 0


def test_without_hot_reload_a_saved_file_changes_nothing(flow: Flow) -> None:
    flow.runtime("rt", flow.operator("a", VERSION.replace("VERSION", "one"), inputs=TICKS))
    run = flow.start()
    run.wait_said("rt", "one INPUT")
    save_in_place(flow.folder / "a.py", VERSION.replace("VERSION", "two"))
    before = len(run.said("rt"))
    wait_until(lambda: len(run.said("rt")) > before + 20)
    run.signal(2)
    assert run.wait().code == 0
    assert not [line for line in run.said("rt") if "two" in line]


def dropping(flow: Flow) -> None:
    burst = """
    import pyarrow as pa

    class Operator:
        def on_event(self, event, send_output):
            if event["type"] == "INPUT":
                for number in range(100):
                    send_output("out", pa.array([number]))
                return 1
            return 0
    """
    sink = """
    class Operator:
        def on_event(self, event, send_output):
            return 0
    """
    flow.runtime(
        "dropping",
        flow.operator("burst", burst, inputs={"tick": "dora/timer/millis/10"}, outputs=["out"]),
        flow.operator("swallows", sink, inputs={"in": {"source": "dropping/burst/out", "queue_size": 3}}),
    )


def test_messages_dropped_between_operators_are_told_at_the_end(finished: Flow) -> None:
    text = "dropped 97 of 100 on dropping/swallows/in (queue_size 3, drop_oldest)"
    assert text in finished.last.wait().stderr
