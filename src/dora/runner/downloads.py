"""Downloads the file of a node whose `path` is a URL; run by file path, as a process that can be killed.

Usage: python -I downloads.py URL FILE [SHA256]

The file appears by rename, executable, once it is complete and its checksum is right.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from http.client import HTTPException

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30


def download(url: str, file: str, sha256: str) -> None:
    """Fetch `url` into `file`; raises OSError or ValueError (wrong checksum)."""
    os.makedirs(os.path.dirname(file), exist_ok=True)
    unfinished = f"{file}.{os.getpid()}.new"
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, open(unfinished, "xb") as target:
            while chunk := response.read(CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
        if sha256 and digest.hexdigest() != sha256.lower():
            raise ValueError(f"expected sha256 {sha256.lower()}, found {digest.hexdigest()}")
        os.chmod(unfinished, 0o755)
        os.rename(unfinished, file)
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)


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
