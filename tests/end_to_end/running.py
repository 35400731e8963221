"""Real runs: node files and a dataflow in a folder, the real `dora run`, and what is left when it is over.

Strategy: every run carries a token of its own in its environment, which all its descendants inherit, wherever they
put themselves.  `DORA_HOME` is a folder of the run's own, so whatever `dora` puts in a runtime directory is
found there.  A run is always ended, and then `leftovers` says what is still there: processes with the token, files in
/dev/shm, entries in the runtime directory.  What nodes say is read from their log files, so that it does not
depend on how the console shows it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

TOKEN = "DORA_TEST_RUN"
PATIENCE_S = 2.0
"""how long what belongs to a run may outlive it"""


def wait_until(condition: Callable[[], Any], timeout_s: float = 20.0, what: str = "") -> Any:
    """Wait until `condition` gives something true, and return that."""
    end_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end_s, f"waited {timeout_s} s in vain{what and ' for ' + what}"
        time.sleep(0.005)
    return found


def has_exited(process: subprocess.Popen[Any], timeout_s: float) -> bool:
    """Wait for its end, and say whether it came in time; `Popen.wait` with a time-out only looks every 50 ms."""
    if process.returncode is not None:
        return True
    watch = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(watch)


def is_alive(pid: int) -> bool:
    """There is such a process, and it is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def variables_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty when it is gone."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return dict(os.fsdecode(word).partition("=")[::2] for word in words if b"=" in word)


class Ended(NamedTuple):
    """How a run ended.

    Attributes:
        code: exit code of `dora run`, negative for a signal; None: it did not end in time and was killed.
        wall_s: from its start to its end.
    """

    code: int | None
    stdout: str
    stderr: str
    wall_s: float

    def __str__(self) -> str:
        return f"exit code {self.code} after {self.wall_s:.2f} s\nstdout:\n{self.stdout}\nstderr:\n{self.stderr}"


class Run:
    """One `dora run`, from its start.

    Attributes:
        process: the `dora run` process; it leads a session of its own.
        home: its DORA_HOME.
    """

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str], token: str) -> None:
        self.home = Path(environment["DORA_HOME"])
        self._folder = folder
        self._token = token
        self._ended: Ended | None = None
        self._known_logs = set(folder.glob("out/*"))
        self._stdout = (folder / f"stdout-{token}.txt").open("w+b")
        self._stderr = (folder / f"stderr-{token}.txt").open("w+b")
        self._start_s = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            start_new_session=True,
        )

    def wait(self, timeout_s: float = 60.0) -> Ended:
        """Wait for its end; if that does not come in time it is killed and `code` is None."""
        if self._ended is None:
            is_in_time = has_exited(self.process, timeout_s)
            if not is_in_time:
                self.process.kill()
            code = self.process.wait()
            wall_s = time.monotonic() - self._start_s
            self._ended = Ended(code if is_in_time else None, self.stdout(), self.stderr(), wall_s)
        return self._ended

    def signal(self, signum: int) -> None:
        """Send a signal to `dora run` alone."""
        self.process.send_signal(signum)

    def stop(self, timeout_s: float = 30.0) -> Ended:
        """Ctrl-C, and wait for its end."""
        self.signal(signal.SIGINT)
        return self.wait(timeout_s)

    def stdout(self) -> str:
        """What `dora run` has printed so far."""
        return os.pread(self._stdout.fileno(), 1 << 28, 0).decode(errors="replace")

    def stderr(self) -> str:
        """What `dora run` has said on stderr so far."""
        return os.pread(self._stderr.fileno(), 1 << 28, 0).decode(errors="replace")

    def entries(self, node: str) -> list[dict[str, Any]]:
        """The entries of a node's log file so far, those of rotated files first."""
        while True:
            with contextlib.suppress(FileNotFoundError):  # rotated in this moment
                lines = self._lines(node)
                return [json.loads(line) for line in lines if line.endswith("\n")]

    def _lines(self, node: str) -> list[str]:
        folders = set(self._folder.glob("out/*")) - self._known_logs
        files = [path for folder in folders for path in folder.glob(f"log_{node}.*jsonl")]
        files.sort(key=lambda path: path.stat().st_mtime_ns)
        return [line for path in files for line in path.read_text().splitlines(keepends=True)]

    def said(self, node: str) -> list[str]:
        """The lines that a node has printed so far."""
        return [entry["msg"] for entry in self.entries(node)]

    def figures(self, node: str) -> Any:
        """What a node printed last, as JSON."""
        lines = self.said(node)
        assert lines, f"{node} said nothing; {self._ended or self.stderr()}"
        return json.loads(lines[-1])

    def wait_said(self, node: str, text: str, timeout_s: float = 20.0) -> str:
        """Wait until a line of that node holds `text`, and return the line."""

        def line() -> str | None:
            assert self.process.poll() is None or text in "\n".join(self.said(node)), f"ended: {self.stderr()}"
            return next((line for line in self.said(node) if text in line), None)

        found = wait_until(line, timeout_s, f"{text!r} from {node}")
        assert isinstance(found, str)
        return found

    def pids(self) -> list[int]:
        """All living processes of the run, `dora run` itself included."""
        pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]
        return [pid for pid in pids if variables_of(pid).get(TOKEN) == self._token and is_alive(pid)]

    def nodes(self) -> dict[str, int]:
        """The living node processes by node id (of a shell node: the shell)."""
        found: dict[str, int] = {}
        for pid in self.pids():
            config = variables_of(pid).get("DORA_NODE_CONFIG")
            with contextlib.suppress(OSError):
                if config and os.getpgid(pid) == pid != os.getsid(pid):
                    found[json.loads(config)["node"]] = pid
        return found

    def wait_nodes(self, *names: str, timeout_s: float = 20.0) -> dict[str, int]:
        """Wait until these nodes have processes."""
        found = wait_until(lambda: (now := self.nodes()) and set(names) <= now.keys() and now, timeout_s, str(names))
        assert isinstance(found, dict)
        return found

    def end(self) -> list[str]:
        """End it if it still runs; returns the processes that outlived it (now killed), as text."""
        if self._stdout.closed:
            return []
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        end_s = time.monotonic() + PATIENCE_S
        while (pids := self.pids()) and time.monotonic() < end_s:
            time.sleep(0.01)
        left = [f"process {pid}: {_command_of(pid)}" for pid in pids]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._stdout.close()
        self._stderr.close()
        return left


class Flow:
    """A dataflow under test: nodes are added, then it is run, once or several times.

    Attributes:
        folder: holds the dataflow and node files.
        home: where `dora` puts runtime directories (short, so that socket paths are).
        environment: what `dora run` is started with.
        keys: further keys of the dataflow file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Path(tempfile.mkdtemp(prefix="dora-e2e-"))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DORA_")}
        self.environment = inherited | {"DORA_HOME": str(self.home)}
        self.keys: dict[str, Any] = {}
        self._nodes: list[dict[str, Any]] = []
        self._file: str | None = None
        self._runs: list[Run] = []
        self._left: list[str] = []
        self._shm = set(os.listdir("/dev/shm"))

    def node(self, name: str, code: str, **keys: Any) -> None:
        """Add a node that runs this Python source; `keys` as in the dataflow file."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(code))
        self._nodes.append({"id": name, "path": f"{name}.py", **keys})

    def other_node(self, name: str, path: str, **keys: Any) -> None:
        """Add a node with that `path`."""
        self._nodes.append({"id": name, "path": path, **keys})

    def module(self, name: str, path: str, **keys: Any) -> None:
        """Add a node that uses a module file."""
        self._nodes.append({"id": name, "module": path, **keys})

    def operator(self, name: str, code: str, **keys: Any) -> dict[str, Any]:
        """Write an operator's file; returns its entry for `runtime`."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(code))
        return {"id": name, "python": f"{name}.py", **keys}

    def runtime(self, name: str, *operators: dict[str, Any], **keys: Any) -> None:
        """Add a node with these operators."""
        self._nodes.append({"id": name, "operators": list(operators), **keys})

    def use_file(self, text: str) -> None:
        """Take this as the dataflow file, to the letter, instead of what was added."""
        self._file = text

    def start(self, *options: str, prefix: tuple[str, ...] = (), environment: Mapping[str, str] | None = None) -> Run:
        """Start `dora run` with these options; `prefix` is a command that starts it, such as `unshare -m`."""
        text = self._file or yaml.safe_dump({**self.keys, "nodes": self._nodes})
        (self.folder / "dataflow.yml").write_text(text)
        token = uuid.uuid4().hex
        command = [*prefix, sys.executable, "-m", "dora", "run", *options, "dataflow.yml"]
        run = Run(self.folder, command, {**self.environment, **(environment or {}), TOKEN: token}, token)
        self._runs.append(run)
        return run

    def run(self, *options: str, timeout_s: float = 60.0, **start: Any) -> Ended:
        """`dora run` to its end; what it leaves is found by `leftovers`."""
        run = self.start(*options, **start)
        ended = run.wait(timeout_s)
        self._left += run.end()
        return ended

    @property
    def last(self) -> Run:
        """The run that was started last."""
        return self._runs[-1]

    def said(self, node: str) -> list[str]:
        """The lines that a node printed in the last run."""
        return self.last.said(node)

    def figures(self, node: str) -> Any:
        """What a node printed last in the last run, as JSON."""
        return self.last.figures(node)

    def leftovers(self) -> list[str]:
        """End all runs and say what is left of them."""
        left = self._left + [text for run in self._runs for text in run.end()]
        appeared = set(os.listdir("/dev/shm")) - self._shm
        foreign = (".zenoh", "sem.mp-")  # of dora-rs, of Python's multiprocessing
        left += [f"/dev/shm/{name}" for name in appeared if not name.endswith(foreign[0]) and foreign[1] not in name]
        left += [f"runtime directory {path}" for path in self.home.iterdir()]
        self._runs.clear()
        for path in sorted(self.home.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.home.rmdir()
        return left


def _command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "gone"
