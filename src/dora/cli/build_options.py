"""What `dora build`, and whatever builds before it does something else, may be told about the build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from dora.runner.options import BuildOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_NAMES: Final = ("uses_uv", "is_locked", "writes_lock", "lockfile")
_OPTIONS: Final = (
    click.option("--uv", "uses_uv", is_flag=True, help="Nodes with a `build:` get a Python environment of their own."),
    click.option("--locked", "is_locked", is_flag=True, help="Take the commits and checksums of the lock file."),
    click.option("--write-lockfile", "writes_lock", is_flag=True, help="Write commits and checksums to it."),
    click.option(
        "--lockfile", type=click.Path(path_type=Path), metavar="PATH", help="The lock file, not the one beside FILE."
    ),
)


def takes_build_options(command: Command) -> Command:
    """Add the options; `build_options` takes them out of the stated values again."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build_options(stated: dict[str, Any]) -> BuildOptions:
    """The build's part of the stated values, which leaves them."""
    from dora.runner.options import BuildOptions

    options = BuildOptions(**{name: stated.pop(name) for name in _NAMES})
    if options.is_locked and options.writes_lock:
        raise click.UsageError("--locked and --write-lockfile exclude each other")
    if options.lockfile is not None and not (options.is_locked or options.writes_lock):
        raise click.ClickException("--lockfile needs --locked or --write-lockfile")
    return options
