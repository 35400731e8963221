"""`dora run FILE`: build and run a dataflow on this machine, in the foreground."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

import click

from dora.cli.build_options import build_options, takes_build_options
from dora.cli.dataflow_file import local_file
from dora.cli.durations import DURATION
from dora.cli.run_settings import RunCommand, takes_env, takes_finish

if TYPE_CHECKING:
    from dora.runner.options import RunOptions

_LEVELS: Final = ("error", "warn", "info", "debug", "trace", "stdout")
_HELD_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""not between the making of the runtime directory and that of the minder, which removes it"""
_EPILOG: Final = """\b
Examples:
  dora run dataflow.yml
  dora run dataflow.yml --stop-after 10s --log-level info
  dora run dataflow.yml --env SPEED=2 --log-filter camera=debug

FILE may be the URL of a dataflow file: it is downloaded to the current folder.

Ctrl-C (or SIGTERM, SIGHUP, --stop-after) stops the nodes: a STOP event, SIGTERM after --grace, SIGKILL 5 s later; a
second Ctrl-C kills them at once. Exit code 0: every node ended well; 1: one failed; 2: wrong command line.
"""


@click.command(cls=RunCommand, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("path", metavar="FILE", callback=local_file)
@takes_build_options
@click.option("--stop-after", "stop_after_s", type=DURATION, metavar="TIME", help="Like Ctrl-C after 30, 500ms, 5m.")
@click.option("--grace", "grace_s", type=DURATION, default=10.0, metavar="TIME", help="From STOP to SIGTERM (10s).")
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="stdout",
    envvar="DORA_LOG_LEVEL",
    show_envvar=True,
    help="What is shown; `stdout`, the default, is everything.",
)
@click.option(
    "--log-format",
    type=click.Choice(("pretty", "compact", "json"), case_sensitive=False),
    default="pretty",
    envvar="DORA_LOG_FORMAT",
    show_envvar=True,
    help="How lines are shown.",
)
@click.option(
    "--log-filter",
    default="",
    envvar="DORA_LOG_FILTER",
    show_envvar=True,
    metavar="N=LEVEL,..",
    help="Log level per node.",
)
@takes_env
@takes_finish
@click.option("--allow-shell-nodes", "allows_shell_nodes", is_flag=True, help="Allow nodes with `path: shell`.")
@click.option("--hot-reload", "reloads_operators", is_flag=True, help="Operators reload their files when saved.")
@click.option("--rt", "is_realtime", is_flag=True, help="Supervise with locked memory and real-time priority.")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Show nothing but the nodes' output and failures.")
@click.option("--debug", is_flag=True, help="Accepted; running dataflows can always be inspected.")
def run(debug: bool, **stated: Any) -> int:
    """Build and run a dataflow on this machine, until its nodes have ended or Ctrl-C."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # by `&` in a script; a SIGINT is then meant for this process
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_in_foreground(run_options(stated))


def run_options(stated: dict[str, Any]) -> RunOptions:
    """The options as the command line states them, by their names there."""
    from dora.runner.options import RunOptions
    from dora.runner.straggling import patience_s

    build = build_options(stated)
    return RunOptions(build=build, straggler_patience_s=patience_s(os.environ), **stated)


def run_in_foreground(options: RunOptions) -> int:
    """Run a dataflow to its end; returns the exit code."""
    # the minder comes up while the rest is imported and the file is read
    from dora.runner.processes import Processes
    from dora.runner.runtime_dir import create_runtime_dir

    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_SIGNALS)
    try:
        runtime_dir = create_runtime_dir()
        processes = Processes.start(runtime_dir)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)
    with processes:
        from dora.runner.foreground import run_dataflow

        return run_dataflow(options, processes, runtime_dir)
