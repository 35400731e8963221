"""`dora validate FILE...`: everything that can be said about dataflow files without running them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dora.cli.problems import print_problems
from dora.dataflow.descriptor import Dataflow, Node, OutputSource, Source
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
    inputs = sum(1 for node in dataflow.nodes for _ in _sources(node))
    counts = [_count(len(dataflow.nodes), "node"), _count(inputs, "input"), _count(warnings, "warning")]
    unread = _unread_outputs(dataflow)
    note = f"\nOutputs that no node reads: {', '.join(unread)}" if unread else ""
    return ", ".join(counts) + note


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _sources(node: Node) -> Iterator[Source]:
    """What feeds its inputs, those inside a runtime node included."""
    for owner in node.operators or (node,):
        for entry in owner.inputs.values():
            yield entry.source


def _unread_outputs(dataflow: Dataflow) -> list[str]:
    sources = [source for node in dataflow.nodes for source in _sources(node)]
    read = {(source.node, source.output) for source in sources if isinstance(source, OutputSource)}
    outputs = [(node, output) for node in dataflow.nodes for output in node.outputs]
    return [f"{node.id}/{_shown(node, output)}" for node, output in outputs if (node.id, output) not in read]


def _shown(node: Node, output: str) -> str:
    """An output as people write it: without the operator where there is only one."""
    return output.partition("/")[2] if node.is_single_operator else output
