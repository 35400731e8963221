"""The 32 scenarios of the dataflow reference, one test each, in its order (dora dataflow-yaml, section 24).

Graces are shorter here than the defaults; what follows them is counted from there.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from end_to_end.node_sources import COOPERATIVE, DEAF, TICKS
from end_to_end.outside import Shell
from end_to_end.running import Ended, Flow, wait_until

pytestmark = pytest.mark.slow

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
ON_SIGTERM = "import signal, sys\nsignal.signal(signal.SIGTERM, {})\n"
ENDS = ["NODE_FAILED a", "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]
READS_A = {"in": "a/out"}


def ends_of(flow: Flow, node: str = "b") -> list[str]:
    """What it was told besides messages and ticks."""
    return [line for line in flow.said(node) if not line.startswith(("INPUT ", "ready"))]


def test_01_every_message_of_the_guide_s_sender_is_received(flow: Flow) -> None:
    flow.node("a", SENDS_AND + "for i in range(100):\n    node.send_output('out', pa.array([i]))", outputs=["out"])
    flow.node("b", PRINTS, inputs=READS_A)
    assert flow.run().code == 0
    assert flow.said("b")[1:] == [*(f"INPUT in {i}" for i in range(100)), "INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


def test_02_failed_node_ends_its_reader_and_nobody_else(flow: Flow) -> None:
    flow.node("a", ONE + "sys.exit(3)", outputs=["out"])
    flow.node("b", PRINTS, inputs=READS_A)
    flow.node("c", COOPERATIVE, inputs=TICKS)
    run = flow.start()
    run.wait_said("b", ENDS[-1])
    run.wait_said("c", "INPUT")
    ended = run.stop()
    assert ended.code == 1, ended
    assert (ends_of(flow), flow.said("c")[-1]) == (ENDS, "STOP MANUAL")
    assert ended.stderr.startswith("Dataflow failed:\n\nNode `a` failed: exited with code 3\n"), ended
    assert ended.stderr.count("failed:") == 2, ended


def test_03_traceback_of_a_failed_node_is_in_the_report(flow: Flow) -> None:
    flow.node("a", SENDS_AND + "raise ValueError('too dark')")
    ended = flow.run()
    assert ended.code == 1, ended
    assert "Traceback (most recent call last):" in ended.stderr
    assert "ValueError: too dark" in ended.stderr


def test_04_segmentation_fault_is_named_and_told_in_order(flow: Flow) -> None:
    flow.node("a", ONE + "os.kill(os.getpid(), signal.SIGSEGV)", outputs=["out"])
    flow.node("b", PRINTS, inputs=READS_A)
    ended = flow.run()
    assert ended.code == 1, ended
    assert "Node `a` failed: exited because of signal SIGSEGV" in ended.stderr, ended
    assert ends_of(flow) == ENDS


def test_05_exit_with_0_before_the_start_fails_the_others(flow: Flow) -> None:
    flow.node("a", "", outputs=["out"])
    flow.node("b", PRINTS, inputs=READS_A)
    ended = flow.run()
    assert ended.code == 1, ended
    assert "a" in ended.stderr
    assert flow.said("b")[:1] != ["ready"]


def test_06_exit_with_4_before_the_start_is_the_cause(flow: Flow) -> None:
    flow.node("a", "raise SystemExit(4)", outputs=["out"])
    flow.node("b", PRINTS, inputs=READS_A)
    ended = flow.run()
    assert ended.code == 1, ended
    assert "Node `a` failed: exited with code 4" in ended.stderr, ended
    assert "Node `b` failed" not in ended.stderr, ended


def test_07_lone_program_that_knows_nothing_of_dora_succeeds(flow: Flow) -> None:
    script = flow.folder / "script"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    flow.other_node("a", "script")
    assert flow.run().code == 0


def stopped(flow: Flow, code: str, grace: str = "300ms") -> Ended:
    flow.node("a", code, inputs=TICKS)
    run = flow.start("--grace", grace)
    run.wait_said("a", "ready")
    return run.stop()


def test_08_node_that_ignores_stop_dies_of_sigterm_and_that_is_fine(flow: Flow) -> None:
    assert stopped(flow, DEAF).code == 0


def test_09_node_that_answers_sigterm_with_5_has_failed(flow: Flow) -> None:
    ended = stopped(flow, ON_SIGTERM.format("lambda *_: sys.exit(5)") + DEAF)
    assert ended.code == 1, ended


def test_10_node_that_ignores_sigterm_is_killed(flow: Flow) -> None:
    ended = stopped(flow, ON_SIGTERM.format("signal.SIG_IGN") + DEAF)
    assert ended.code == 1, ended
    assert "didn't react" in ended.stderr


def test_11_second_ctrl_c_ends_everything_at_once(flow: Flow) -> None:
    flow.node("a", ON_SIGTERM.format("signal.SIG_IGN") + DEAF, inputs=TICKS)
    run = flow.start()
    run.wait_said("a", "ready")
    run.signal(signal.SIGINT)
    wait_until(lambda: "waiting for a" in run.stderr(), what="the stop")
    ended = run.stop(5)
    assert ended.code == 1, ended


def test_12_killed_run_leaves_no_node(flow: Flow) -> None:
    flow.node("a", DEAF, inputs=TICKS)
    run = flow.start()
    run.wait_said("a", "ready")
    run.process.kill()
    wait_until(lambda: not run.pids(), timeout_s=5, what="the end of all processes")


def test_13_node_that_always_fails_is_restarted_twice(flow: Flow) -> None:
    policy = {"restart_policy": "on-failure", "max_restarts": 2, "restart_delay": 0.1}
    flow.node("a", CRASHES.format(1), inputs=TICKS, outputs=["out"], **policy)
    flow.node("b", PRINTS, inputs=READS_A)
    ended = flow.run()
    assert ended.code == 1, ended
    assert flow.said("a") == ["run 0", "run 1", "run 2"]
    assert ends_of(flow) == ["NODE_RESTARTED a", "NODE_RESTARTED a", *ENDS]
    assert len(list(flow.folder.glob("out/*/log_a.jsonl"))) == 1


def test_14_node_that_is_always_restarted_may_end_well(flow: Flow) -> None:
    flow.node("a", CRASHES.format(0), inputs=TICKS, restart_policy="always", max_restarts=2)
    assert flow.run().code == 0
    assert flow.said("a") == ["run 0", "run 1", "run 2"]


def test_15_node_without_inputs_is_restarted_too(flow: Flow) -> None:
    flow.node("a", CRASHES.format(1), restart_policy="on-failure", max_restarts=2, restart_delay=0.05)
    assert flow.run().code == 1
    assert flow.said("a") == ["run 0", "run 1", "run 2"]


def test_16_restarts_outside_the_window_are_not_counted(flow: Flow) -> None:
    policy = {"restart_policy": "on-failure", "max_restarts": 1, "restart_window": 0.05, "restart_delay": 0.05}
    flow.node("a", "import time\ntime.sleep(0.1)\n" + CRASHES.format(1), inputs=TICKS, **policy)
    run = flow.start()
    run.wait_said("a", "run 3")
    run.stop()


def test_17_node_that_does_not_come_to_its_start_in_time_is_killed(flow: Flow) -> None:
    flow.node("a", "import time\ntime.sleep(1000)", startup_timeout=0.5)
    ended = flow.run(timeout_s=10)
    assert ended.code == 1, ended
    assert "startup_timeout" in ended.stderr + ended.stdout, ended


def test_18_silent_input_closes_and_recovers(flow: Flow) -> None:
    code = "for i in range(2):\n    node.send_output('out', pa.array([i]))\n    time.sleep(0.6)"
    flow.node("a", SENDS_AND + code, outputs=["out"])
    flow.node("b", PRINTS, inputs={"in": {"source": "a/out", "input_timeout": 0.2}})
    assert flow.run().code == 0
    said = [line for line in flow.said("b") if line.split()[0].isupper()]
    assert said[:4] == ["INPUT in 0", "INPUT_CLOSED in", "INPUT_RECOVERED in", "INPUT in 1"]
    assert said[-1] == "STOP ALL_INPUTS_CLOSED"


def test_19_input_timeout_of_a_timer_has_no_effect(flow: Flow) -> None:
    flow.node("b", PRINTS, inputs={"in": {"source": "dora/timer/millis/300", "input_timeout": 0.05}})
    run = flow.start()
    run.wait_said("b", "INPUT in 2")
    assert run.stop().code == 0
    assert ends_of(flow) == ["STOP MANUAL"]


def with_timer(flow: Flow) -> None:
    flow.node("a", ONE, outputs=["out"])
    flow.node("b", PRINTS, inputs={**READS_A, "tick": "dora/timer/millis/50"})


def test_20_node_with_a_timer_runs_on_unless_told_to_finish(flow: Flow) -> None:
    with_timer(flow)
    run = flow.start()
    run.wait_said("b", "INPUT_CLOSED in")
    run.wait_said("b", f"INPUT tick {len(run.said('b')) + 2}")
    assert run.stop().code == 0
    assert ends_of(flow) == ["INPUT_CLOSED in", "STOP MANUAL"]
    flow.keys["exit_when_nodes_finish"] = True
    assert flow.run().code == 0
    assert ends_of(flow) == ["INPUT_CLOSED in", "STOP ALL_INPUTS_CLOSED"]


def test_21_node_with_only_a_timer_keeps_the_dataflow_running(flow: Flow) -> None:
    with_timer(flow)
    flow.node("c", COOPERATIVE, inputs=TICKS)
    run = flow.start("--exit-when-nodes-finish")
    run.wait_said("b", "STOP ALL_INPUTS_CLOSED")
    count = len(run.said("c"))
    wait_until(lambda: len(run.said("c")) > count + 5, what="ticks")
    assert run.stop().code == 0


def test_22_node_that_goes_on_after_the_end_is_stopped_and_has_failed(flow: Flow) -> None:
    flow.node("a", ONE, outputs=["out"])
    flow.node("b", PRINTS + "import time\ntime.sleep(1000)", inputs=READS_A)
    ended = flow.run("--grace", "300ms", timeout_s=15, environment={"DORA_FINISH_DRAIN_GRACE_SECS": "1"})
    assert ended.code == 1, ended
    assert "Node `b` failed" in ended.stderr


def test_23_dynamic_source_may_come_and_go(flow: Flow) -> None:
    flow.other_node("a", "dynamic", outputs=["out"])
    flow.node("b", PRINTS, inputs={**READS_A, "tick": "dora/timer/millis/100"})
    run = flow.start()
    run.wait_said("b", "ready")
    for number in range(2):
        with Shell(flow) as shell:
            shell.do(f"import pyarrow as pa; node = Node('a'); node.send_output('out', pa.array([{number}]))")
            run.wait_said("b", f"INPUT in {number}")
            shell.do("del node")
        wait_until(lambda: ends_of(flow).count("INPUT_CLOSED in") > number, what="the closing")  # noqa: B023
    assert run.stop().code == 0


def test_24_arguments_are_split_like_a_shell_would_and_not_expanded(flow: Flow) -> None:
    flow.node("a", "import json, sys\nprint(json.dumps(sys.argv[1:]))", args="--a 'x y' \"$HOME\" b\\ c")
    assert flow.run().code == 0
    assert flow.figures("a") == ["--a", "x y", "$HOME", "b c"]


def test_25_variables_in_env_are_replaced(flow: Flow) -> None:
    env = {"A": "$HOME", "B": "${NOPE:-d}", "C": "$$HOME"}
    flow.node("a", "import json, os\nprint(json.dumps([os.environ[name] for name in 'ABC']))", env=env)
    assert flow.run(environment={"HOME": "/home/me"}).code == 0
    assert flow.figures("a") == ["/home/me", "d", "$HOME"]


def test_26_reserved_variables_are_dropped_with_a_warning(flow: Flow) -> None:
    reserved = {"LD_PRELOAD": "x", "DORA_NODE_CONFIG": "{}", "ZENOH_CONFIG": "x"}
    flow.node("a", "import os\nprint(os.environ.get('LD_PRELOAD'), os.environ.get('ZENOH_CONFIG'))", env=reserved)
    ended = flow.run()
    assert ended.code == 0, ended
    assert flow.said("a") == ["None None"]
    assert ended.stderr.count("is ignored: dora sets or forbids this variable") == 3, ended


def test_27_timer_node_ticks(flow: Flow) -> None:
    flow.other_node("a", "dora/timer/millis/50", outputs=["out"])
    flow.node("b", PRINTS, inputs=READS_A)
    run = flow.start()
    run.wait_said("b", "INPUT in 2")
    assert run.stop().code == 0


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
