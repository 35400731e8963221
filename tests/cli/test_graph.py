"""`dora graph`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]

GOOD = "nodes:\n- {id: a, path: a.py, outputs: [o], env: {KEY: $SECRET}}\n- {id: b, path: b.py, inputs: {i: a/o}}\n"
MERMAID = 'flowchart TB\n  a[\\"a"/]\n  b[/"b"\\]\n  a -- "o as i" --> b\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a good and a bad dataflow."""
    monkeypatch.chdir(tmp_path)
    Path("good.yml").write_text(GOOD)
    Path("bad.yml").write_text(GOOD.replace("a/o", "c/o"))
    return tmp_path


def test_page_is_written_to_the_current_folder(capsys: Capture, folder: Path) -> None:
    assert run_command(["graph", "good.yml"]) == 0
    url = (folder / "good-graph.html").as_uri()
    assert capsys.readouterr() == (f"View graph by opening the following in your browser:\n  {url}\n", "")
    assert Path("good-graph.html").read_text().startswith("<!DOCTYPE html>")


def test_older_page_is_replaced() -> None:
    assert [run_command(["graph", "good.yml"]), run_command(["graph", "good.yml"])] == [0, 0]
    assert [path.name for path in Path().glob("*.html")] == ["good-graph.html"]


def test_page_goes_where_it_is_told_to(capsys: Capture) -> None:
    assert run_command(["graph", "good.yml", "-o", "x.html"]) == 0
    assert Path("x.html").is_file()
    assert run_command(["graph", "good.yml", "-o", "-"]) == 0
    assert "<!DOCTYPE html>" in capsys.readouterr().out


def test_mermaid_is_all_that_stands_on_stdout(capsys: Capture) -> None:
    assert run_command(["graph", "--mermaid", "good.yml"]) == 0
    assert capsys.readouterr() == (MERMAID, "")


def test_mermaid_can_be_written_to_a_file(capsys: Capture) -> None:
    assert run_command(["graph", "--mermaid", "good.yml", "-o", "x.mmd"]) == 0
    assert (Path("x.mmd").read_text(), capsys.readouterr().out) == (MERMAID, "Wrote x.mmd\n")


def test_variables_are_shown_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    assert run_command(["graph", "good.yml"]) == 0
    text = Path("good-graph.html").read_text()
    assert "KEY: $SECRET" in text
    assert "hunter2" not in text


def test_wrong_dataflow_is_drawn_with_what_is_missing_and_the_exit_code_is_1(capsys: Capture) -> None:
    assert run_command(["graph", "bad.yml"]) == 1
    assert "error: bad.yml:3:35: node 'b': input 'i': there is no node 'c'" in capsys.readouterr().err
    assert '"kind": "missing"' in Path("bad-graph.html").read_text()


@pytest.mark.parametrize("text", ["nodes: [}", "5", "", "other: 1"])
def test_what_cannot_be_drawn_is_said_and_nothing_is_written(capsys: Capture, text: str) -> None:
    Path("x.yml").write_text(text)
    assert run_command(["graph", "x.yml"]) == 1
    assert capsys.readouterr().err.startswith("error: x.yml:")
    assert not Path("x-graph.html").exists()


def test_place_that_cannot_be_written_is_an_error(capsys: Capture) -> None:
    assert run_command(["graph", "good.yml", "-o", "no/x.html"]) == 1
    assert capsys.readouterr().err == "error: cannot write no/x.html: No such file or directory\n"


def test_page_is_opened_in_the_browser(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or True)
    assert run_command(["graph", "good.yml", "--open"]) == 0
    assert opened == [(folder / "good-graph.html").as_uri()]


def test_missing_browser_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert run_command(["graph", "good.yml", "--open"]) == 0
    assert "warning: no browser found; open file:///" in capsys.readouterr().err


def test_mermaid_cannot_be_opened(capsys: Capture) -> None:
    assert run_command(["graph", "good.yml", "--open", "--mermaid"]) == 2
    assert "error: --open needs the page" in capsys.readouterr().err


def test_file_and_running_dataflow_exclude_each_other(capsys: Capture) -> None:
    assert [run_command(["graph"]), run_command(["graph", "good.yml", "-d", "demo"])] == [2, 2]
    assert "expected FILE, or -d and a dataflow that runs" in capsys.readouterr().err
