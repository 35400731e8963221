"""What `dora run` and `dora start` may both be told about the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_FINISH: Final = "--exit-when-nodes-finish"


class RunCommand(click.Command):
    """A command with `takes_finish`, whose value may be left out: the next word is then the file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, which would take the next word for the value."""
        return super().parse_args(ctx, [f"{word}=true" if word == _FINISH else word for word in args])


def _overrides(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    if not words:
        return {}  # a run that sets nothing starts without waiting for the import
    from dora.dataflow.environment import parse_overrides

    return parse_overrides(words)


def _yes_or_no(ctx: click.Context, param: click.Parameter, word: str | None) -> bool | None:
    return None if word is None else word == "true"


def takes_env(command: Command) -> Command:
    """Add `--env`: a mapping in `env`."""
    return click.option(
        "--env", multiple=True, callback=_overrides, metavar="KEY=VALUE", help="Set a variable for all nodes."
    )(command)


def takes_finish(command: Command) -> Command:
    """Add `--exit-when-nodes-finish`: true, false or None (the file says) in `exits_when_nodes_finish`."""
    return click.option(
        _FINISH,
        "exits_when_nodes_finish",
        type=click.Choice(("true", "false"), case_sensitive=False),
        callback=_yes_or_no,
        metavar="[=true|false]",
        help="A timer does not keep a node alive whose data inputs are closed.",
    )(command)
