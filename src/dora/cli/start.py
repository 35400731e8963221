"""`dora start FILE`: a dataflow in the background, by the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from dora.cli.dataflow_file import local_file
from dora.cli.durations import DURATION
from dora.cli.run_settings import RunCommand, takes_env, takes_finish
from dora.cli.targets import HELP, examples, is_this_machine, open_service, service_options
from dora.control import Control
from dora.messages import api
from dora.messages.runner_daemon import FAILED

_STARTED_S: Final = 5.0
_EXAMPLES: Final = """
Examples:
  dora start dataflow.yml --name demo     then `dora logs demo`, `dora list`, `dora stop demo`
  dora start dataflow.yml --attach        and show what it logs; Ctrl-C stops it
  dora start dataflow.yml --detach --env SPEED=2

Without --attach and --detach it attaches on a terminal. The service is started if it is not running. Exit code 0: it
runs (attached: it ended well); 1: it could not be started, or failed.
"""


@click.command(cls=RunCommand, context_settings=HELP, epilog=examples(_EXAMPLES))
@click.argument("path", metavar="FILE", callback=local_file)
@click.option("-n", "--name", default="", metavar="NAME", help="What it is called; made up if not stated.")
@click.option("--attach", is_flag=True, help="Show its logs until it ends; Ctrl-C stops it.")
@click.option("--detach", is_flag=True, help="Return as soon as it runs.")
@click.option("--uv", "uses_uv", is_flag=True, help="Nodes with a `build:` get a Python environment of their own.")
@click.option("--locked", "is_locked", is_flag=True, help="Take the commits and checksums of the lock file.")
@click.option("--lockfile", type=click.Path(path_type=Path), metavar="PATH", help="That file, not the one beside FILE.")
@takes_env
@click.option(
    "--grace", "grace_s", type=DURATION, default=api.GRACE_S, metavar="TIME", help="From STOP to SIGTERM (10s)."
)
@takes_finish
@click.option("--allow-shell-nodes", "allows_shell_nodes", is_flag=True, help="Allow nodes with `path: shell`.")
@click.option("--hot-reload", "reloads_operators", is_flag=True, help="Operators reload their files when saved.")
@click.option("--debug", is_flag=True, help="Accepted; running dataflows can always be inspected.")
@service_options
def start(attach: bool, detach: bool, debug: bool, host: str | None, port: int | None, **stated: Any) -> int:
    """Start a dataflow in the background."""
    if attach and detach:
        raise click.UsageError("--attach and --detach exclude each other")
    if stated["lockfile"] is not None and not stated["is_locked"]:
        raise click.UsageError("--lockfile needs --locked")
    _check_name(stated["name"])
    _check(stated["path"], stated["env"])
    control = _service(host, port)
    info = control.start("", request=_request(stated, is_local=is_this_machine(host)))
    click.echo(f"dataflow start triggered: {info.id}")
    if not attach and not detach:
        attach = sys.stdin.isatty()
        text = "attaching to dataflow (use `--detach` to run in background)"
        click.echo(text if attach else "non-interactive mode: running in background", err=True)
    return _attach(control, info) if attach else _report_start(control, info)


def _check_name(name: str) -> None:
    from dora.daemon.names import name_fault

    fault = name_fault(name) if name else None
    if fault is not None:
        raise click.ClickException(f"--name {name!r}: {fault}")


def _check(path: Path, env: dict[str, str]) -> None:
    """All that is wrong with the file, with its lines, before anything is started."""
    from dora.dataflow.load import load_dataflow
    from dora.dataflow.programs import check_local
    from dora.errors import DescriptorError

    dataflow = load_dataflow(path, overrides=env, looks_for_programs=True)
    foreign = check_local(dataflow)
    if foreign:
        raise DescriptorError(foreign)


def _service(host: str | None, port: int | None) -> Control:
    from dora.cli.launching import bring_up

    if host is not None or port is not None:
        return open_service(host, port)
    control, is_new = bring_up()
    if is_new:
        click.echo("started the dora service (`dora down` ends it)", err=True)
    return control


def _request(stated: dict[str, Any], *, is_local: bool) -> api.StartRequest:
    """The nodes get the environment of this command, as with `dora run`; on another machine that of the service."""
    return api.StartRequest(
        file=os.path.abspath(stated["path"]),
        name=stated["name"],
        env=stated["env"],
        uses_uv=stated["uses_uv"],
        is_locked=stated["is_locked"],
        lockfile=os.path.abspath(stated["lockfile"]) if stated["lockfile"] else "",
        environ=dict(os.environ) if is_local else None,
        python=sys.executable if is_local else "",
        grace_s=stated["grace_s"],
        exits_when_nodes_finish=stated["exits_when_nodes_finish"],
        allows_shell_nodes=stated["allows_shell_nodes"],
        reloads_operators=stated["reloads_operators"],
    )


def _report_start(control: Control, info: api.DataflowInfo) -> int:
    """Say that it runs, or who is still waited for, or how it has failed."""
    if info.state not in api.ENDED:
        info = control.dataflow(info.id, wait="started", timeout_s=_STARTED_S)
    if info.state == FAILED:
        print(f"error: dataflow failed to start\n{info.report}", file=sys.stderr)
        print(f"hint: `dora logs {info.name}` shows what its nodes have said", file=sys.stderr)
        return 1
    over = " and finished" if info.state in api.ENDED else ""
    click.echo(f"dataflow started{over}: {info.id}")
    if info.waits_for:
        click.echo(f"still waiting for: {', '.join(info.waits_for)}", err=True)
    click.echo(f"next: `dora logs {info.name} --follow`, `dora list`, `dora stop {info.name}`", err=True)
    return 0


def _attach(control: Control, info: api.DataflowInfo) -> int:
    """Show the logs until it ends; the first Ctrl-C stops it, the second kills it."""
    from dora.cli.attached import show_until_end

    return show_until_end(control, info)
