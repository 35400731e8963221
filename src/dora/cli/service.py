"""`dora up`, `dora down`, `dora daemon`: the background service."""

from __future__ import annotations

import os
import sys
from typing import Any, Final
from urllib.parse import urlsplit

import click

from dora.cli.targets import HELP, examples, service_options
from dora.transport.addresses import DEFAULT_PORT, shown_address, split_address

_UP: Final = """
Examples:
  dora up                        then `dora start dataflow.yml`, `dora list`, `dora logs NAME`
  dora up --ui                   also listen on http://127.0.0.1:6013
  dora up --listen 0.0.0.0       for other machines, with a token

It is one process, and may be started any number of times; `dora start` starts it, too. Dataflows do not need it to go
on: `dora down --keep`, a crash or a kill leave them running, and the next `dora up` finds them again.
With DORA_COORDINATOR_ADDR or DORA_COORDINATOR_PORT set it listens there, where the other commands then look for it.
"""
_DOWN: Final = """
Examples:
  dora down                      end the service; refused while dataflows of it are running
  dora down --force              kill them first; `dora stop --all` stops them gently
  dora down --keep               end the service alone: they go on, and the next `dora up` finds them
"""
_DAEMON: Final = """
Examples:
  dora daemon                    for systemd, Docker, or to watch what it does

Ctrl-C or SIGTERM ends it; dataflows go on, unless it is PID 1 of a container, which stops them first.
"""


def _parse_listen(text: str) -> tuple[str, int]:
    try:
        return split_address(text)
    except ValueError as error:
        raise click.UsageError(f"--listen {error}") from None


def _asked_address(stated: dict[str, Any]) -> tuple[str, int] | None:
    """Where `dora up` is told to listen, besides the socket of this user."""
    asked = stated["listen"] or stated["interface"]
    if asked:
        return _parse_listen(asked)
    if stated["host"] is not None or stated["port"] is not None:
        return stated["host"] or "127.0.0.1", stated["port"] or DEFAULT_PORT
    return ("127.0.0.1", DEFAULT_PORT) if stated["has_ui"] else None


def _listen_options(asked: tuple[str, int] | None, *, needs_token: bool) -> list[str]:
    """The options of `dora daemon` for what `dora up` was told."""
    options = [] if asked is None else ["--listen", shown_address(*asked)]
    return options + (["--auth"] if needs_token else [])


def _is_listening(asked: tuple[str, int] | None, addresses: list[str]) -> bool:
    """Whether one of the service's addresses is the asked one; of a host name the port has to do."""
    if asked is None:
        return True
    wanted = urlsplit(f"//{shown_address(*asked)}")
    found = [urlsplit(address) for address in addresses]
    is_name = any(character.isalpha() for character in asked[0]) and ":" not in asked[0]
    return any(one.port == wanted.port and (is_name or one.hostname == wanted.hostname) for one in found)


@click.command(context_settings=HELP, epilog=examples(_UP))
@click.option("--ui", "has_ui", is_flag=True, help=f"Also listen on 127.0.0.1:{DEFAULT_PORT}.")
@click.option("--listen", metavar="HOST[:PORT]", help="Also listen there; off this machine with a token.")
@click.option("--auth", "needs_token", is_flag=True, help="Need the token also from this machine (over TCP).")
@click.option("--interface", envvar="DORA_COORDINATOR_INTERFACE", metavar="HOST", help="As --listen HOST.")
@click.option("--coordinator-addr", "host", envvar="DORA_COORDINATOR_ADDR", metavar="HOST", help="As --listen HOST.")
@click.option(
    "--coordinator-port",
    "port",
    type=click.IntRange(1, 65535),
    envvar="DORA_COORDINATOR_PORT",
    metavar="PORT",
    help="As --listen 127.0.0.1:PORT.",
)
@click.option("--recreate-store", is_flag=True, help="Forget the history and parameters.")
@click.option("--config", hidden=True, help="Accepted.")
def up(recreate_store: bool, config: str | None, **stated: Any) -> int:
    """Start the background service, if it is not running."""
    from dora.cli.launching import bring_up, is_answering

    asked = _asked_address(stated)
    options = _listen_options(asked, needs_token=stated["needs_token"])
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
    faults = ["it keeps its history"] if recreate_store else []
    if asked is not None and not _is_listening(asked, about.addresses):
        faults.append(f"it does not listen on {shown_address(*asked)}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        print("hint: `dora down --keep`, then `dora up` again; dataflows go on meanwhile", file=sys.stderr)
    return 1 if faults else 0


@click.command(context_settings=HELP, epilog=examples(_DOWN))
@click.option("--force", "is_forced", is_flag=True, help="Kill its dataflows first.")
@click.option("--keep", "keeps_dataflows", is_flag=True, help="Let its dataflows go on without it.")
@service_options
def down(is_forced: bool, keeps_dataflows: bool, host: str | None, port: int | None) -> int:
    """End the background service."""
    from dora.cli.stopping_service import end_service

    if is_forced and keeps_dataflows:
        raise click.UsageError("--force and --keep exclude each other")
    return end_service(host, port, is_forced=is_forced, keeps_dataflows=keeps_dataflows)


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
