"""The 32 scenarios of the dataflow reference, in its order (dora dataflow-yaml, section 24).

Strategy: each is shown once.  Where the file of its subject asks for at least as much, the test there is named in
`ELSEWHERE`; the others are here, one test each.  Times are shorter than the defaults.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from end_to_end.node_sources import TICKS
from end_to_end.running import Flow

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ELSEWHERE = {
    1: "test_guide.py::test_hello_world_prints_all_100_messages",
    2: "test_errors_nodes.py::test_failed_node_does_not_stop_the_others",
    3: "test_errors_nodes.py::test_exception_in_a_node_is_shown_with_its_traceback",
    4: "test_errors_nodes.py::test_segmentation_fault_is_told_to_the_readers_within_200_ms",
    5: "test_errors_nodes.py::test_node_that_exits_with_0_before_the_start_fails_the_run",
    6: "test_errors_nodes.py::test_node_that_exits_before_the_start_is_the_cause_and_the_others_its_consequence",
    7: "test_errors_nodes.py::test_lone_program_that_knows_nothing_of_dora_succeeds",
    8: "test_stop_ladder.py::test_node_that_ignores_stop_gets_sigterm_at_the_grace_and_is_named",
    9: "test_stop_ladder.py::test_node_that_catches_sigterm_and_exits_with_5_has_failed",
    10: "test_stop_ladder.py::test_node_that_ignores_sigterm_is_killed_and_has_failed",
    11: "test_stop.py::test_second_ctrl_c_kills_everything_within_half_a_second",
    12: "test_processes_killed.py::test_nothing_survives_when_dora_run_is_killed_at_work",
    17: "test_restarts.py::test_node_that_does_not_connect_in_time_is_killed_and_named",
    20: "test_processes_finish.py::test_with_the_finish_option_the_run_ends_a_second_after_the_data",
    21: "test_processes_finish.py::test_node_with_only_timers_is_a_source_and_keeps_the_run_alive",
    22: "test_processes_finish.py::test_straggler_is_stopped_without_a_setting_of_its_own",
    23: "test_dynamic.py::test_input_of_a_dynamic_node_opens_again_when_it_attaches_again",
    24: "test_processes_surroundings.py::test_args_are_split_like_a_shell_does_and_nothing_is_expanded",
    25: "test_processes_surroundings.py::test_env_of_a_node_is_expanded_where_it_is_not_escaped",
    27: "test_processes_finish.py::test_timer_node_ticks_and_has_no_process",
}
"""Scenario -> the test that shows it."""

PRINTS = """
from dora import Node

node = Node()
print("ready", flush=True)
for event in node:
    print(event["type"], event["id"], *(event["value"].to_pylist() if event["type"] == "INPUT" else []), flush=True)
"""
"""prints every event, until the stream ends"""

SENDS_AND = "import os, signal, sys, time\nimport pyarrow as pa\nfrom dora import Node\nnode = Node()\n"
ONE = SENDS_AND + "node.send_output('out', pa.array([1]))\n"
CRASHES = "import sys\nfrom dora import Node\nnode = Node()\nprint('run', node.restart_count())\nsys.exit({})\n"
ENDS = ["NODE_FAILED a", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
READS_A = {"in": "a/out"}


def ends_of(flow: Flow, node: str = "b") -> list[str]:
    """What it was told besides messages and ticks."""
    return [line for line in flow.said(node) if not line.startswith(("INPUT ", "ready"))]


def test_every_scenario_of_the_reference_is_shown_by_one_test() -> None:
    here = re.findall(r"^def test_(\d\d)_", Path(__file__).read_text(), re.MULTILINE)
    assert sorted([*ELSEWHERE, *map(int, here)]) == list(range(1, 33))
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"\ndef {name}(" in (HERE / file).read_text(), place


@pytest.fixture(scope="module")
def crashed(flows: Callable[[], Flow]) -> Flow:
    """The end of a run of two nodes that always fail: one with a timer and a reader, and one alone."""
    flow = flows()
    policy = {"restart_policy": "on-failure", "max_restarts": 2}
    flow.node("a", CRASHES.format(1), inputs=TICKS, outputs=["out"], **policy, restart_delay=0.1)
    flow.node("b", PRINTS, inputs=READS_A)
    flow.node("alone", CRASHES.format(1), **policy, restart_delay=0.05)
    ended = flow.run()
    assert ended.code == 1, ended
    return flow


def test_13_node_that_always_fails_is_restarted_twice(crashed: Flow) -> None:
    assert crashed.said("a") == ["run 0", "run 1", "run 2"]
    assert ends_of(crashed) == ["NODE_RESTARTED a", "NODE_RESTARTED a", *ENDS]
    assert "Node `a` failed: exited with code 1 (after 2 restarts)" in crashed.last.wait().stderr
    assert len(list(crashed.folder.glob("out/*/log_a.jsonl"))) == 1


def test_14_node_that_is_always_restarted_may_end_well(flow: Flow) -> None:
    flow.node("a", CRASHES.format(0), inputs=TICKS, restart_policy="always", max_restarts=2)
    assert flow.run().code == 0
    assert flow.said("a") == ["run 0", "run 1", "run 2"]


def test_15_node_without_inputs_is_restarted_too(crashed: Flow) -> None:
    assert crashed.said("alone") == ["run 0", "run 1", "run 2"]
    assert "Node `alone` failed: exited with code 1 (after 2 restarts)" in crashed.last.wait().stderr


def test_16_restarts_outside_the_window_are_not_counted(flow: Flow) -> None:
    policy = {"restart_policy": "on-failure", "max_restarts": 1, "restart_window": 0.05, "restart_delay": 0.05}
    flow.node("a", "import time\ntime.sleep(0.1)\n" + CRASHES.format(1), inputs=TICKS, **policy)
    run = flow.start()
    run.wait_said("a", "run 3")
    run.stop()


def test_18_silent_input_closes_and_recovers(flow: Flow) -> None:
    code = "for i in range(2):\n    node.send_output('out', pa.array([i]))\n    time.sleep(0.6)"
    flow.node("a", SENDS_AND + code, outputs=["out"])
    flow.node("b", PRINTS, inputs={"in": {"source": "a/out", "input_timeout": 0.2}})
    assert flow.run().code == 0
    said = flow.said("b")[1:]
    silence = ["dora: nothing came on input 'in' for its input_timeout", "INPUT_CLOSED in"]
    assert said[:5] == ["INPUT in 0", *silence, "INPUT_RECOVERED in", "INPUT in 1"]
    assert said[-1] == "STOP ALL_INPUTS_CLOSED"


def test_19_input_timeout_of_a_timer_has_no_effect(flow: Flow) -> None:
    flow.node("b", PRINTS, inputs={"in": {"source": "dora/timer/millis/300", "input_timeout": 0.05}})
    run = flow.start()
    run.wait_said("b", "INPUT in 2")
    assert run.stop().code == 0
    assert ends_of(flow) == ["STOP MANUAL"]


def test_26_reserved_variables_are_dropped_with_a_warning(flow: Flow) -> None:
    reserved = {"LD_PRELOAD": "x", "DORA_NODE_CONFIG": "{}", "ZENOH_CONFIG": "x"}
    flow.node("a", "import os\nprint(os.environ.get('LD_PRELOAD'), os.environ.get('ZENOH_CONFIG'))", env=reserved)
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("a") == ["None None"]
    assert ended.stderr.count("is ignored: dora sets or forbids this variable") == 3, ended


def commit(repository: Path, text: str, *more: list[str]) -> None:
    (repository / "a.py").write_text(f"print({text!r})")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["add", "."], [*who, "commit", "-q", "-m", text], *more):
        subprocess.run(["git", *words], cwd=repository, check=True)


def test_28_repository_is_taken_at_its_tag_its_branch_and_its_lock(flow: Flow, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    commit(repository, "one", ["tag", "v1"])
    commit(repository, "two")
    source = {"git": f"file://{repository}"}
    flow.other_node("tagged", "a.py", **source, tag="v1")
    flow.other_node("latest", "a.py", **source, branch="main")
    assert flow.run("--write-lockfile").code == 0
    assert (flow.said("tagged"), flow.said("latest")) == (["one"], ["two"])
    commit(repository, "three")
    assert flow.run("--locked").code == 0
    assert flow.said("latest") == ["two"]
    assert flow.run().code == 0
    assert flow.said("latest") == ["three"]


def test_29_build_that_fails_starts_nothing(flow: Flow) -> None:
    flow.node("a", PRINTS, build="echo first\nfalse\necho third")
    ended = flow.run()
    assert ended.code == 1, ended
    assert "first" in ended.stdout + ended.stderr, ended
    assert "third" not in ended.stdout, ended
    assert not list(flow.folder.glob("out/*/log_a.jsonl"))


def test_30_managed_environments_are_made_once(flow: Flow) -> None:
    flow.node("a", "import sys\nprint(sys.prefix)", build="true")
    assert flow.run("--uv").code == 0
    made = flow.folder / ".dora" / "python-envs" / "a"
    assert flow.said("a") == [str(made)]
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_dir() and path.name != "__pycache__"}
    assert flow.run("--uv").code == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_31_modules_nest_take_parameters_and_may_miss_an_input(flow: Flow) -> None:
    outer = "module: {name: o, inputs: [i], inputs_optional: [j], outputs: [out]}\n"
    outer += "nodes: [{id: in, module: deep/inner.yml, inputs: {i: _mod/i, j: _mod/j}, params: {k: $PARAM_WORD-2}}]\n"
    inner = "module: {name: i, inputs: [i], inputs_optional: [j], outputs: [out]}\n"
    inner += "nodes: [{id: x, path: x.py, args: $PARAM_K, inputs: {i: _mod/i, j: _mod/j}, outputs: [out]}]\n"
    (flow.folder / "mods" / "deep").mkdir(parents=True)
    (flow.folder / "mods" / "outer.yml").write_text(outer)
    (flow.folder / "mods" / "deep" / "inner.yml").write_text(inner)
    code = "words = [sys.argv[1], *node.node_config()['inputs']]\nnode.next()\nnode.send_output('out', pa.array(words))"
    (flow.folder / "mods" / "deep" / "x.py").write_text(SENDS_AND + code)
    flow.node("a", ONE, outputs=["out"])
    flow.module("m", "mods/outer.yml", inputs={"i": "a/out"}, params={"word": "w"})
    flow.node("b", PRINTS, inputs={"in": "m/out"})
    assert flow.run().code == 0
    assert "INPUT in w-2 i" in flow.said("b")


def test_32_message_of_a_wrong_type_raises_where_asked_for(flow: Flow) -> None:
    code = "try:\n    node.send_output('out', pa.array([1.5]))\nexcept RuntimeError as error:\n    print(error)\n"
    types = {"out": "std/core/v1/Int64"}
    flow.node("a", ONE + code, outputs=["out"], output_types=types, env={"DORA_RUNTIME_TYPE_CHECK": "error"})
    flow.node("b", PRINTS, inputs=READS_A)
    assert flow.run().code == 0
    assert flow.said("a") == ["output `out` is std/core/v1/Int64 (int64), but the message is an array of double"]
    assert flow.said("b")[1:] == ["INPUT in 1", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
