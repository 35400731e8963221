"""`dora expand FILE`: the dataflow with its modules replaced by their nodes, as YAML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from dora.cli.dataflow_file import local_file
from dora.cli.problems import print_problems
from dora.dataflow.flattened import check_module, flatten_dataflow

_EPILOG: Final = """\b
Examples:
  dora expand dataflow.yml
  dora expand dataflow.yml > flat.yml
  dora expand --module modules/camera.yml

What is printed is itself a dataflow that means the same: variables are replaced, defaults left out. Problems go to
stderr, and what there is is printed all the same. Exit code 0: the file is right; 1: it is not.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("path", metavar="FILE", callback=local_file)
@click.option("--module", "is_module", is_flag=True, help="FILE is a module: check it for itself, print nothing of it.")
def expand(path: Path, is_module: bool) -> int:
    """Print a dataflow with the nodes of its modules in their place, as YAML."""
    if is_module:
        print_problems(check_module(path), "warning", sys.stderr)
        click.echo(f"Module file is valid: {click.format_filename(path)}")
        return 0
    found = flatten_dataflow(path)
    print_problems(found.errors, "error", sys.stderr)
    print_problems(found.warnings, "warning", sys.stderr)
    click.echo(found.text, nl=False)
    return 1 if found.errors else 0
