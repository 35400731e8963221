"""`dora up`, `dora down`, `dora daemon`: the background service."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from dora.cli.targets import DEFAULT_PORT, HELP, examples, service_options

_UP: Final = """
Examples:
  dora up                        then `dora start dataflow.yml`, `dora list`, `dora logs NAME`
  dora up --ui                   also listen on http://127.0.0.1:6013
  dora up --listen 0.0.0.0       for other machines, with a token

It is one process, and may be started any number of times. Dataflows do not need it to go on: `dora down`, a crash or a
kill leave them running, and the next `dora up` finds them again.
"""
_DOWN: Final = """
Examples:
  dora down                      end the service; refused while dataflows of it are running
  dora down --force              stop them first
"""
_DAEMON: Final = """
Examples:
  dora daemon                    for systemd, Docker, or to watch what it does

Ctrl-C or SIGTERM ends it; dataflows go on, unless it is PID 1 of a container, which stops them first.
"""


def _parse_listen(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or (":" in host and not host.startswith("[")):
        host, port = text, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.UsageError(f"--listen {text!r}: expected HOST or HOST:PORT, for example 0.0.0.0:6013")
    return host.strip("[]"), int(port)


def _listen_options(stated: dict[str, Any]) -> list[str]:
    """The options of `dora daemon` for what `dora up` was told."""
    options = []
    if stated["listen"] or stated["interface"]:
        _parse_listen(stated["listen"] or stated["interface"])
        options += ["--listen", stated["listen"] or stated["interface"]]
    elif stated["has_ui"]:
        options.append("--ui")
    return options + (["--auth"] if stated["needs_token"] else [])


@click.command(context_settings=HELP, epilog=examples(_UP))
@click.option("--ui", "has_ui", is_flag=True, help=f"Also listen on 127.0.0.1:{DEFAULT_PORT}.")
@click.option("--listen", metavar="HOST[:PORT]", help="Also listen there; off this machine with a token.")
@click.option("--auth", "needs_token", is_flag=True, help="Need the token also from this machine (over TCP).")
@click.option("--interface", envvar="DORA_COORDINATOR_INTERFACE", metavar="HOST", help="As --listen HOST.")
@click.option("--recreate-store", is_flag=True, help="Forget the history and parameters.")
@click.option("--config", hidden=True, help="Accepted.")
def up(recreate_store: bool, config: str | None, **stated: Any) -> int:
    """Start the background service, if it is not running."""
    from dora.cli.launching import bring_up, is_answering

    options = _listen_options(stated)
    control, is_new = bring_up(*options, *(["--recreate-store"] if recreate_store else []))
    if not is_answering(control):
        print(f"error: the service takes connections on {control.address} but does not answer", file=sys.stderr)
        print("hint: `dora down --force` ends it, however it hangs; dataflows go on", file=sys.stderr)
        return 1
    about = control.service()
    where = "".join(f", {address}" for address in about.addresses)
    if is_new:
        click.echo(f"started the dora service (pid {about.pid}){where}")
        click.echo("next: `dora start dataflow.yml`, `dora list`, `dora down`", err=True)
        for warning in about.warnings:
            click.echo(f"warning: {warning}", err=True)
        return 0
    click.echo(f"the dora service is already running (pid {about.pid}){where}")
    if (options and not about.addresses) or recreate_store:
        print("error: it was started without what you ask for now", file=sys.stderr)
        print("hint: `dora down`, then `dora up` again; dataflows go on meanwhile", file=sys.stderr)
        return 1
    return 0


@click.command(context_settings=HELP, epilog=examples(_DOWN))
@click.option("--force", "is_forced", is_flag=True, help="Stop its dataflows first.")
@service_options
def down(is_forced: bool, host: str | None, port: int | None) -> int:
    """End the background service."""
    from dora.cli.stopping_service import end_service

    return end_service(host, port, is_forced=is_forced)


@click.command(context_settings=HELP, epilog=examples(_DAEMON))
@click.option("--ui", "has_ui", is_flag=True, help=f"Also listen on 127.0.0.1:{DEFAULT_PORT}.")
@click.option("--listen", metavar="HOST[:PORT]", help="Also listen there; off this machine with a token.")
@click.option("--auth", "needs_token", is_flag=True, help="Need the token also from this machine (over TCP).")
@click.option("--recreate-store", is_flag=True, help="Forget the history and parameters.")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Only warnings on stderr.")
def daemon(has_ui: bool, listen: str | None, needs_token: bool, recreate_store: bool, is_quiet: bool) -> int:
    """Run the background service in the foreground."""
    # starlette and uvicorn take 0.2 s to import
    from dora.daemon.process import ServiceOptions, run_service

    address = _parse_listen(listen) if listen else ("127.0.0.1", DEFAULT_PORT) if has_ui else None
    options = ServiceOptions(
        listen=address,
        token=os.environ.get("DORA_AUTH_TOKEN", ""),
        needs_token=needs_token,
        forgets=recreate_store,
        is_quiet=is_quiet,
    )
    run_service(options, os.environ)
    return 0
