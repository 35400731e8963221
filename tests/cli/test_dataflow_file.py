"""Dataflow files that are named by a URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]
TEXT = "nodes: [{id: a, path: sh}]\n"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where `served/` can be asked for over HTTP; the current folder is an empty one beside it."""
    (tmp_path / "served").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "served" / "flow.yml").write_text(TEXT)
    monkeypatch.chdir(tmp_path / "here")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_file_of_a_url_is_downloaded_into_the_current_folder(url: str, capsys: Capture) -> None:
    assert run_command(["validate", f"{url}/flow.yml?raw=1"]) == 0
    assert Path("flow.yml").read_text() == TEXT
    assert capsys.readouterr().err == f"downloaded {url}/flow.yml?raw=1 to ./flow.yml\n"


def test_same_file_is_downloaded_twice_and_kept(url: str, capsys: Capture) -> None:
    assert [run_command(["validate", f"{url}/flow.yml"]) for _ in range(2)] == [0, 0]


def test_another_file_of_that_name_is_not_overwritten(url: str, capsys: Capture) -> None:
    Path("flow.yml").write_text("mine")
    assert run_command(["build", f"{url}/flow.yml"]) == 1
    assert Path("flow.yml").read_text() == "mine"
    assert capsys.readouterr().err.startswith(
        f"error: flow.yml is here already, and is another file than {url}/flow.yml;"
    )


def test_answer_of_the_server_is_told(url: str, capsys: Capture) -> None:
    assert run_command(["run", f"{url}/no.yml"]) == 1
    assert capsys.readouterr().err == f"error: cannot download {url}/no.yml: the server answered 404 File not found\n"


@pytest.mark.parametrize(
    "wrong", ["http://127.0.0.1:9/f.yml", "http://", "https://[/f.yml", "http://127.0.0.1:x/f.yml"]
)
def test_url_that_leads_nowhere_is_told(wrong: str, capsys: Capture) -> None:
    assert run_command(["graph", wrong]) == 1
    assert capsys.readouterr().err.startswith(f"error: cannot download {wrong}: ")
