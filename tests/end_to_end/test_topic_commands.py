"""`dora topic` on a dataflow that runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from dora.cli.main import run_command
from dora.messages import runner_daemon as messages
from end_to_end.running import Flow, Run, wait_until
from end_to_end.test_admin import open_link
from end_to_end.test_taps import COUNTER, READER

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(flows: Callable[[], Flow]) -> Run:
    """One run that all tests look at."""
    flow = flows()
    flow.node("counter", COUNTER, inputs={"tick": "dora/timer/millis/10"}, outputs=["out", "large", "quiet"])
    flow.node("reader", READER, inputs={"in": "counter/out"})
    run = flow.start()
    with open_link(flow) as link:
        wait_until(lambda: link.ask(messages.Describe(), messages.Described).edges[0].sent > 5, what="messages")
    return run


@pytest.fixture
def dora(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `dora topic ...` on that run: exit code, stdout, stderr."""
    home = str(run.home)
    monkeypatch.setenv("DORA_HOME", home)
    monkeypatch.setattr("dora.transport.rendezvous.bases", lambda environ: [home])

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["topic", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_list_shows_every_output_and_its_readers(dora: Command) -> None:
    code, out, _ = dora("list")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["Node", "Name", "Subscribers"],
        ["counter", "out", "reader/in"],
        ["counter", "large"],
        ["counter", "quiet"],
    ]
    _, out, _ = dora("list", "--format", "json")
    assert json.loads(out.splitlines()[0]) == {"node": "counter", "name": "out", "subscribers": ["reader/in"]}


def test_echo_prints_messages_as_they_come(dora: Command) -> None:
    code, out, _ = dora("echo", "counter/out", "--count", "3", "--format", "json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    first = lines[0]["data"][0]
    assert [line["data"] for line in lines] == [[first], [first + 1], [first + 2]]
    assert lines[0]["name"] == "counter/out"
    assert lines[0]["metadata"]["number"] == first


def test_echo_shows_every_output_and_cuts_long_lines(dora: Command) -> None:
    code, out, _ = dora("echo", "--count", "20")
    assert code == 0
    assert {line.split("\t")[0] for line in out.splitlines()} == {"counter/out", "counter/large"}
    assert "... (100000 elements; --format json shows all)" in out
    assert max(map(len, out.splitlines())) < 2100


def test_hz_says_how_often_outputs_send(dora: Command) -> None:
    code, out, _ = dora("hz", "--duration", "1")
    assert code == 0
    rows = {row[0]: row for row in (line.split("\t") for line in out.splitlines())}
    assert list(rows) == ["topic", "ALL", "counter/out", "counter/large", "counter/quiet"]
    assert 20 < float(rows["counter/out"][2]) < 110
    assert 20 < float(rows["counter/large"][2]) < 110, "nobody reads it"
    assert rows["counter/quiet"][1:] == ["-", "-", "-", "-", "-", "0"]


def test_hz_reads_the_counters_of_an_output_that_has_readers(dora: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    attached: list[object] = []
    monkeypatch.setattr("dora.cli.topic.count_unread", lambda *arguments: attached.append(arguments) or 0)
    code, out, _ = dora("hz", "counter/out", "--duration", "0.3")
    assert (code, attached) == (0, [])
    assert int(out.splitlines()[-1].split("\t")[-1]) > 0


def test_info_shows_type_readers_and_amount(dora: Command) -> None:
    code, out, _ = dora("info", "counter/out", "--duration", "0.5")
    assert code == 0
    assert out.startswith("Topic: counter/out\nType: Int64\nPublisher:\n  * counter (")
    assert "Subscribers:\n  * reader/in\nStatistics:\n  Total messages: " in out


WRONG = [
    (("echo", "counter/ot"), 1, "error: there is no output `counter/ot`; did you mean `counter/out`? (there are:"),
    (("echo", "counter"), 1, "error: `counter` is a node; its outputs are: counter/out, counter/large"),
    (("hz",), 2, "error: without a terminal, say for how long to measure: --duration SECONDS"),
    (("info",), 2, "error: which output? There are: counter/out, counter/large, counter/quiet"),
    (("list", "-d", "nope"), 1, "error: there is no dataflow `nope`"),
]


def test_what_is_wrong_is_said(dora: Command) -> None:
    for arguments, code, text in WRONG:
        found, out, err = dora(*arguments)
        assert (found, out) == (code, "")
        assert err.startswith(text)


def test_echo_ends_by_itself_when_its_duration_is_over(dora: Command) -> None:
    assert dora("echo", "counter/quiet", "--duration", "0.2") == (0, "", "")
