"""Commands that speak to the service, with a service and runs that live in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.conftest import StartRun
from daemon.conftest import start_run as start_run
from daemon.served import ServedService
from dora.cli.main import run_command
from dora.messages import runner_daemon as messages

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime directory, with the current directory beside it."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("DORA_HOME", str(home))
    monkeypatch.chdir(tmp_path / "here")
    return home


@pytest.fixture
def served(base: Path) -> Iterator[ServedService]:
    """The service of that base."""
    served = ServedService(base)
    yield served
    served.end()


def test_list_as_table_as_json_and_as_ids(start_run: StartRun, capsys: Capture) -> None:
    start_run("demo")
    assert run_command(["list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["UUID", "Name", "Status", "Nodes", "CPU", "Memory"]
    assert row.split()[:4] == ["id-of-demo", "demo", "Running", "1"]
    assert run_command(["ps", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["uuid"], shown["name"], shown["status"], shown["nodes"]) == ("id-of-demo", "demo", "Running", 1)
    assert run_command(["list", "-q"]) == 0
    assert capsys.readouterr().out == "id-of-demo\n"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["arm", "car"]),
        (["--status", "running"], ["arm"]),
        (["--status", "FINISHED"], ["car"]),
        (["--name", "CA"], ["car"]),
        (["--sort-by", "memory"], ["arm", "car"]),
        (["--name", "x"], []),
    ],
)
def test_list_shows_what_is_asked_for(
    start_run: StartRun, capsys: Capture, options: list[str], names: list[str]
) -> None:
    start_run("arm")
    start_run("car")
    run_command(["stop", "car"])
    capsys.readouterr()
    assert run_command(["list", *options]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == names


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["stop"], "for example `dora stop arm`"),
        (["restart"], "for example `dora restart arm`"),
        (["node", "info", "camera"], "for example `dora node info -d arm`"),
        (["topic", "list"], "for example `dora topic list -d arm`"),
    ],
)
def test_of_several_dataflows_one_must_be_named_and_how(
    start_run: StartRun, capsys: Capture, words: list[str], hint: str
) -> None:
    start_run("arm")
    start_run("car")
    assert run_command(words) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: 2 dataflows are running, say which is meant:\n  id-of-arm  arm\n  id-of-car  car\n")
    assert err.endswith(f"hint: {hint}\n")


@pytest.mark.parametrize("words", [["stop", "amr"], ["logs", "amr"], ["node", "list", "-d", "amr"], ["restart", "amr"]])
def test_a_mistyped_name_is_answered_with_the_near_one(start_run: StartRun, capsys: Capture, words: list[str]) -> None:
    start_run("arm")
    assert run_command(words) == 1
    message = "error: there is no dataflow `amr`; running are:\n  id-of-arm  arm\nhint: did you mean `arm`?\n"
    assert capsys.readouterr().err == message


def test_stop_says_what_it_has_stopped_and_what_was_over(start_run: StartRun, capsys: Capture) -> None:
    start_run("arm")
    assert run_command(["stop", "arm"]) == 0
    assert run_command(["stop", "arm"]) == 0
    assert run_command(["stop"]) == 0
    said = "stopped arm (id-of-arm)\narm (id-of-arm) had ended already: finished\nno dataflow is running\n"
    assert capsys.readouterr().out == said


def test_stop_all_stops_all(start_run: StartRun, capsys: Capture) -> None:
    runs = [start_run("arm"), start_run("car")]
    assert run_command(["stop", "--all", "--grace", "2s"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Stopped 2 dataflow(s)."
    assert [run.asked[0] for run in runs] == [messages.Stop("dora stop", 2.0)] * 2


@pytest.mark.parametrize(
    "words",
    [
        ["stop", "--force", "--grace", "1"],
        ["stop", "--all", "arm"],
        ["stop", "arm", "--name", "arm"],
        ["list", "-q", "--format", "json"],
        ["clean", "-q", "--format", "json"],
        ["node", "list", "-q", "--format", "json"],
        ["down", "--force", "--keep"],
        ["start", "x.yml", "--attach", "--detach"],
        ["start", "x.yml", "--lockfile", "lock"],
        ["list", "--coordinator-port", "0"],
    ],
)
def test_options_that_exclude_each_other_are_a_wrong_command_line(words: list[str], capsys: Capture) -> None:
    assert run_command(words) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_clean_forgets_and_says_what(start_run: StartRun, capsys: Capture) -> None:
    start_run("arm")
    run_command(["stop", "arm"])
    capsys.readouterr()
    assert run_command(["clean", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"uuid": "id-of-arm", "name": "arm", "status": "Finished"}
    assert err == "Cleaned 1 dataflow(s).\n"
    assert run_command(["clean"]) == 0
    assert capsys.readouterr() == ("", "No finished or failed dataflows to clean.\n")


def test_node_list_of_nothing_says_what_to_do(capsys: Capture) -> None:
    assert run_command(["node", "list"]) == 0
    assert capsys.readouterr() == (
        "NODE  STATUS  PID  CPU  MEMORY  RESTARTS  DATAFLOW\n",
        "no dataflow is running; start one with `dora start FILE` or `dora run FILE`\n",
    )


def test_node_commands_find_the_only_dataflow_that_has_the_node(start_run: StartRun, capsys: Capture) -> None:
    run = start_run("arm")
    assert run_command(["node", "restart", "camera", "--grace", "1s"]) == 0
    assert run_command(["node", "stop", "camera", "-d", "arm"]) == 0
    said = "Node `camera` restart initiated\nNode `camera` is being stopped\n"
    assert capsys.readouterr().out == said
    assert run.asked == [messages.RestartNode("camera", 1.0), messages.StopNode("camera", 5.0, False)]


def test_node_info_as_text_and_json(start_run: StartRun, capsys: Capture) -> None:
    start_run("arm")
    assert run_command(["node", "info", "camera"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Node of arm (id-of-arm):\n  Node: camera\n")
    assert "Outputs:\n  image -> (no subscribers)\n" in shown
    assert run_command(["node", "info", "camera", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["dataflow_name"], document["id"], document["pid"]) == ("arm", "camera", os.getpid())


def test_an_unknown_node_is_answered_with_the_near_one(start_run: StartRun, capsys: Capture) -> None:
    start_run("arm")
    assert run_command(["node", "info", "camra"]) == 1
    message = "error: there is no node `camra` in arm (nodes: camera)\nhint: did you mean `camera`?\n"
    assert capsys.readouterr().err == message


def test_status_names_the_service_and_counts(start_run: StartRun, capsys: Capture, base: Path) -> None:
    start_run("arm")
    assert run_command(["status"]) == 0
    first, address, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"✓ Service: Running (pid {os.getpid()}, dora ")
    assert (address, last) == (f"  Address: {base}/service.sock", "Active dataflows: 1")
    assert run_command(["system", "status", "-f", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    states = (document["coordinator"]["status"], document["daemon"]["status"], document["active_dataflows"])
    assert states == ("running", "running", 1)


def test_status_without_a_service_fails_and_says_what_starts_it(served: ServedService, capsys: Capture) -> None:
    served.end()
    assert run_command(["check"]) == 1
    out, err = capsys.readouterr()
    assert out == "✗ Service: Not running\nActive dataflows: 0\n"
    assert err == "System check failed.\nhint: `dora up` starts the service; `dora run FILE` needs none\n"


def test_up_beside_a_service_says_that_it_runs(served: ServedService, capsys: Capture) -> None:
    said = f"the dora service is already running (pid {os.getpid()}), http://127.0.0.1:{served.port}\n"
    for options in ([], ["--listen", f"127.0.0.1:{served.port}"], ["--coordinator-port", str(served.port)]):
        assert run_command(["up", *options]) == 0
        assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--listen", "0.0.0.0:1"], "it does not listen on 0.0.0.0:1"),
        (["--coordinator-addr", "::1"], "it does not listen on [::1]:6013"),
        (["--recreate-store"], "it keeps its history"),
    ],
)
def test_up_with_what_the_service_was_not_started_with_says_what(
    options: list[str], fault: str, capsys: Capture
) -> None:
    assert run_command(["up", *options]) == 1
    hint = "hint: `dora down --keep`, then `dora up` again; dataflows go on meanwhile\n"
    assert capsys.readouterr().err == f"error: {fault}\n{hint}"


def test_down_is_refused_while_dataflows_run_and_names_the_ways_out(start_run: StartRun, capsys: Capture) -> None:
    start_run("arm")
    assert run_command(["down"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: 1 dataflow is running:\n  id-of-arm  arm\nhint: `dora stop --all` stops them, ")
    assert run_command(["status"]) == 0


def test_a_bad_name_is_refused_before_anything_is_started(served: ServedService, capsys: Capture) -> None:
    served.end()
    assert run_command(["start", "dataflow.yml", "--name", "a b"]) == 1
    assert capsys.readouterr().err.startswith("error: --name 'a b': a name has 1 to 64 letters, digits")


def test_logs_are_found_by_the_name_of_what_runs_or_ran(start_run: StartRun, capsys: Capture, base: Path) -> None:
    run = start_run("arm")
    folder = base / "logs"
    folder.mkdir()
    line = '{"ts":"2026-01-01T00:00:00.123Z","level":"stdout","node":"camera","stream":"stdout","msg":"hi"}\n'
    (folder / "log_camera.jsonl").write_text(line)
    run.now = replace(run.now, log_dir=str(folder))
    for words in (["arm"], [], ["id-of"]):
        assert run_command(["logs", *words, "--format", "compact"]) == 0
        assert capsys.readouterr().out.endswith("STDOUT camera: hi\n")
    run_command(["stop", "arm"])
    capsys.readouterr()
    assert run_command(["logs", "arm", "--format", "compact"]) == 0
    assert capsys.readouterr().out.endswith("STDOUT camera: hi\n")


def test_logs_that_could_not_be_written_are_said_to_be_missing(
    start_run: StartRun, capsys: Capture, base: Path
) -> None:
    run = start_run("arm")
    run.now = replace(run.now, log_dir=str(base / "nowhere"))
    assert run_command(["logs", "arm"]) == 1
    message = f"error: no logs in {base}/nowhere: the folder could not be written, or has been removed\n"
    assert capsys.readouterr().err == message


LINE = '{"ts":"2026-01-01T00:00:0%d.123Z","level":"%s","node":"%s","stream":"stdout","msg":"%s"}\n'


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        ([], ["one", "two", "three"]),
        (["--tail", "1"], ["three"]),
        (["--node", "camera"], ["one", "two"]),
        (["--node", "camera", "--node", "plot"], ["one", "two", "three"]),
        (["--level", "warn"], ["two"]),
        (["--log-filter", "camera=warn"], ["two", "three"]),
        (["--grep", "TH"], ["three"]),
        (["--since", "2026-01-01T00:00:02Z", "--until", "2026-01-01T00:00:03Z"], ["two"]),
        (["--follow"], ["one", "two", "three"]),
    ],
)
def test_logs_come_through_a_service_at_an_address(
    start_run: StartRun, served: ServedService, capsys: Capture, base: Path, options: list[str], messages: list[str]
) -> None:
    run = start_run("arm")
    folder = base / "logs"
    folder.mkdir()
    (folder / "log_camera.jsonl").write_text(
        LINE % (1, "stdout", "camera", "one") + LINE % (2, "warn", "camera", "two")
    )
    (folder / "log_plot.jsonl").write_text(LINE % (3, "stdout", "plot", "three"))
    (folder / "log_dora.jsonl").touch()  # the run's own; nobody has locked the folder: it is over
    run.now = replace(run.now, log_dir=str(folder))
    address = ["--coordinator-addr", "127.0.0.1", "--coordinator-port", str(served.port)]
    assert run_command(["logs", "arm", *address, "--format", "compact", *options]) == 0
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()] == messages
