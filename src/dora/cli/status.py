"""`dora status` (also `check`, `system status`): is the service there, and what runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from dora.cli.problems import print_problems
from dora.cli.tables import print_json
from dora.cli.targets import HELP, examples, format_option, open_control, service_options
from dora.control import Control
from dora.errors import DescriptorError, DoraError
from dora.messages import api

_EXAMPLES: Final = """
Examples:
  dora status
  dora status --dataflow dataflow.yml --format json

Exit code 0: the service runs (and the file is right); 1: something is wrong, `dora doctor` says more.
"""


@click.command(context_settings=HELP, epilog=examples(_EXAMPLES))
@click.option("--dataflow", "path", type=click.Path(path_type=Path), metavar="FILE", help="Check this file, too.")
@format_option
@service_options
def status(path: Path | None, layout: str, host: str | None, port: int | None) -> int:
    """Say whether the service runs, and how many dataflows."""
    problems = _problems(path)
    found = _look(host, port)
    is_running = found["daemon"]["status"] == "running"
    if layout == "json":
        print_json(found)
    else:
        _show(found)
    print_problems(problems, "error", sys.stderr)
    if is_running and not problems:
        return 0
    print("System check failed.", file=sys.stderr)
    if not is_running:
        print("hint: `dora up` starts the service; `dora run FILE` needs none", file=sys.stderr)
    return 1


def _problems(path: Path | None) -> list[str]:
    if path is None:
        return []
    from dora.dataflow.load import load_dataflow

    try:
        load_dataflow(path)
    except DescriptorError as error:
        return error.problems
    return []


def _look(host: str | None, port: int | None) -> dict[str, Any]:
    """The answer as JSON; one process is coordinator and daemon, so they share their state."""
    try:
        control = open_control(host, port)
        infos = control.dataflows().dataflows
        running = sum(info.state not in api.ENDED for info in infos)
        if isinstance(control, Control):
            about = control.service()
            one: dict[str, Any] = {"status": "running", "address": str(control.address), "pid": about.pid}
            one |= {"version": about.dora, "addresses": about.addresses}
            return {"coordinator": one, "daemon": {"status": "running"}, "active_dataflows": running}
    except DoraError as error:
        absent: dict[str, Any] = {"status": "not running", "error": str(error)}
        return {"coordinator": absent, "daemon": {"status": "unknown"}, "active_dataflows": None}
    absent = {"status": "not running"}
    return {"coordinator": absent, "daemon": absent, "active_dataflows": running}


def _show(found: dict[str, Any]) -> None:
    service = found["coordinator"]
    if service["status"] == "running":
        click.echo(f"✓ Service: Running (pid {service['pid']}, dora {service['version']})")
        for address in [service["address"], *service["addresses"]]:
            click.echo(f"  Address: {address}")
    else:
        click.echo("✗ Service: Not running")
        if "error" in service:
            click.echo(f"  {service['error']}")
    if found["active_dataflows"] is not None:
        click.echo(f"Active dataflows: {found['active_dataflows']}")


@click.group(context_settings=HELP, epilog=examples(_EXAMPLES.replace("dora status", "dora system status")))
def system() -> None:
    """The state of dora on this machine."""


system.add_command(status)
