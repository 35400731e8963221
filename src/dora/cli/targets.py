"""What many commands share: where the service is, and which dataflow is meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from dora.cli.tables import FORMATS
from dora.control import Control, ControlError, DirectControl, connect, connect_to_service
from dora.messages import api
from dora.runs.choosing import ChoiceError, choose_running, shown_name
from dora.transport.addresses import DEFAULT_PORT, is_loopback, shown_address

_MOST_OFFERED: Final = 9

Command = TypeVar("Command", bound=Callable[..., Any])
AnyControl = Control | DirectControl


HELP: Final = {"help_option_names": ["-h", "--help"]}
"""`context_settings` of every command"""


def service_options(command: Command) -> Command:
    """The options that name a service on another machine or port; without them it is this user's own."""
    address = click.option(
        "--coordinator-addr",
        "host",
        envvar="DORA_COORDINATOR_ADDR",
        metavar="HOST",
        help="The service on that machine, not this user's own.",
    )
    port = click.option(
        "--coordinator-port",
        "port",
        type=click.IntRange(1, 65535),
        envvar="DORA_COORDINATOR_PORT",
        metavar="PORT",
        help=f"Its port ({DEFAULT_PORT}).",
    )
    return address(port(command))


def format_option(command: Command) -> Command:
    """`--format table|json`."""
    kind = click.Choice(FORMATS, case_sensitive=False)
    return click.option("-f", "--format", "layout", type=kind, default="table", help="How it is shown.")(command)


def dataflow_option(command: Command) -> Command:
    """`-d ID_OR_NAME`."""
    text = "Of that dataflow; without it, of the only one that runs."
    return click.option("-d", "--dataflow", "wanted", metavar="ID_OR_NAME", help=text)(command)


def examples(text: str) -> str:
    """The epilog of a command, as it is written."""
    return "\b\n" + text.strip("\n")


def open_control(host: str | None, port: int | None) -> AnyControl:
    """The service that is meant; without one, the runs themselves."""
    return connect(_address(host, port))


def open_service(host: str | None, port: int | None) -> Control:
    """The service that is meant.

    Raises:
        NoServiceError: there is none.
    """
    return connect_to_service(_address(host, port))


def _address(host: str | None, port: int | None) -> str | None:
    if host is None and port is None:
        return None
    return shown_address(host or "127.0.0.1", port or DEFAULT_PORT)


def is_this_machine(host: str | None) -> bool:
    """Whether the service is on this machine, so that its dataflows get the environment of this command."""
    return host is None or is_loopback(host)


def choose_dataflow(control: AnyControl, wanted: str | None) -> api.DataflowInfo:
    """The dataflow with that name or id; None: the only one that runs, or the one that the user picks.

    Raises:
        ControlError: there is none, or several and nobody to ask.
    """
    if wanted is not None:
        return control.dataflow(wanted)
    known = control.dataflows()
    try:
        return choose_running(known.dataflows)
    except ChoiceError as error:
        running = [info for info in known.dataflows if info.state not in api.ENDED]
        if len(running) > 1 and len(running) <= _MOST_OFFERED and sys.stdin.isatty() and sys.stderr.isatty():
            return _pick(running)
        hint = _how_to_name(running[0]) if running else error.hint
        raise ControlError(api.Problem(code=error.code, message=str(error), hint=hint)) from None


def _how_to_name(info: api.DataflowInfo) -> str:
    """How the command that was typed is told which dataflow is meant."""
    context = click.get_current_context()
    has_option = any("-d" in parameter.opts for parameter in context.command.params)
    return f"for example `{context.command_path}{' -d' if has_option else ''} {info.called}`"


def _pick(running: list[api.DataflowInfo]) -> api.DataflowInfo:
    for number, info in enumerate(running, 1):
        click.echo(f"  {number}  {shown_name(info)}  {info.id}", err=True)
    number = click.prompt("Which one", type=click.IntRange(1, len(running)), err=True)
    return running[number - 1]
