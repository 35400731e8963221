"""A program of the user's that attaches to a run as a dynamic node, line by line: a shell that the test types into."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType

from end_to_end.running import Flow

_SHELL = """
import sys
from dora import Node
for line in sys.stdin:
    try:
        exec(line)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    else:
        print("ok", flush=True)
"""


class Shell:
    """An interpreter outside of any dataflow, with the environment of the run."""

    def __init__(self, flow: Flow, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", _SHELL],
            env=flow.environment | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, line: str) -> str:
        """Run one line; returns what it printed last, or the exception."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        said = ""
        while (text := self._process.stdout.readline().rstrip("\n")) != "ok":
            assert text or self._process.poll() is None, "the shell is gone"
            said = text
            if "Error: " in text:
                return text
        return said

    def kill(self) -> None:
        """As `kill -9` would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
