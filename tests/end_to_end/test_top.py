"""`dora top` on a dataflow that runs."""

from __future__ import annotations

import json

import pytest

from dora.cli.main import run_command
from dora.messages import runner_daemon as messages
from end_to_end.running import Flow, wait_until
from end_to_end.test_admin import open_link
from end_to_end.test_taps import COUNTER, READER

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_home(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_HOME", str(flow.home))
    monkeypatch.setattr("dora.transport.rendezvous.bases", lambda environ: [str(flow.home)])


def test_once_prints_what_the_nodes_of_a_run_do(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    flow.node("counter", COUNTER, inputs={"tick": "dora/timer/millis/10"}, outputs=["out", "large", "quiet"])
    flow.node("reader", READER, inputs={"in": "counter/out"})
    run = flow.start()
    with open_link(flow) as link:
        wait_until(lambda: link.ask(messages.Describe(), messages.Described).edges[0].sent > 5, what="messages")
    assert run_command(["top", "--once"]) == 0
    counter, reader = json.loads(capsys.readouterr().out)
    assert counter["inputs"] == [{"id": "tick", "source": "dora/timer/millis/10"}]
    (port,) = reader["inputs"]
    assert 20 < port["rate_hz"] < 110
    assert port["sent"] == port["taken"] + port["queue_depth"] + port["dropped"] > 5
    assert (reader["node_id"], reader["metrics"]["status"]) == ("reader", "running")
    assert reader["metrics"]["pid"] == run.nodes()["reader"]
    assert reader["metrics"]["memory_mb"] > 5
    assert reader["metrics"]["disk_read_mb_s"] is not None


def test_once_prints_an_empty_list_when_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["top", "--once"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_without_a_terminal_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["top"]) == 1
    assert capsys.readouterr().err == (
        "error: `dora top` needs a terminal; `dora top --once` prints one JSON document\n"
    )
