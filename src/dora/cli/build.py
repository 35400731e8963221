"""`dora build FILE`: make the nodes of a dataflow ready to run, without running them."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from dora.cli.build_options import build_options, takes_build_options
from dora.cli.dataflow_file import local_file
from dora.transport.addresses import is_loopback

_EPILOG: Final = """\b
Examples:
  dora build dataflow.yml
  dora build --uv dataflow.yml
  dora build dataflow.yml --write-lockfile

Clones and downloads what nodes come from, and runs their `build:` lines; what has not changed is left alone.
Exit code 0: every node can run; 1: a build failed or was ended; 2: wrong command line.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("path", metavar="FILE", callback=local_file)
@takes_build_options
@click.option("--force", "is_forced", is_flag=True, help="Build what has not changed, too.")
@click.option("--local", is_flag=True, help="Build nodes with `deploy` on this machine without a warning.")
@click.option("--strict-types", is_flag=True, help="Warnings about types are errors, like `strict_types: true`.")
@click.option("--offline", is_flag=True, help="Ask no repository that is here; uv takes packages from its cache.")
@click.option("--parallel", is_flag=True, help="Accepted; nodes are always built side by side.")
@click.option("--coordinator-addr", "host", metavar="HOST", help="Accepted; nodes are built on this machine.")
@click.option("--coordinator-port", type=click.IntRange(1, 65535), metavar="PORT", help="Accepted.")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Show nothing but failures.")
def build(path: Path, **stated: Any) -> int:
    """Make the nodes of a dataflow ready to run: sources, environments, `build:` lines."""
    from dora.runner.building import build_dataflow
    from dora.runner.options import RunOptions

    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # by `&` in a script; a SIGINT is then meant for this process
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if stated["host"] is not None and not is_loopback(stated["host"]):
        click.echo(f"warning: nodes are built on this machine, not on {stated['host']}", err=True)
    options = replace(build_options(stated), is_forced=stated.pop("is_forced"), is_offline=stated.pop("offline"))
    build_dataflow(
        RunOptions(path=path, build=options, is_quiet=stated["is_quiet"]),
        is_local=stated["local"],
        has_strict_types=stated["strict_types"],
    )
    return 0
