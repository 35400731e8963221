"""`dora node ...`: the nodes of running dataflows."""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from dora.cli.found_nodes import dataflows_of, find_node
from dora.cli.node_changes import COMMANDS, grace_option
from dora.cli.tables import print_json, print_json_lines, print_table, shown_cpu, shown_memory
from dora.cli.targets import HELP, dataflow_option, examples, format_option, open_control, service_options
from dora.messages import api
from dora.runs.choosing import shown_name

_GROUP: Final = """
Examples:
  dora node list
  dora node info camera -d demo
  dora node restart camera
  dora node add --from-yaml logger.yml
  dora node connect camera/image logger/image
"""
_LIST: Final = """
Examples:
  dora node list                 of all running dataflows
  dora node list -d demo --format json
"""
_INFO: Final = """
Examples:
  dora node info camera          inputs with their queues, outputs, restart policy, process
"""
_RESTART: Final = """
Examples:
  dora node restart camera       STOP event, SIGTERM after the grace (5s), then a new process
"""
_STOP: Final = """
Examples:
  dora node stop camera          it is not started again; its readers see its outputs closed
"""


@click.group(context_settings=HELP, epilog=examples(_GROUP))
def node() -> None:
    """See and control the nodes of running dataflows, and change how they are wired."""


for command in COMMANDS:
    node.add_command(command)


@node.command("list", context_settings=HELP, epilog=examples(_LIST))
@click.option("-d", "--dataflow", "wanted", metavar="ID_OR_NAME", help="Of that dataflow; without it, of all that run.")
@format_option
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Only ids of nodes.")
@service_options
def list_nodes(wanted: str | None, layout: str, is_quiet: bool, host: str | None, port: int | None) -> int:
    """List the nodes of a dataflow, or of all that run."""
    if is_quiet and layout != "table":
        raise click.UsageError("--quiet and --format exclude each other")
    control = open_control(host, port)
    found = [(info, one) for info in dataflows_of(control, wanted) for one in info.nodes]
    if is_quiet:
        for _, one in found:
            click.echo(one.id)
    elif layout == "json":
        print_json_lines(_json(info, one) for info, one in found)
    else:
        head = ["NODE", "STATUS", "PID", "CPU", "MEMORY", "RESTARTS"] + ([] if wanted else ["DATAFLOW"])
        print_table(head, [_row(info, one, has_dataflow=not wanted) for info, one in found])
        if not found and not wanted:
            click.echo("no dataflow is running; start one with `dora start FILE` or `dora run FILE`", err=True)
    return 0


def _row(info: api.DataflowInfo, one: api.NodeInfo, *, has_dataflow: bool) -> list[str]:
    cells = [one.id, one.state.capitalize(), str(one.pid or "-"), shown_cpu(one.cpu_percent)]
    cells += [shown_memory(one.memory_bytes), str(one.restarts)]
    return cells + ([shown_name(info)] if has_dataflow else [])


def _json(info: api.DataflowInfo, one: api.NodeInfo) -> dict[str, Any]:
    return {
        "node": one.id,
        "status": one.state.capitalize(),
        "pid": one.pid,
        "cpu": one.cpu_percent,
        "memory": one.memory_bytes,
        "restarts": one.restarts,
        "dataflow": info.id,
        "name": info.name,
        "exit_code": one.exit_code,
        "message": one.message,
    }


@node.command("info", context_settings=HELP, epilog=examples(_INFO))
@click.argument("node_id", metavar="NODE")
@dataflow_option
@format_option
@service_options
def show_node(node_id: str, wanted: str | None, layout: str, host: str | None, port: int | None) -> int:
    """Show all about one node."""
    control = open_control(host, port)
    info, one = find_node(control, wanted, node_id)
    if layout == "json":
        print_json({"dataflow_name": info.name, **msgspec.to_builtins(one)})
        return 0
    for title, lines in _sections(info, one):
        click.echo(f"{title}:")
        for line in lines:
            click.echo(f"  {line}")
    return 0


def _sections(info: api.DataflowInfo, one: api.NodeInfo) -> list[tuple[str, list[str]]]:
    about = {"Node": one.id, "Name": one.name, "Description": one.description, "Path": one.path, "Command": one.command}
    policy = {
        "Policy": one.restart_policy,
        "Max restarts": "" if one.restart_policy == "never" else one.max_restarts or "no limit",
        "Restart delay": _seconds(one.restart_delay_s),
        "Health check timeout": _seconds(one.health_check_timeout_s),
        "Grace after inputs closed": _seconds(one.finish_grace_s),
    }
    process = {
        "Status": one.state.capitalize() + (f" ({one.message})" if one.message else ""),
        "PID": one.pid or "-",
        "CPU": shown_cpu(one.cpu_percent),
        "Memory": shown_memory(one.memory_bytes),
        "Restarts": one.restarts,
    }
    return [
        (f"Node of {shown_name(info)} ({info.id})", _pairs(about)),
        ("Restart policy", _pairs(policy)),
        ("Inputs", [_input(port) for port in one.inputs] or ["(none)"]),
        ("Outputs", [_output(port) for port in one.outputs] or ["(none)"]),
        ("Process", _pairs(process)),
    ]


def _pairs(values: dict[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in values.items() if value not in ("", None)]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:g} s"


def _input(port: api.InputInfo) -> str:
    text = f"{port.id} <- {port.source or '(disconnected)'}"
    if port.queue_size is None:
        return text
    queue = f"{port.waiting} of {port.queue_size} waiting, {port.queue_policy}"
    return f"{text}  ({queue}, {port.taken} taken, {port.dropped} dropped)"


def _output(port: api.OutputInfo) -> str:
    return f"{port.id} -> {', '.join(port.subscribers) or '(no subscribers)'}"


@node.command("restart", context_settings=HELP, epilog=examples(_RESTART))
@click.argument("node_id", metavar="NODE")
@dataflow_option
@grace_option
@service_options
def restart_node(node_id: str, wanted: str | None, grace_s: float, host: str | None, port: int | None) -> int:
    """Stop a node and start it again, whatever its restart policy says."""
    control = open_control(host, port)
    info, _ = find_node(control, wanted, node_id)
    control.restart_node(info.id, node_id, grace_s=grace_s)
    click.echo(f"Node `{node_id}` restart initiated")
    return 0


@node.command("stop", context_settings=HELP, epilog=examples(_STOP))
@click.argument("node_id", metavar="NODE")
@dataflow_option
@grace_option
@click.option("-f", "--force", "is_forced", is_flag=True, help="SIGKILL at once.")
@service_options
def stop_node(node_id: str, wanted: str | None, grace_s: float, is_forced: bool, **where: Any) -> int:
    """Stop a node for good."""
    control = open_control(where["host"], where["port"])
    info, _ = find_node(control, wanted, node_id)
    control.stop_node(info.id, node_id, grace_s=grace_s, is_forced=is_forced)
    click.echo(f"Node `{node_id}` is being stopped")
    return 0
