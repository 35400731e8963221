"""Downloads the file of a node whose `path` is a URL; run by file path, as a process that can be killed.

Usage: python -I downloads.py URL FILE [SHA256]

The file appears by rename, executable, once it is complete and its checksum is right.  Until then it is `FILE.part`.
A connection that breaks is taken up again where it broke, if the server can do that, and so is a download with a
checksum that was ended (without one, nobody could tell whether it is still the same file).
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
TRIES = 3
WAIT_S = 0.5
"""before the second try; then twice as long each time"""
TELL_EVERY_S = 5.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers after which another try may succeed."""
OUR_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})
"""Of writing the file: another try would not help."""


class Incomplete(OSError):
    """The connection ended before the file did."""


class _Download:
    """One file on its way.

    Attributes:
        done_bytes: what is in the unfinished file.
    """

    def __init__(self, url: str, file: str, sha256: str) -> None:
        self.done_bytes = 0
        self._url = url
        self._sha256 = sha256
        self._part = f"{file}.part"
        self._tag = ""
        if sha256 and os.path.exists(self._part):
            self.done_bytes = os.path.getsize(self._part)

    def take(self) -> None:
        """Fetch what is missing; raises what urllib raises, and `Incomplete`."""
        request = urllib.request.Request(self._url, headers=self._wishes())
        try:
            response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if error.code == 416 and self.done_bytes:  # nothing after that: the checksum tells whether it is whole
                error.close()
                return
            raise
        with response:
            is_continued = response.status == 206
            if not is_continued:
                self.done_bytes = 0
            self._tag = response.headers.get("ETag", "") or response.headers.get("Last-Modified", "")
            length = response.headers.get("Content-Length")
            total = self.done_bytes + int(length) if length else None
            with open(self._part, "ab" if is_continued else "wb") as target:
                self._copy(response, target.fileno(), total)
        if total is not None and self.done_bytes < total:
            raise Incomplete(f"the connection ended after {self.done_bytes} of {total} bytes")

    def _wishes(self) -> dict[str, str]:
        """Only the rest, where it can be told that it is the rest of the same file."""
        tag = "" if self._tag.startswith("W/") else self._tag
        if not self.done_bytes or not (tag or self._sha256):
            return {}
        condition = {"If-Range": tag} if tag else {}
        return {"Range": f"bytes={self.done_bytes}-", **condition}

    def _copy(self, response: HTTPResponse, target: int, total: int | None) -> None:
        tell_s = time.monotonic() + TELL_EVERY_S
        while chunk := response.read(CHUNK_BYTES):
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
            self.done_bytes += len(chunk)
            if time.monotonic() > tell_s:
                tell_s = time.monotonic() + TELL_EVERY_S
                of_total = f" of {total / 1e6:.0f}" if total else ""
                print(f"{self.done_bytes / 1e6:.0f}{of_total} MB", flush=True)


def download(url: str, file: str, sha256: str) -> None:
    """Fetch `url` into `file`; raises OSError or ValueError (wrong checksum)."""
    os.makedirs(os.path.dirname(file), exist_ok=True)
    part = f"{file}.part"
    try:
        _fetch(url, file, sha256)
        os.chmod(part, 0o755)
        os.rename(part, file)
    except BaseException as error:
        may_go_on = sha256 and not isinstance(error, ValueError) and getattr(error, "errno", 0) not in OUR_ERRORS
        if not may_go_on and os.path.exists(part):
            os.unlink(part)
        raise


def _fetch(url: str, file: str, sha256: str) -> None:
    """Make `FILE.part` whole and right."""
    part = f"{file}.part"
    was_begun = bool(sha256) and os.path.exists(part)
    _take_with_patience(_Download(url, file, sha256))
    if not sha256 or checksum_of(part) == sha256.lower():
        return
    if was_begun:  # what was there before was of another file
        os.unlink(part)
        _take_with_patience(_Download(url, file, sha256))
    found = checksum_of(part)
    if found != sha256.lower():
        raise ValueError(f"expected sha256 {sha256.lower()}, found {found}")


def _take_with_patience(found: _Download) -> None:
    wait_s = WAIT_S
    for attempt in range(1, TRIES + 1):
        try:
            found.take()
            return
        except (OSError, HTTPException) as error:
            if attempt == TRIES or not _is_passing(error):
                raise
            print(f"{error}; trying again", flush=True)
        time.sleep(wait_s)
        wait_s *= 2


def _is_passing(error: OSError | HTTPException) -> bool:
    """Whether another try may succeed."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in PASSING
    is_ours = isinstance(error, OSError) and error.errno in OUR_ERRORS
    return not is_ours and not isinstance(error, ValueError)


def checksum_of(file: str) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def main(url: str, file: str, sha256: str = "") -> int:
    try:
        download(url, file, sha256)
    except (OSError, ValueError, HTTPException) as error:
        print(f"cannot download {url}: {error}", flush=True)
        return 1
    print(f"downloaded {url}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
