"""`dora validate FILE...`: everything that can be said about dataflow files without running them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from dora.cli.dataflow_file import local_file
from dora.cli.problems import parse_problem, print_problems
from dora.dataflow.descriptor import Dataflow, Node, OutputSource, Source
from dora.dataflow.load import load_dataflow
from dora.dataflow.programs import check_local, check_sources
from dora.errors import DescriptorError

_EPILOG: Final = """\b
Examples:
  dora validate dataflow.yml
  dora validate --strict examples/*/dataflow.yml
  dora validate --format json dataflow.yml | jq .problems

All problems of a file are shown at once, on stderr, each with its line and what to do about it; with `--format json`
they are on stdout, one object per file. Exit code 0: all files can be run as they are, or with the warnings shown;
1: at least one cannot; 2: wrong command line.
Outputs that no node reads are named at the end; they are no mistake, also with `--strict`.
"""


class _Result(NamedTuple):
    """What is known of one file; `dataflow` is None if it cannot be run."""

    path: Path
    dataflow: Dataflow | None
    errors: list[str]
    warnings: list[str]


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, callback=local_file)
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--strict-types", is_flag=True, help="Warnings about types are errors, like `strict_types: true`.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How results are shown.")
@click.option("--offline", is_flag=True, hidden=True, help="Accepted; nothing is looked up anywhere.")
def validate(paths: tuple[Path, ...], strict: bool, strict_types: bool, form: str, offline: bool) -> int:
    """Check dataflow files without running or building anything."""
    is_right = True
    for path in paths:
        if form == "text":
            click.echo(f"Validating {click.format_filename(path)}...")
        result = _check(path, is_strict=strict, has_strict_types=strict_types)
        _SHOW[form](result)
        is_right = is_right and not result.errors
    return 0 if is_right else 1


def _check(path: Path, *, is_strict: bool, has_strict_types: bool) -> _Result:
    try:
        dataflow = load_dataflow(path, has_strict_types=has_strict_types, looks_for_programs=True)
    except DescriptorError as error:
        return _Result(path, None, error.problems, [])
    warnings = [*dataflow.warnings, *check_sources(dataflow), *check_local(dataflow)]
    return _Result(path, dataflow, warnings, []) if is_strict else _Result(path, dataflow, [], warnings)


def _show_text(result: _Result) -> None:
    sys.stdout.flush()
    print_problems(result.errors, "error", sys.stderr)
    print_problems(result.warnings, "warning", sys.stderr)
    sys.stderr.flush()
    if result.errors or result.dataflow is None:
        return
    for line in _summary(result.dataflow, len(result.warnings)):
        click.echo(line)


def _show_json(result: _Result) -> None:
    import json

    lines = [(line, "error") for line in result.errors] + [(line, "warning") for line in result.warnings]
    found: dict[str, Any] = {
        "file": str(result.path),
        "valid": not result.errors,
        "problems": [_as_json(line, severity, str(result.path)) for line, severity in lines],
    }
    if result.dataflow is not None:
        found["nodes"] = [node.id for node in result.dataflow.nodes]
        found["unread_outputs"] = _unread_outputs(result.dataflow)
        found["inferred_types"] = result.dataflow.inferred_types
        found["user_types"] = list(result.dataflow.user_types)
    click.echo(json.dumps(found))


def _as_json(line: str, severity: str, file: str) -> dict[str, Any]:
    problem = parse_problem(line, severity)
    if not problem.file and line.startswith(f"{file}: "):  # about the file as a whole
        problem = problem._replace(file=file, text=line[len(file) + 2 :])
    return problem._asdict()


_SHOW: Final[dict[str, Callable[[_Result], None]]] = {"text": _show_text, "json": _show_json}


def _summary(dataflow: Dataflow, warnings: int) -> Iterator[str]:
    if dataflow.user_types:
        yield f"Loaded {_count(len(dataflow.user_types), 'user-defined type')} from types/"
    yield "Input/output wiring OK."
    yield "Descriptor config OK."
    if dataflow.type_warnings:
        yield f"{_count(len(dataflow.type_warnings), 'type warning')} found; --strict-types makes them errors."
    else:
        yield "All type annotations OK."
    for name, inferred in dataflow.inferred_types.items():
        yield f"Inferred: {name} is {inferred}"
    inputs = sum(1 for node in dataflow.nodes for _ in _sources(node))
    yield ", ".join([_count(len(dataflow.nodes), "node"), _count(inputs, "input"), _count(warnings, "warning")])
    unread = _unread_outputs(dataflow)
    if unread:
        yield f"Outputs that no node reads: {', '.join(unread)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _sources(node: Node) -> Iterator[Source]:
    """What feeds its inputs, those inside a runtime node included."""
    for owner in node.operators or (node,):
        for entry in owner.inputs.values():
            yield entry.source


def _unread_outputs(dataflow: Dataflow) -> list[str]:
    """No warnings: whoever takes over a node need not want all that it sends, and `topic echo` reads any output."""
    sources = [source for node in dataflow.nodes for source in _sources(node)]
    read = {(source.node, source.output) for source in sources if isinstance(source, OutputSource)}
    outputs = [(node, output) for node in dataflow.nodes for output in node.outputs]
    return [f"{node.id}/{_shown(node, output)}" for node, output in outputs if (node.id, output) not in read]


def _shown(node: Node, output: str) -> str:
    """An output as people write it: without the operator where there is only one."""
    return output.partition("/")[2] if node.is_single_operator else output
