"""`dora validate FILE...`: everything that can be said about dataflow files without running them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dora.cli.problems import print_problems
from dora.dataflow.descriptor import Dataflow, OutputSource
from dora.dataflow.load import load_dataflow
from dora.dataflow.programs import check_sources
from dora.errors import DescriptorError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings are errors.")
def validate(paths: tuple[Path, ...], strict: bool) -> int:
    """Check dataflow files without running or building anything.

    All problems of a file are shown at once, on stderr, each with its line and what to do about it. Exit code 0:
    all files can be run as they are, or with the warnings shown; 1: at least one cannot.
    """
    results = [_validate_file(path, is_strict=strict) for path in paths]
    return 0 if all(results) else 1


def _validate_file(path: Path, *, is_strict: bool) -> bool:
    click.echo(f"Validating {click.format_filename(path)}...")
    try:
        dataflow = load_dataflow(path)
    except DescriptorError as error:
        sys.stdout.flush()
        print_problems(error.problems, "error", sys.stderr)
        return False
    sys.stdout.flush()
    warnings = [*dataflow.warnings, *check_sources(dataflow)]
    print_problems(warnings, "error" if is_strict else "warning", sys.stderr)
    if warnings and is_strict:
        return False
    click.echo("Input/output wiring OK.\nDescriptor config OK.")
    click.echo(_summary(dataflow, len(warnings)))
    return True


def _summary(dataflow: Dataflow, warnings: int) -> str:
    inputs = sum(len(node.inputs) for node in dataflow.nodes)
    counts = [_count(len(dataflow.nodes), "node"), _count(inputs, "input"), _count(warnings, "warning")]
    unread = _unread_outputs(dataflow)
    note = f"\nOutputs that no node reads: {', '.join(unread)}" if unread else ""
    return ", ".join(counts) + note


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _unread_outputs(dataflow: Dataflow) -> list[str]:
    sources = [entry.source for node in dataflow.nodes for entry in node.inputs.values()]
    read = {(source.node, source.output) for source in sources if isinstance(source, OutputSource)}
    outputs = [(node.id, output) for node in dataflow.nodes for output in node.outputs]
    return [f"{node}/{output}" for node, output in outputs if (node, output) not in read]
