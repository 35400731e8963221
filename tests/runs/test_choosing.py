"""Which dataflow is meant by a word."""

from __future__ import annotations

import pytest

from dora.messages import api
from dora.runs.choosing import ChoiceError, choose, choose_running


def info(identity: str, name: str, state: str = "running") -> api.DataflowInfo:
    """A dataflow."""
    return api.DataflowInfo(id=identity, name=name, file="/x/graph.yml", state=state)


KNOWN = [
    info("aaaa-1", "demo"),
    info("aaaa-2", ""),
    info("bbbb-1", "demo", "finished"),
    info("bbbb-2", "old", "failed"),
    info("cccc-1", "old", "finished"),
]


@pytest.mark.parametrize(
    ("wanted", "identity"),
    [("demo", "aaaa-1"), ("aaaa-2", "aaaa-2"), ("bbbb-1", "bbbb-1"), ("old", "bbbb-2"), ("cccc", "cccc-1")],
)
def test_a_word_means_an_id_a_name_or_the_beginning_of_an_id(wanted: str, identity: str) -> None:
    assert choose(KNOWN, wanted).id == identity


def test_a_beginning_of_several_ids_is_refused() -> None:
    with pytest.raises(ChoiceError, match="the beginning of 2 ids:\n  aaaa-1  demo\n  aaaa-2"):
        choose(KNOWN, "aaaa")


def test_the_file_of_what_runs_will_do() -> None:
    known = [info("aaaa-1", "demo"), info("bbbb-1", "old", "finished")]
    assert [choose(known, word).id for word in ("graph.yml", "/x/graph.yml")] == ["aaaa-1", "aaaa-1"]
    assert choose(KNOWN, "(graph.yml)").id == "aaaa-2"
    with pytest.raises(ChoiceError, match=r"2 dataflows of graph[.]yml are running:\n  aaaa-1  demo\n  aaaa-2"):
        choose(KNOWN, "graph.yml")


@pytest.mark.parametrize("wanted", ["dmo", "", "aa", "x" * 40])
def test_a_word_that_means_nothing_says_what_runs(wanted: str) -> None:
    with pytest.raises(ChoiceError, match="running are:\n  aaaa-1  demo") as caught:
        choose(KNOWN, wanted)
    assert caught.value.hint == ("did you mean `demo`?" if wanted == "dmo" else "`dora list` shows all that are known")


def test_the_only_one_that_runs_needs_no_name() -> None:
    assert choose_running(KNOWN[1:]).id == "aaaa-2"


def test_without_a_name_several_are_refused() -> None:
    with pytest.raises(ChoiceError, match="2 dataflows are running") as caught:
        choose_running(KNOWN)
    assert caught.value.code == api.AMBIGUOUS


def test_without_a_name_none_is_refused_with_what_to_do() -> None:
    with pytest.raises(ChoiceError, match="no dataflow is running") as caught:
        choose_running(KNOWN[2:])
    assert caught.value.hint == "start one with `dora start FILE`"
