"""Downloads against a server of our own that breaks off, changes its mind, or cannot continue."""

from __future__ import annotations

import errno
import hashlib
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dora.runner import downloads

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one content.

    Attributes:
        cuts: after how many bytes the next answers end; None: whole.
        codes: that the next answers have instead.
        asked: the Range header of each request.
    """

    content = CONTENT
    etag = '"one"'
    can_continue = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts: list[int | None] = []
        self.codes: list[int] = []
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/tool"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        stated = self.headers["Range"]
        self.server.asked.append(stated)
        if self.server.codes:
            self.send_error(self.server.codes.pop(0))
            return
        is_same = self.headers["If-Range"] in (None, self.server.etag)
        start = int(stated[6:-1]) if stated and self.server.can_continue and is_same else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        rest = self.server.content[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.cuts.pop(0) if self.server.cuts else None])

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(downloads, "WAIT_S", 0.0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "build" / "tool"


def test_file_is_executable_and_alone(server: Server, file: Path) -> None:
    downloads.download(server.url, str(file), "")
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o755
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("sha256", ["", SHA256])
def test_download_that_breaks_off_is_continued(server: Server, file: Path, sha256: str) -> None:
    server.cuts = [1000, 2000]
    downloads.download(server.url, str(file), sha256)
    assert file.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_checksum_and_tag_it_begins_anew(server: Server, file: Path, etag: str) -> None:
    server.etag, server.cuts = etag, [1000]
    downloads.download(server.url, str(file), "")
    assert file.read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_server_that_cannot_continue_sends_it_all_again(server: Server, file: Path) -> None:
    server.can_continue, server.cuts = False, [1000]
    downloads.download(server.url, str(file), SHA256)
    assert file.read_bytes() == CONTENT


def test_download_that_never_gets_whole_is_an_error_and_leaves_nothing(server: Server, file: Path) -> None:
    server.cuts = [1000, 0, 0]
    with pytest.raises(downloads.Incomplete, match=f"the connection ended after 1000 of {len(CONTENT)} bytes"):
        downloads.download(server.url, str(file), "")
    assert list(file.parent.iterdir()) == []


def test_ended_download_with_a_checksum_is_continued_the_next_time(server: Server, file: Path) -> None:
    server.cuts = [1000, 0, 0]
    with pytest.raises(downloads.Incomplete):
        downloads.download(server.url, str(file), SHA256)
    server.asked.clear()
    downloads.download(server.url, str(file), SHA256)
    assert file.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


@pytest.mark.parametrize("begun", [b"something else", b"x" * (len(CONTENT) + 1)])
def test_beginning_of_another_file_is_thrown_away(server: Server, file: Path, begun: bytes) -> None:
    file.parent.mkdir()
    file.with_name("tool.part").write_bytes(begun)
    downloads.download(server.url, str(file), SHA256)
    assert file.read_bytes() == CONTENT


def test_wrong_checksum_is_an_error_with_both_and_leaves_nothing(server: Server, file: Path) -> None:
    with pytest.raises(ValueError, match=f"expected sha256 {'0' * 64}, found {SHA256}"):
        downloads.download(server.url, str(file), "0" * 64)
    assert list(file.parent.iterdir()) == []


def test_server_that_is_busy_is_asked_again(server: Server, file: Path) -> None:
    server.codes = [503, 429]
    downloads.download(server.url, str(file), "")
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("code", [403, 404])
def test_refusal_is_told_at_once(server: Server, file: Path, code: int) -> None:
    server.codes = [code]
    with pytest.raises(urllib.error.HTTPError, match=f"HTTP Error {code}") as error:
        downloads.download(server.url, str(file), "")
    error.value.close()
    assert len(server.asked) == 1


def test_full_disk_is_told_at_once_and_frees_what_was_written(
    server: Server, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads.os, "write", write)
    with pytest.raises(OSError, match="No space left on device"):
        downloads.download(server.url, str(file), SHA256)
    assert len(server.asked) == 1
    assert list(file.parent.iterdir()) == []


def test_what_went_wrong_is_printed_with_the_url(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.codes = [404]
    assert downloads.main(server.url, str(file)) == 1
    assert capsys.readouterr().out == f"cannot download {server.url}: HTTP Error 404: Not Found\n"
