"""`dora.run` and `dora.build`: the commands as functions, callable any number of times, from any thread.

Strategy: the command runs in a process of its own (`dora.cli.called`), not in the caller's.  A runner adopts and reaps
stray processes, handles signals and writes to descriptors 1 and 2: all of that is right for a process that is a
runner, and wrong for a notebook kernel, a test or a thread, whose children, handlers and output belong to others.  What
the nodes print goes to `sys.stdout` as it is at the time of the call: handed down where that is the process's own,
copied where it is somebody's replacement (Jupyter, pytest).

Ctrl-C: from the main thread the command gets a session of its own, so that the terminal's Ctrl-C reaches only the
caller, who passes it on (a second one, too) and raises KeyboardInterrupt when the dataflow has ended.  From another
thread, where Python raises nothing, it stays in the caller's process group and hears the terminal itself.  When the
caller is killed, the dataflow is stopped: see `dora.cli.called`.
"""

from __future__ import annotations

import codecs
import contextlib
import ipaddress
import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, TextIO

from dora import env

_PACKAGE_FOLDER: Final = str(Path(__file__).resolve().parent.parent)
_CHILD: Final = (
    "import sys; sys.path[:] = [p for p in sys.path if p] + [sys.argv[2]]; "
    "from dora.cli.called import main; main(sys.argv[1])"
)
"""not `-m`: that would look for dora in the current folder first"""
_PATIENCE_S: Final = 2.0
_CHUNK_BYTES: Final = 65536

PathLike = str | os.PathLike[str]


def run(dataflow_path: PathLike, uv: bool | None = None, stop_after: float | None = None) -> None:
    """Build and run a dataflow on this machine, to its end, like `dora run`.

    Args:
        dataflow_path: the YAML file; relative paths in it start at its folder.
        uv: nodes with a `build:` get a Python environment of their own.
        stop_after: stop the dataflow after so many seconds.

    Raises:
        RuntimeError: the file is wrong, a build failed, or the dataflow failed; the text says which node, and how.
        KeyboardInterrupt: Ctrl-C; by then the dataflow has ended.
    """
    path = _path_text(dataflow_path)
    seconds = _checked_stop_after(stop_after)
    if not os.path.isfile(path):
        raise RuntimeError(f"failed to build dataflow before run: {_unreadable(path)}")
    kind, text = _call({"command": "run", "path": path, "uv": bool(uv), "stop_after": seconds})
    if kind == "build":
        raise RuntimeError(f"failed to build dataflow before run: {text}")
    _raise_unless_well(kind, text)


def build(
    dataflow_path: PathLike,
    uv: bool | None = None,
    coordinator_addr: str | None = None,
    coordinator_port: int | None = None,
    force_local: bool = False,
) -> None:
    """Run the `build:` lines of a dataflow on this machine, like `dora build`.

    Args:
        dataflow_path: the YAML file; relative paths in it start at its folder.
        uv: nodes with a `build:` get a Python environment of their own.
        coordinator_addr: IP address of the coordinator; without a reachable one everything is built here.
        coordinator_port: its port.
        force_local: ask no coordinator.

    Raises:
        RuntimeError: the file is wrong, or a build failed; the text has the node, the command and its last lines.
        KeyboardInterrupt: Ctrl-C; by then nothing runs any more.
    """
    path = _path_text(dataflow_path)
    if coordinator_addr is not None:
        try:
            ipaddress.ip_address(coordinator_addr)
        except ValueError as error:
            raise RuntimeError(f"invalid coordinator_addr: {error} (expected for example 127.0.0.1)") from None
    if not os.path.isfile(path):
        raise RuntimeError(_unreadable(path))
    kind, text = _call({"command": "build", "path": path, "uv": bool(uv), "stop_after": None})
    if kind == "build":
        raise RuntimeError(f"failed to build {text}")
    _raise_unless_well(kind, text)


def start_runtime() -> None:
    """Run the operators of a runtime node until they have ended; dora itself starts processes with this.

    Raises:
        RuntimeError: dora did not start this process to do that.
        SystemExit: an operator failed, code 1.
    """
    from dora.node.runtime import main  # needed in runtime processes only

    main()


def _path_text(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"dataflow_path must be a str or os.PathLike, not {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"dataflow_path must be a path of str, not {type(text).__name__}")
    return text


def _checked_stop_after(stop_after: object) -> float | None:
    if stop_after is None:
        return None
    if isinstance(stop_after, bool) or not isinstance(stop_after, (int, float)):
        raise TypeError(f"stop_after must be a number of seconds or None, not {type(stop_after).__name__}")
    seconds = float(stop_after)
    if not math.isfinite(seconds) or seconds < 0:
        raise RuntimeError(f"invalid stop_after of {stop_after} seconds: expected a finite number, 0 or more")
    return seconds


def _unreadable(path: str) -> str:
    why = "it is a directory" if os.path.isdir(path) else "file not found"
    return f"failed to read dataflow at `{path}`: {why} (looked in {os.getcwd()})"


def _raise_unless_well(kind: str, text: str) -> None:
    if kind == "descriptor":
        raise RuntimeError(f"Dataflow could not be validated.\n{text}")
    if kind:
        raise RuntimeError(text)


def _call(request: dict[str, Any]) -> tuple[str, str]:
    """Let a process of our own do that; returns what went wrong: ("", "") if nothing did.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C; the process has ended.
    """
    # from here to the `try` a Ctrl-C waits: it would leave the child to itself, or end it before it can handle signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        following = _Following(request)
        interruption: KeyboardInterrupt | None = None
        try:
            while True:
                try:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
                    following.follow()
                    break
                except KeyboardInterrupt as error:
                    interruption = error
                    following.child.send_signal(signal.SIGINT)
        finally:
            following.end()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if interruption is not None:
        raise KeyboardInterrupt from None
    return _result(bytes(following.answer), following.child.returncode)


def _result(answer: bytes, code: int) -> tuple[str, str]:
    if answer:
        told: dict[str, str] = json.loads(answer)
        return told["kind"], told["text"]
    if not code:
        return "", ""
    how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return "ended", f"the dora process ended unexpectedly ({how}); what it printed says more"


def _start(request: dict[str, Any], answer_fd: int) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise RuntimeError("cannot find the Python interpreter to run dora with: sys.executable is empty")
    argument = json.dumps({**request, "caller": os.getpid(), "answer_fd": answer_fd})
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, argument, _PACKAGE_FOLDER],
        stdin=subprocess.DEVNULL,
        stdout=_target(sys.stdout, sys.__stdout__),
        stderr=_target(sys.stderr, sys.__stderr__),
        env={name: value for name, value in os.environ.items() if name != env.NODE_CONFIG},
        pass_fds=(answer_fd,),
        start_new_session=threading.current_thread() is threading.main_thread(),
    )


def _target(stream: TextIO | None, own: TextIO | None) -> int | None:
    """Where the child writes: our own descriptor, or a pipe that is copied to the stream that stands in its place."""
    if stream is None:
        return subprocess.DEVNULL
    with contextlib.suppress(Exception):
        stream.flush()
    return None if stream is own else subprocess.PIPE


class _Following:
    """A child at work: copies what it prints, and takes its answer, until it has ended.

    Attributes:
        answer: what it told over the pipe; complete once `follow` has returned.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.answer = bytearray()
        self._answer_fd, answer_write = os.pipe2(os.O_CLOEXEC)
        try:
            self.child = child = _start(request, answer_write)
        except BaseException:
            os.close(self._answer_fd)
            raise
        finally:
            os.close(answer_write)
        self._copies: dict[int, tuple[TextIO, codecs.IncrementalDecoder]] = {}
        self._poll = select.poll()
        self._poll.register(self._answer_fd, select.POLLIN)
        for pipe, stream in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
            if pipe is not None:
                self._copies[pipe.fileno()] = (stream, codecs.getincrementaldecoder("utf-8")("replace"))
                self._poll.register(pipe.fileno(), select.POLLIN)

    def follow(self) -> None:
        """Return when the child has ended; after a KeyboardInterrupt it may be called again."""
        while self._answer_fd >= 0:
            for fd, _ in self._poll.poll():
                self._take(fd)
        self.child.wait()
        for fd in list(self._copies):
            while fd in self._copies and self._is_ready(fd):
                self._take(fd)

    def _is_ready(self, fd: int) -> bool:
        return any(ready == fd for ready, _ in self._poll.poll(0))

    def _take(self, fd: int) -> None:
        data = os.read(fd, _CHUNK_BYTES)
        if fd == self._answer_fd:
            self.answer += data
            if not data:
                self._poll.unregister(fd)
                self._answer_fd = -1
                os.close(fd)
            return
        stream, decoder = self._copies[fd]
        if not data:
            self._poll.unregister(fd)
            del self._copies[fd]
        with contextlib.suppress(BrokenPipeError):
            stream.write(decoder.decode(data, not data))
            stream.flush()

    def end(self) -> None:
        """Leave nothing: a child that still runs, because something else than Ctrl-C was raised here, is stopped."""
        try:
            if self.child.poll() is None:
                self.child.terminate()
                try:
                    self.child.wait(_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    self.child.kill()
                    self.child.wait()
        finally:
            if self._answer_fd >= 0:
                os.close(self._answer_fd)
            for pipe in (self.child.stdout, self.child.stderr):
                if pipe is not None:
                    pipe.close()
