"""A run in the background: what the process does that the service starts for a dataflow.

Strategy: the same runner as `dora run`, in a session of its own, without terminal and console.  What it is asked to do
comes on its standard input, as JSON, and is gone from there before any node is started.  However it ends, it leaves a
record of that (`messages.runner_daemon.Ended`), so that nothing is lost when no service runs just then; what goes wrong
before there are log files, and a crash of our own, stand on its stderr, which is a file beside the record.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dora.errors import DescriptorError, DoraError
from dora.runner.options import Background, BuildOptions, RunOptions

if TYPE_CHECKING:
    from dora.messages.runner_daemon import Ended


def main() -> NoReturn:
    """Do what the JSON object on standard input says: `dataflow_id`, `name`, `record`, `request`."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request = json.loads(order["request"])
    leave = partial(_leave_record, order["record"])
    background = Background(order["dataflow_id"], order["name"], order["request"], leave)
    os.chdir(_existing_folder(request["file"]))
    sys.exit(_run(_options(request, background), leave))


def _options(request: Mapping[str, Any], background: Background) -> RunOptions:
    return RunOptions(
        path=Path(request["file"]),
        build=BuildOptions(
            uses_uv=request.get("uses_uv", False),
            is_locked=request.get("is_locked", False),
            lockfile=Path(request["lockfile"]) if request.get("lockfile") else None,
        ),
        env=request.get("env", {}),
        grace_s=request.get("grace_s", 10.0),
        exits_when_nodes_finish=request.get("exits_when_nodes_finish"),
        allows_shell_nodes=request.get("allows_shell_nodes", False),
        reloads_operators=request.get("reloads_operators", False),
        background=background,
    )


def _run(options: RunOptions, leave: Callable[[Ended], None]) -> int:
    from dora.cli.run import run_in_foreground

    try:
        return run_in_foreground(options)
    except DescriptorError as error:
        leave(_ended_early(options, "the dataflow file is wrong:\n" + "\n".join(error.problems), error.problems))
    except DoraError as error:
        leave(_ended_early(options, str(error)))
    except KeyboardInterrupt:
        leave(_ended_early(options, "stopped while it was building", is_failure=False))
        return 0
    return 1


def _ended_early(
    options: RunOptions, report: str, problems: list[str] | None = None, *, is_failure: bool = True
) -> Ended:
    """The record of a run that never had a node."""
    import time

    from dora.messages import runner_daemon as messages
    from dora.runner.roster import RunIdentity

    background = options.background
    assert background is not None  # this file makes them
    identity = RunIdentity(
        background.dataflow_id, str(options.path), background.name, messages.BACKGROUND, background.request
    )
    state = messages.FAILED if is_failure else messages.FINISHED
    return messages.Ended(int(is_failure), report, time.time_ns(), identity.describe(state), problems or [])


def _leave_record(path: str, ended: Ended) -> None:
    """Put the record where the service looks for it; whole or not at all."""
    from dora.messages.runner_daemon import encode_record

    try:
        with open(path + ".new", "wb") as file:
            file.write(encode_record(ended))
        os.rename(path + ".new", path)
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}", file=sys.stderr)


def _existing_folder(file: str) -> str:
    folder = os.path.dirname(file)
    return folder if os.path.isdir(folder) else "/"
