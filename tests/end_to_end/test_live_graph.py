"""The graph of a run is changed while it runs: what its nodes see of it, what is refused, and what is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.cli.running_graph import running_graph
from dora.control import ControlError, DirectControl
from dora.messages import api
from dora.messages import runner_daemon as messages
from end_to_end.running import Flow, Run, wait_until
from end_to_end.test_admin import open_link, wait_for

pytestmark = pytest.mark.slow

COUNTER = """
    import numpy
    from dora import Node
    count = 0
    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            node.send_output("out", numpy.array([count]))
            count += 1
"""
CHECKER = """
    from dora import Node
    last = {}
    for event in Node():
        if event["type"] != "INPUT":
            print(event["type"], event["id"], flush=True)
            continue
        number = event["value"][0].as_py()
        if event["id"] not in last:
            print("first on", event["id"], flush=True)
        elif number != last[event["id"]] + 1:
            print("LOST on", event["id"], flush=True)
        last[event["id"]] = number
"""
LATE = "id: late\npath: checker.py\ninputs: {in: {source: counter/out, queue_size: 500}}\n"
OTHER = "id: late\npath: other.py\ninputs: {in: {source: counter/out, queue_size: 500}}\n"


@pytest.fixture
def run(flow: Flow) -> Run:
    """A counter at 200 Hz, and a reader that looks at every number."""
    flow.node("counter", COUNTER, inputs={"tick": "dora/timer/millis/5"}, outputs=["out"])
    flow.node("checker", CHECKER, inputs={"in": {"source": "counter/out", "queue_size": 500}})
    (flow.folder / "other.py").write_text((flow.folder / "checker.py").read_text().replace("first on", "other on"))
    return flow.start()


@pytest.fixture
def control(flow: Flow, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[DirectControl]:
    """Asks that run, once its nodes run."""
    monkeypatch.setenv("DORA_HOME", str(flow.home))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with open_link(flow) as link:
        wait_for(link, "checker", messages.RUNNING)
    with DirectControl() as control:
        yield control


def descriptors(run: Run) -> int:
    return len(os.listdir(f"/proc/{run.process.pid}/fd"))


def id_of(control: DirectControl, run: Run) -> str:
    return next(info.id for info in control.dataflows().dataflows if info.pid == run.process.pid)


def test_changes_reach_the_nodes_and_leave_other_edges_alone(run: Run, control: DirectControl) -> None:
    flow_id = id_of(control, run)
    before = descriptors(run)
    run.wait_said("checker", "first on in")

    added = control.add_node(flow_id, LATE)
    assert [node.state for node in added.dataflow.nodes if node.id == "late"] == ["running"]
    run.wait_said("late", "first on in")
    note = control.connect_input(flow_id, "counter/out", "checker/more", queue_size=500).notes
    assert "`checker` states no input `more`" in note[0]
    run.wait_said("checker", "first on more")
    replaced = control.replace_node(flow_id, "late", OTHER)
    assert [node.restarts for node in replaced.dataflow.nodes if node.id == "late"] == [1]
    run.wait_said("late", "other on in")
    control.disconnect_input(flow_id, "counter/out", "checker/more")
    run.wait_said("checker", "INPUT_CLOSED more")
    removed = control.remove_node(flow_id, "late")
    assert [node.id for node in removed.dataflow.nodes] == ["counter", "checker"]
    assert [(port.id, port.source) for port in removed.dataflow.nodes[1].inputs] == [
        ("in", "counter/out"),
        ("more", ""),
    ]

    _, drawn = running_graph(flow_id)
    assert drawn.mermaid().splitlines()[-1] == '  counter -- "out as in" --> checker'

    wait_until(lambda: descriptors(run) <= before, what="the runner to let go of descriptors")
    assert run.stop().code == 0
    assert run.said("checker") == ["first on in", "first on more", "INPUT_CLOSED more", "STOP MANUAL"]
    assert run.said("late") == ["first on in", "STOP MANUAL", "other on in", "STOP MANUAL"]


def test_what_cannot_be_done_is_refused_and_changes_nothing(flow: Flow, run: Run, control: DirectControl) -> None:
    flow_id = id_of(control, run)
    nodes = [(node.id, node.pid) for node in control.dataflow(flow_id).nodes]

    def refusal(act: object, *words: str, **options: str) -> tuple[str, str]:
        with pytest.raises(ControlError) as caught:
            act(flow_id, *words, **options)  # type: ignore[operator]
        return caught.value.code, "\n".join([str(caught.value), *caught.value.problems])

    code, text = refusal(control.add_node, "id: late\npath: nowhere.py", file="late.yml")
    assert code == api.WRONG_NODE
    assert text.startswith(
        f"the node cannot be added\nlate.yml:2:7: node 'late': no file 'nowhere.py' in {flow.folder}"
    )
    assert refusal(control.add_node, "id: counter\npath: checker.py")[0] == api.WRONG_NODE
    assert refusal(control.remove_node, "countr") == (
        api.UNKNOWN_NODE,
        "there is no node `countr` (did you mean `counter`? nodes: counter, checker)",
    )
    code, text = refusal(control.replace_node, "counter", "id: counter\npath: counter.py")
    assert (code, "output `out`, which `checker/in` reads" in text) == (api.WRONG_NODE, True)
    code, text = refusal(control.replace_node, "checker", "id: checker\npath: checker.py")
    assert (code, "input `in`, which is connected" in text) == (api.WRONG_NODE, True)
    assert refusal(control.connect_input, "counter/ot", "checker/x")[0] == api.UNKNOWN_OUTPUT
    assert refusal(control.connect_input, "counter/out", "checker/in")[0] == api.NOT_POSSIBLE
    assert refusal(control.disconnect_input, "counter/out", "checker/x")[0] == api.UNKNOWN_INPUT
    assert [(node.id, node.pid) for node in control.dataflow(flow_id).nodes] == nodes
    assert run.stop().code == 0


def test_a_moved_input_goes_on_without_being_closed(flow: Flow, run: Run, control: DirectControl) -> None:
    flow_id = id_of(control, run)
    text = f"id: second\npath: {Path('counter.py')}\ninputs: {{tick: dora/timer/millis/5}}\noutputs: [out]\n"
    control.add_node(flow_id, text)
    control.connect_input(flow_id, "second/out", "checker/in", is_instead=True)
    run.wait_said("checker", "LOST on in")  # the other counter is at another number
    control.remove_node(flow_id, "counter")
    control.remove_node(flow_id, "second")
    ended = run.wait()
    assert ended.code == 0
    assert run.said("checker") == ["first on in", "LOST on in", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


def test_a_replacement_that_cannot_start_leaves_the_old_node(flow: Flow, run: Run, control: DirectControl) -> None:
    (flow.folder / "broken.py").write_text("import nowhere")
    broken = "id: checker\npath: broken.py\ninputs: {in: {source: counter/out, queue_size: 500}}\n"
    run.wait_said("checker", "first on in")
    change = control.replace_node(id_of(control, run), "checker", broken)
    checker = next(node for node in change.dataflow.nodes if node.id == "checker")
    assert (checker.state, checker.message) == ("running", "the node that was to replace it exited with code 1")
    assert checker.command.endswith("checker.py")
    wait_until(lambda: run.said("checker").count("first on in") == 2, what="the old node to read on")
    assert run.stop().code == 0


def test_the_last_node_can_be_removed(flow: Flow, run: Run, control: DirectControl) -> None:
    flow_id = id_of(control, run)
    control.remove_node(flow_id, "checker")  # not the counter: without it the checker ends by itself
    change = control.remove_node(flow_id, "counter")
    assert (change.dataflow.id, change.dataflow.state in api.ENDED) == (flow_id, True)
    assert run.wait().code == 0
