"""`dora stop` and `dora restart`: end running dataflows, or end and start them again."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from dora.cli.durations import DURATION
from dora.cli.targets import (
    HELP,
    AnyControl,
    choose_dataflow,
    examples,
    is_this_machine,
    open_control,
    open_service,
    service_options,
)
from dora.control import ControlError
from dora.messages import api
from dora.messages.runner_daemon import FAILED
from dora.runs.choosing import shown_name

_STARTED_S: Final = 5.0
_STOP: Final = """
Examples:
  dora stop demo                 STOP event, SIGTERM after the grace (10s), SIGKILL 5 s later
  dora stop                      the only one that runs
  dora stop --all --grace 2s
  dora stop demo --force         kill it at once

It also stops a `dora run` in a terminal. Exit code 0: it has ended, or had before; 1: a node failed, or had to be
killed.
"""
_RESTART: Final = """
Examples:
  dora restart demo              read its file again, stop it, start it under the same name

A file that cannot be run is refused before anything is stopped. A dataflow that has ended is started again, too.
"""


@click.command(context_settings=HELP, epilog=examples(_STOP))
@click.argument("wanted", metavar="[ID_OR_NAME]", required=False)
@click.option("-n", "--name", metavar="NAME", help="The same as ID_OR_NAME.")
@click.option("--all", "is_for_all", is_flag=True, help="All that run.")
@click.option("--grace-duration", "--grace", "grace_s", type=DURATION, metavar="TIME", help="From STOP to SIGTERM.")
@click.option("-f", "--force", "is_forced", is_flag=True, help="SIGKILL at once.")
@service_options
def stop(
    wanted: str | None,
    name: str | None,
    is_for_all: bool,
    grace_s: float | None,
    is_forced: bool,
    **where: Any,
) -> int:
    """Stop a dataflow, and wait until it has ended."""
    wanted = _only(wanted, name)
    if is_forced and grace_s is not None:
        raise click.UsageError("--force and --grace exclude each other")
    if is_for_all and wanted:
        raise click.UsageError("--all and a name exclude each other")
    control = open_control(where["host"], where["port"])
    if is_for_all:
        return _stop_all(control, grace_s, is_forced=is_forced)
    if wanted is None and not _running(control):
        click.echo("no dataflow is running")
        return 0
    info = choose_dataflow(control, wanted)
    return _report(control.stop(info.id, grace_s=grace_s, is_forced=is_forced), was=info)


def _only(wanted: str | None, name: str | None) -> str | None:
    if wanted is not None and name is not None:
        raise click.UsageError("name the dataflow once, as argument or with --name")
    return wanted if name is None else name


def _running(control: AnyControl) -> list[api.DataflowInfo]:
    return [info for info in control.dataflows().dataflows if info.state not in api.ENDED]


def _stop_all(control: AnyControl, grace_s: float | None, *, is_forced: bool) -> int:
    running = _running(control)
    for info in running:  # all at once; then each is waited for
        control.stop(info.id, grace_s=grace_s, is_forced=is_forced, waits=False)
    codes = [_wait(control, info, grace_s) for info in running]
    click.echo(f"Stopped {len(running)} dataflow(s).")
    return max(codes, default=0)


def _wait(control: AnyControl, info: api.DataflowInfo, grace_s: float | None) -> int:
    """A second stop changes nothing but waits; one that has ended meanwhile is known, or gone without a trace."""
    try:
        return _report(control.stop(info.id, grace_s=grace_s), was=info)
    except ControlError as error:
        if error.code != api.UNKNOWN_DATAFLOW:
            raise
    return 0


def _report(info: api.DataflowInfo, *, was: api.DataflowInfo) -> int:
    label = f"{shown_name(info)} ({info.id})"
    if was.state in api.ENDED:
        click.echo(f"{label} had ended already: {was.state}")
        return 0
    if info.state == FAILED:
        print(f"Dataflow {info.id} failed:\n{info.report}", file=sys.stderr)
        return 1
    click.echo(f"stopped {label}")
    return 0


@click.command(context_settings=HELP, epilog=examples(_RESTART))
@click.argument("wanted", metavar="[ID_OR_NAME]", required=False)
@click.option("-n", "--name", metavar="NAME", help="The same as ID_OR_NAME.")
@click.option("--grace-duration", "--grace", "grace_s", type=DURATION, metavar="TIME", help="From STOP to SIGTERM.")
@click.option("-f", "--force", "is_forced", is_flag=True, help="SIGKILL at once.")
@service_options
def restart(wanted: str | None, name: str | None, grace_s: float | None, is_forced: bool, **where: Any) -> int:
    """Stop a dataflow and start it again."""
    wanted = _only(wanted, name)
    if is_forced and grace_s is not None:
        raise click.UsageError("--force and --grace exclude each other")
    control = open_service(where["host"], where["port"])
    if wanted is None and not _running(control):
        click.echo("no dataflow is running")
        return 0
    info = choose_dataflow(control, wanted)
    is_local = is_this_machine(where["host"])
    again = control.restart(
        info.id,
        grace_s=grace_s,
        is_forced=is_forced,
        environ=dict(os.environ) if is_local else None,
        python=sys.executable if is_local else "",
    )
    click.echo(f"dataflow restarted: {info.id} -> {again.id}")
    again = control.dataflow(again.id, wait="started", timeout_s=_STARTED_S)
    if again.state == FAILED:
        print(f"error: dataflow failed to start\n{again.report}", file=sys.stderr)
        return 1
    return 0
