"""`dora list` and `dora clean`: the dataflows that run, and those that have ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from dora.cli.tables import print_json_lines, print_table, shown_cpu, shown_memory
from dora.cli.targets import HELP, examples, format_option, open_control, open_service, service_options
from dora.messages import api
from dora.runs.choosing import shown_name

_LIST: Final = """
Examples:
  dora list
  dora list --status failed
  dora list --format json | jq .name
  dora stop $(dora list --quiet --name demo)

`dora run` graphs are listed while they run, by their file. CPU is that since the last look, in percent of one core;
in JSON, memory is in bytes.
"""
_CLEAN: Final = """
Examples:
  dora clean                     forget all that have ended; their log files stay
"""
_STATES: Final = ("running", "finished", "failed")


@click.command(context_settings=HELP, epilog=examples(_LIST))
@format_option
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Only ids.")
@click.option("--status", type=click.Choice(_STATES, case_sensitive=False), help="Only those.")
@click.option("--name", "pattern", default="", metavar="TEXT", help="Only those with TEXT in their name.")
@click.option("--sort-by", type=click.Choice(("cpu", "memory")), help="The largest first.")
@service_options
def list_dataflows(layout: str, is_quiet: bool, host: str | None, port: int | None, **stated: Any) -> int:
    """List the dataflows that run, and those that have ended."""
    if is_quiet and layout != "table":
        raise click.UsageError("--quiet and --format exclude each other")
    control = open_control(host, port)
    answer = control.dataflows()
    infos = _chosen(answer.dataflows, **stated)
    if is_quiet:
        for info in infos:
            click.echo(info.id)
    elif layout == "json":
        print_json_lines(_json(info) for info in infos)
    else:
        print_table(("UUID", "Name", "Status", "Nodes", "CPU", "Memory"), [_row(info) for info in infos])
        if not infos:
            click.echo("no dataflow; start one with `dora start FILE` or `dora run FILE`", err=True)
    for warning in answer.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _chosen(
    infos: Sequence[api.DataflowInfo], status: str | None, pattern: str, sort_by: str | None
) -> list[api.DataflowInfo]:
    chosen = [info for info in infos if pattern.lower() in shown_name(info).lower()]
    if status is not None:
        chosen = [info for info in chosen if (info.state if info.state in api.ENDED else "running") == status]
    if sort_by == "cpu":
        chosen.sort(key=lambda info: info.cpu_percent or 0.0, reverse=True)
    elif sort_by == "memory":
        chosen.sort(key=lambda info: info.memory_bytes or 0, reverse=True)
    return chosen


def _row(info: api.DataflowInfo) -> list[str]:
    is_over = info.state in api.ENDED
    cpu, memory = ("", "") if is_over else (shown_cpu(info.cpu_percent), shown_memory(info.memory_bytes))
    return [info.id, shown_name(info), info.state.capitalize(), str(info.node_count), cpu, memory]


def _json(info: api.DataflowInfo) -> dict[str, Any]:
    return {
        "uuid": info.id,
        "name": info.name,
        "status": info.state.capitalize(),
        "nodes": info.node_count,
        "cpu": info.cpu_percent or 0.0,
        "memory": info.memory_bytes or 0,
        "file": info.file,
        "origin": info.origin,
        "started_ns": info.started_ns,
        "ended_ns": info.ended_ns,
        "exit_code": info.exit_code,
        "log_dir": info.log_dir,
    }


@click.command(context_settings=HELP, epilog=examples(_CLEAN))
@format_option
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Only ids.")
@service_options
def clean(layout: str, is_quiet: bool, host: str | None, port: int | None) -> int:
    """Forget the dataflows that have ended."""
    if is_quiet and layout != "table":
        raise click.UsageError("--quiet and --format exclude each other")
    cleaned = open_service(host, port).clean().cleaned
    if is_quiet:
        for info in cleaned:
            click.echo(info.id)
    elif layout == "json":
        objects = [{"uuid": info.id, "name": info.name, "status": info.state.capitalize()} for info in cleaned]
        print_json_lines(objects)
    elif cleaned:
        print_table(("UUID", "Name", "Status"), [(info.id, info.name, info.state.capitalize()) for info in cleaned])
    if cleaned:
        click.echo(f"Cleaned {len(cleaned)} dataflow(s).", err=True)
    else:
        click.echo("No finished or failed dataflows to clean.", err=True)
    return 0
