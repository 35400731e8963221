"""One `dora run` or `dora build` on behalf of `dora.run` and `dora.build`: what the process that they start does.

Strategy: the same options, environment variables and code as the commands, but what goes wrong is told to the caller
over a pipe, as one JSON object, and not printed.  When the caller dies, however it dies, the kernel sends SIGUSR1:
the dataflow is stopped, and two seconds later what is still there is killed (by the minder, when SIGALRM ends us).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import click

from dora.errors import DescriptorError, DoraError, NodeError
from dora.runner.options import RunOptions

_ORPHAN_PATIENCE_S: Final = 2


def main(argument: str) -> NoReturn:
    """Do what the JSON object says: `command`, `path`, `uv`, `stop_after`, `caller` (its pid), `answer_fd`."""
    request: dict[str, Any] = json.loads(argument)
    answer_fd: int = request["answer_fd"]
    fcntl.fcntl(answer_fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    code = 1
    try:
        _end_with(request["caller"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        code = _COMMANDS[request["command"]](_options(request, answer_fd))
    except DescriptorError as error:
        _answer(answer_fd, "descriptor", str(error))
    except NodeError as error:
        _answer(answer_fd, "build", str(error))
    except DoraError as error:
        _answer(answer_fd, "other", str(error))
    except click.ClickException as error:  # a DORA_LOG_* variable that is wrong
        _answer(answer_fd, "other", error.format_message())
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _end_with(caller: int) -> None:
    from dora.runner import minder

    signal.signal(signal.SIGUSR1, _orphaned)
    minder.prctl(minder.PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != caller:
        sys.exit(1)


def _orphaned(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_ORPHAN_PATIENCE_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _options(request: Mapping[str, Any], answer_fd: int) -> RunOptions:
    from dora.cli.run import run, run_options

    context = run.make_context("dora.run", ["--", request["path"]])  # reads DORA_LOG_LEVEL and the like
    stated: dict[str, Any] = {name: value for name, value in context.params.items() if name != "debug"}
    stated |= {"path": Path(request["path"]), "uses_uv": request["uv"], "stop_after_s": request["stop_after"]}
    return replace(run_options(stated), on_failure=lambda report: _answer(answer_fd, "failed", report))


def _answer(answer_fd: int, kind: str, text: str) -> None:
    data = json.dumps({"kind": kind, "text": text}).encode()
    while data:
        data = data[os.write(answer_fd, data) :]


def _run(options: RunOptions) -> int:
    from dora.cli.run import run_in_foreground

    return run_in_foreground(options)


def _build(options: RunOptions) -> int:
    from dora.runner.building import build_dataflow

    build_dataflow(options)
    return 0


_COMMANDS: Final[Mapping[str, Callable[[RunOptions], int]]] = {"run": _run, "build": _build}
