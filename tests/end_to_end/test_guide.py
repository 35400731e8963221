"""Every snippet of dora's guides does what the guide says of it, as it is written.

One real run shows many snippets; see `guide.py` for how they become programs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from end_to_end import guide
from end_to_end.running import Flow, Run

pytestmark = pytest.mark.slow

PUBLISHED = {
    "guide.txt": "b106ac0b9efda6fdb20647ec144c53cd77e0b582807f39afe2a60657c0a9817b",
    "python-api-0.1.txt": "135a0c6b7097b453f2fc51a84e3ab430897bce9b9d2981be5899b46ceaf01329",
}
"""SHA-256 of the texts as they were published: who changes a text to make a snippet run is told."""


@pytest.fixture(scope="module")
def run(flows: Callable[[], Flow]) -> Run:
    """One run with all snippets that end by themselves."""
    flow = flows()
    for add in (guide.arrays, guide.logs, guide.raw, guide.safety, guide.old_node, guide.old_operator):
        add(flow)
    guide.asynchronous(flow, "few", 10)
    run = flow.start()
    ended = run.wait()
    assert ended.code == 0, ended
    return run


@pytest.mark.parametrize("folder", ["guide", "python-api-0.1"])
def test_snippets_are_word_for_word_those_of_the_guide(folder: str) -> None:
    text = (guide.SEEDS / f"{folder}.txt").read_text()
    for path in (guide.SEEDS / folder).iterdir():
        assert " ".join(path.read_text().split()) in " ".join(text.split()), path.name


@pytest.mark.parametrize(("name", "sha256"), PUBLISHED.items())
def test_texts_of_the_guides_are_those_that_were_published(name: str, sha256: str) -> None:
    assert hashlib.sha256((guide.SEEDS / name).read_bytes()).hexdigest() == sha256


def test_hello_world_prints_all_100_messages(flow: Flow) -> None:
    guide.hello_world(flow)
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("receiver") == [f"Received message: [{i}]" for i in range(100)]


def test_values_are_read_back(run: Run) -> None:
    assert run.said("arrays") == ["[42]"]


def test_match_tells_inputs_closed_inputs_and_stop_apart(run: Run) -> None:
    closed = [line for line in run.said("match") if line.startswith("Input ")]
    assert sorted(closed) == [f"Input {name} closed" for name in ("count", "frame", "names", "point")]
    assert run.said("match")[-1] == "left"


def test_arrays_arrive_as_what_they_were_sent_as(run: Run) -> None:
    assert sorted(line for line in run.said("match") if not line.startswith(("Input ", "left"))) == [
        "count int64 [42]",
        "frame int64 [0, 127, 255]",
        "names string ['alice', 'bob']",
        "point struct<x: double, y: string> [{'x': 1.5, 'y': 'hello'}]",
    ]


def test_async_node_sends_a_result_for_each_of_50_events(flow: Flow) -> None:
    guide.asynchronous(flow, "many", 60)
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("many-reader") == [f"result [{2 * number}]" for number in range(50)]


def test_async_node_goes_on_over_events_without_a_value(run: Run) -> None:
    sent = [f"result [{2 * number}]" for number in range(10)]
    assert run.said("few-reader") == [*sent, "result [None]"], "ten messages, then INPUT_CLOSED"


def entry(run: Run, node: str) -> dict[str, Any]:
    """The one log entry of a node."""
    (found,) = run.entries(node)
    return found


def test_node_log_takes_a_dict_as_fields(run: Run) -> None:
    found = entry(run, "log-by-node")
    assert (found["level"], found["msg"], found["fields"]) == ("info", "Processing item", {"count": "7"})


def test_logging_is_captured(run: Run) -> None:
    found = entry(run, "log-by-logging")
    assert (found["level"], found["msg"], found["target"]) == ("info", "Processing item 7", "root")


@pytest.mark.parametrize(
    "said",
    ["with uint8 6220800 7 7 1920", "manual uint8 6220800 7 7 None", "inline uint8 3 7 7 None"],
)
def test_message_that_is_filled_in_place_arrives(run: Run, said: str) -> None:
    assert said in run.said("frames")


def test_safety_contract_is_kept(run: Run) -> None:
    refused = "Cannot send: 1 buffer view(s) are still open. Release all memoryview / numpy references before calling "
    assert run.said("safety") == [
        f"NodeError {refused}send().",
        "NodeError Sample has already been sent",
        "BufferError Cannot acquire buffer view: the parent SampleHandler has been sent or dropped",
        f"NodeError Failed to send: {refused}send().",
    ]


def test_tuples_of_0_1_come_from_next_and_from_the_iterator_and_end_with_none(run: Run) -> None:
    assert run.said("old-printer") == ["string b'string'", "string b'string'", "None"]


def test_operator_of_0_1_receives_bytes_and_stops_when_it_says_so(run: Run) -> None:
    assert run.said("counts") == ["counter [1]", "counter [2]", "counter [3]"]


def test_node_with_a_build_has_an_environment_of_its_own_with_uv(flow: Flow) -> None:
    search = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in guide.vision(flow):
        ended = subprocess.run(
            command, shell=True, cwd=flow.folder, env=flow.environment | search, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
    environment = flow.folder.resolve() / ".dora" / "python-envs" / "vision"
    (log,) = flow.folder.glob("out/*/log_vision.jsonl")
    said = [json.loads(line)["msg"] for line in log.read_text().splitlines()]
    assert said[0] == f"iniconfig 2.0.0 {environment}"
    assert all(line.startswith(f"{environment}/lib") for line in said[1:]), "pip, python -m pip"
    assert len(said) == 3


@pytest.fixture(scope="module")
def endless(flows: Callable[[], Flow]) -> tuple[Run, Run]:
    """The doubler and the timers, both started at once; timers do not end by themselves."""
    starts = []
    for add in (guide.doubler, guide.timers):
        flow = flows()
        add(flow)
        starts.append(flow.start())
    return starts[0], starts[1]


def test_doubler_operator_doubles_the_ticks_of_a_timer_node(endless: tuple[Run, Run]) -> None:
    run, _ = endless
    run.wait_said("show", "doubled [4]")
    assert run.said("show")[:3] == ["doubled [0]", "doubled [2]", "doubled [4]"]
    assert run.stop().code == 0


def test_timer_nodes_tick_in_both_forms(endless: tuple[Run, Run]) -> None:
    _, run = endless
    run.wait_said("my-node", "tick [3]")
    run.wait_said("show", "tick [9]")
    assert run.stop().code == 0
