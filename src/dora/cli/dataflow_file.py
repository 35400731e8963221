"""The dataflow file that a command line names: a path, or a URL, whose file is downloaded to the current folder.

Strategy: nothing that exists is overwritten, because a file that was downloaded earlier may have been edited since.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from dora.errors import DoraError

MAX_BYTES: Final = 4 * 1024 * 1024
TIMEOUT_S: Final = 30
_ENDINGS: Final = (".yml", ".yaml")


def local_file(ctx: click.Context, param: click.Parameter, word: Any) -> Any:
    """The path of the file, or of all files where there may be several; for the `callback` of an argument.

    Raises:
        DoraError: it cannot be downloaded, or another file of its name is in the way.
    """
    if isinstance(word, tuple):
        return tuple(local_file(ctx, param, each) for each in word)
    return _downloaded(word) if word.startswith(("http://", "https://")) else Path(word)


def _downloaded(url: str) -> Path:
    content = _content(url)
    name = os.path.basename(url.partition("?")[0].partition("#")[0])
    path = Path(name if name.endswith(_ENDINGS) else "dataflow.yml")
    try:
        with open(path, "xb") as file:
            file.write(content)
    except FileExistsError:
        if path.is_file() and path.read_bytes() == content:
            return path
        hint = f"remove it to have that of the URL, or name ./{path} to use it"
        raise DoraError(f"{path} is here already, and is another file than {url}; {hint}") from None
    except OSError as error:
        raise DoraError(f"cannot write {path}: {error.strerror}") from None
    print(f"downloaded {url} to ./{path}", file=sys.stderr)
    return path


def _content(url: str) -> bytes:
    import http.client  # needed for URLs only, and takes 40 ms
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            content: bytes = response.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise DoraError(f"cannot download {url}: the server answered {error.code} {error.reason}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DoraError(f"cannot download {url}: {reason}") from None
    if len(content) > MAX_BYTES:
        raise DoraError(f"cannot download {url}: it is larger than {MAX_BYTES} bytes; is this the right file?")
    return content
