"""`dora node add`, `remove`, `replace`, `connect`, `disconnect`: the graph of a dataflow is changed while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from dora.cli.durations import DURATION
from dora.cli.found_nodes import find_node
from dora.cli.tables import print_json
from dora.cli.targets import (
    HELP,
    AnyControl,
    choose_dataflow,
    dataflow_option,
    examples,
    format_option,
    open_control,
    service_options,
)
from dora.control import ControlError
from dora.errors import DescriptorError
from dora.messages import api
from dora.messages.runner_daemon import FAILED

_MOST_CHARACTERS: Final = 30_000
_ADD: Final = """
Examples:
  dora node add --from-yaml logger.yml
  dora node add --from-yaml logger.yml -d demo

logger.yml is one entry of `nodes:`, for example

\b
  id: logger
  path: logger.py
  inputs:
    image: camera/image

Relative paths start in the dataflow's folder. The dataflow file stays as it is:
after `dora restart` the node is not there.
"""
_REMOVE: Final = """
Examples:
  dora node remove logger        STOP event, SIGTERM after the grace (5s)
  dora node remove logger --force

Who reads it gets its last message, then INPUT_CLOSED.
"""
_REPLACE: Final = """
Examples:
  dora node replace logger --from-yaml logger.yml

The new node has the same id, all inputs that are connected and all outputs that
are read. What is queued for the old one is delivered to the new one; readers
get NODE_RESTARTED. If the new one ends before it is ready, the old one is
started again.
"""
_CONNECT: Final = """
Examples:
  dora node connect camera/image logger/image
  dora node connect camera/image logger/image --queue-size 100 --queue-policy backpressure
  dora node connect replay/image logger/image --instead     of what feeds it now
"""
_DISCONNECT: Final = """
Examples:
  dora node disconnect camera/image logger/image

The input gets what is queued, then INPUT_CLOSED. A node whose inputs are all
closed gets STOP, as when its senders end; `connect --instead` avoids that.
"""


def _from_yaml(command: Any) -> Any:
    text = "The entry of the node, as in a dataflow file."
    option = click.option(
        "--from-yaml", "file", required=True, type=click.Path(path_type=Path), metavar="FILE", help=text
    )
    return option(command)


def grace_option(command: Any) -> Any:
    """`--grace TIME` of what stops a node."""
    text = "From STOP to SIGTERM (5s)."
    return click.option("--grace", "grace_s", type=DURATION, default=api.NODE_GRACE_S, metavar="TIME", help=text)(
        command
    )


@click.command("add", context_settings=HELP, epilog=examples(_ADD))
@_from_yaml
@dataflow_option
@format_option
@service_options
def add_node(file: Path, wanted: str | None, layout: str, host: str | None, port: int | None) -> int:
    """Add a node to a dataflow that runs, and start it."""
    text = _read(file)
    control = open_control(host, port)
    info = choose_dataflow(control, wanted)
    change = control.add_node(info.id, text, file=str(file))
    return _conclude(change, layout, f"Node `{change.node}` added to dataflow {info.id}", was="added")


@click.command("remove", context_settings=HELP, epilog=examples(_REMOVE))
@click.argument("node_id", metavar="NODE")
@dataflow_option
@grace_option
@click.option("--force", "is_forced", is_flag=True, help="SIGKILL at once.")
@format_option
@service_options
def remove_node(node_id: str, wanted: str | None, layout: str, **options: Any) -> int:
    """Stop a node and take it out of a dataflow that runs."""
    control = _control(options)
    info, _ = find_node(control, wanted, node_id)
    change = control.remove_node(info.id, node_id, grace_s=options["grace_s"], is_forced=options["is_forced"])
    if any(one.id == node_id for one in change.dataflow.nodes) and change.dataflow.state not in api.ENDED:
        hint = f"`dora node remove {node_id} --force` kills it"
        message = f"node `{node_id}` is still running; it is removed when it has ended"
        raise ControlError(api.Problem(code=api.NO_ANSWER, message=message, hint=hint))
    return _conclude(change, layout, f"Node `{node_id}` removed from dataflow {info.id}")


@click.command("replace", context_settings=HELP, epilog=examples(_REPLACE))
@click.argument("node_id", metavar="NODE")
@_from_yaml
@dataflow_option
@grace_option
@format_option
@service_options
def replace_node(node_id: str, file: Path, wanted: str | None, layout: str, **options: Any) -> int:
    """Put another node in the place of one that runs."""
    text = _read(file)
    control = _control(options)
    info, _ = find_node(control, wanted, node_id)
    change = control.replace_node(info.id, node_id, text, file=str(file), grace_s=options["grace_s"])
    node = next((one for one in change.dataflow.nodes if one.id == node_id), None)
    if node is not None and node.state != FAILED and node.message:
        hint = f"`dora logs {info.called} --node {node_id}` shows what it printed"
        message = f"node `{node_id}` was not replaced, the old one runs again: {node.message}"
        raise ControlError(api.Problem(code=api.START_FAILED, message=message, hint=hint))
    return _conclude(change, layout, f"Node `{node_id}` replaced in dataflow {info.id}", was="replaced")


@click.command("connect", context_settings=HELP, epilog=examples(_CONNECT))
@click.argument("source", metavar="NODE/OUTPUT")
@click.argument("target", metavar="NODE/INPUT")
@dataflow_option
@click.option("--instead", "is_instead", is_flag=True, help="In place of what feeds the input now.")
@click.option("--queue-size", type=click.IntRange(1, 1_000_000), metavar="N", help="Of the input (10).")
@click.option(
    "--queue-policy", type=click.Choice(("drop_oldest", "backpressure")), help="What happens when it is full."
)
@format_option
@service_options
def connect_input(source: str, target: str, wanted: str | None, layout: str, **options: Any) -> int:
    """Have an input read an output, in a dataflow that runs."""
    control = _control(options)
    change = control.connect_input(
        _dataflow_with(control, wanted, target),
        source,
        target,
        is_instead=options["is_instead"],
        queue_size=options["queue_size"],
        queue_policy=options["queue_policy"],
    )
    return _conclude(change, layout, f"{source} -> {target}")


@click.command("disconnect", context_settings=HELP, epilog=examples(_DISCONNECT))
@click.argument("source", metavar="NODE/OUTPUT")
@click.argument("target", metavar="NODE/INPUT")
@dataflow_option
@format_option
@service_options
def disconnect_input(source: str, target: str, wanted: str | None, layout: str, **options: Any) -> int:
    """Close an input that reads an output, in a dataflow that runs."""
    control = _control(options)
    change = control.disconnect_input(_dataflow_with(control, wanted, target), source, target)
    return _conclude(change, layout, f"{source} -x- {target}")


COMMANDS: Final = (add_node, remove_node, replace_node, connect_input, disconnect_input)
"""in the order of `--help`"""


def _control(options: dict[str, Any]) -> AnyControl:
    return open_control(options["host"], options["port"])


def _dataflow_with(control: AnyControl, wanted: str | None, target: str) -> str:
    """The dataflow whose input that is; what is wrong with the rest, its runner says."""
    node, slash, _ = target.partition("/")
    if not slash:
        raise click.BadParameter(f"expected NODE/INPUT, got {target!r}", param_hint="NODE/INPUT")
    return find_node(control, wanted, node)[0].id


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DescriptorError([f"{file}: file not found"]) from None
    except IsADirectoryError:
        raise DescriptorError([f"{file}: expected a YAML file, found a directory"]) from None
    except UnicodeDecodeError:
        raise DescriptorError([f"{file}: expected a YAML file, found something that is not UTF-8"]) from None
    except OSError as error:
        raise DescriptorError([f"{file}: {error.strerror}"]) from None
    if len(text) > _MOST_CHARACTERS:
        raise DescriptorError([f"{file}: expected one node, found {len(text)} characters (most: {_MOST_CHARACTERS})"])
    return text


def _conclude(change: api.GraphChange, layout: str, text: str, was: str = "") -> int:
    """Say what was done; a node that was started and has failed already is a failure of the command."""
    for note in change.notes:
        click.echo(f"note: {note}", err=True)
    node = next((one for one in change.dataflow.nodes if one.id == change.node), None)
    if layout == "json":
        print_json(
            {
                "dataflow": change.dataflow.id,
                "node": None if node is None else msgspec.to_builtins(node),
                "notes": change.notes,
            }
        )
    else:
        click.echo(text)
    if was and (node is None or node.state == FAILED):
        why = f": {node.message}" if node is not None and node.message else ""
        hint = f"`dora logs {change.dataflow.called} --node {change.node}` shows what it printed"
        message = f"node `{change.node}` was {was}, but has failed{why}"
        raise ControlError(api.Problem(code=api.START_FAILED, message=message, hint=hint))
    return 0
