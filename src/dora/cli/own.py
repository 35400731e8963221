"""`dora self ...`: the installation of dora itself."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Final

import click

from dora.cli.targets import HELP, examples
from dora.version import VERSION

_NAME: Final = "dora-rs"
_INDEX: Final = f"https://pypi.org/pypi/{_NAME}/json"
_PATIENCE_S: Final = 10
_UPDATE: Final = """
Examples:
  dora self update --check-only
"""
_UNINSTALL: Final = """
Examples:
  dora self uninstall --force    without a question
"""


@click.group("self", context_settings=HELP, epilog=examples(_UPDATE))
def own() -> None:
    """Update or remove dora itself."""


@own.command(context_settings=HELP, epilog=examples(_UPDATE))
@click.option("--check-only", is_flag=True, help="Only say whether there is a newer version.")
def update(check_only: bool) -> int:
    """Update dora with the installer of its environment."""
    click.echo("Checking for updates...")
    try:
        with urllib.request.urlopen(_INDEX, timeout=_PATIENCE_S) as answer:
            latest = str(json.load(answer)["info"]["version"])
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise click.ClickException(f"cannot ask for the latest version: {error}") from None
    if _numbers(latest) <= _numbers(VERSION):
        click.echo(f"dora {VERSION} is the latest version")
        return 0
    click.echo(f"dora {latest} is there, this is {VERSION}")
    if check_only:
        click.echo("next: `dora self update`", err=True)
        return 0
    return _install("install", "--upgrade", _NAME)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


@own.command(context_settings=HELP, epilog=examples(_UNINSTALL))
@click.option("--force", "is_forced", is_flag=True, help="Do not ask.")
def uninstall(is_forced: bool) -> int:
    """Remove dora from its environment."""
    if not is_forced:
        if not sys.stdin.isatty():
            raise click.ClickException("nobody can be asked here: say --force")
        click.confirm(f"Remove dora {VERSION} from {sys.prefix}?", abort=True)
    return _install("uninstall", "-y", _NAME)


def _install(*words: str) -> int:
    """pip of this environment, or uv where it has none."""
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if probe.returncode == 0:
        return subprocess.run([sys.executable, "-m", "pip", *words], check=False).returncode
    uv_words = [word for word in words if word != "-y"]
    command = ["uv", "pip", uv_words[0], "--python", sys.executable, *uv_words[1:]]
    try:
        return subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        raise click.ClickException(f"neither pip nor uv is there; run: {' '.join(command)}") from None
