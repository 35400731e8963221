"""`dora param ...`: the runtime parameters of nodes."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from dora.cli.found_nodes import dataflow_of
from dora.cli.tables import print_json
from dora.cli.targets import HELP, dataflow_option, examples, format_option, open_control, service_options
from dora.control import ControlError
from dora.messages import api
from dora.messages import runner_daemon as messages
from dora.messages.params import ParamFault, value_of

_GROUP: Final = """
Examples:
  dora param set camera exposure 0.02      the node gets the event PARAM_UPDATE
  dora param list camera
  dora param delete camera exposure        the node gets the event PARAM_DELETED

\b
In the node:
  for event in node:
      if event["type"] == "PARAM_UPDATE" and event["id"] == "exposure":
          exposure = event["value"]

The dataflow keeps the parameters while it runs: a node that is started again gets them
anew, before its first message.  `dora restart` starts the dataflow without any.
"""
_LIST: Final = """
Examples:
  dora param list camera
  dora param list camera -d demo --format json
"""
_GET: Final = """
Examples:
  dora param get camera exposure           the value as JSON, for scripts
"""
_SET: Final = """
Examples:
  dora param set camera exposure 0.02
  dora param set camera is_on true
  dora param set camera mode fast          what is not JSON is a text, as '"fast"'
  dora param set camera zip '"01234"'      so that it is a text in any case
  dora param set camera offset -5
  dora param set camera window '{"x": 10, "y": 20, "size": [64, 64]}' -d demo
"""
_DELETE: Final = """
Examples:
  dora param delete camera exposure        also if there is none
"""
_PYTHON_WORDS: Final = {"True": "true", "False": "false", "None": "null"}
_NODE: Final = click.argument("node", metavar="NODE")
_KEY: Final = click.argument("key", metavar="KEY")
_LATER: Final = {
    messages.BUILDING: "is still being built; `{node}` gets it when it starts",
    messages.FINISHED: "has ended: no node hears of this, and `dora restart` starts without it",
    messages.FAILED: "has ended: no node hears of this, and `dora restart` starts without it",
}
_NODE_LATER: Final = {
    messages.WAITING: "is not started yet: it gets this when it starts",
    messages.STARTING: "is starting: it gets this before its first message",
    messages.RESTARTING: "is being started again: it gets this before its first message",
    messages.DETACHED: "is not attached: it gets this when it is",
    messages.STOPPED: "has been stopped: it does not hear of this",
    messages.FINISHED: "has ended: it does not hear of this",
    messages.FAILED: "has failed: it does not hear of this",
}


@click.group(context_settings=HELP, epilog=examples(_GROUP))
def param() -> None:
    """See and change parameters of nodes while they run."""


@param.command("list", context_settings=HELP, epilog=examples(_LIST))
@_NODE
@dataflow_option
@format_option
@service_options
def list_params(node: str, wanted: str | None, layout: str, host: str | None, port: int | None) -> int:
    """List the parameters of a node."""
    control = open_control(host, port)
    found = control.params(dataflow_of(control, wanted, node).id, node).params
    if layout == "json":
        print_json(found)
        return 0
    click.echo(f"Parameters for node `{node}`:" if found else f"No parameters set for node `{node}`")
    for key, value in found.items():
        click.echo(f"  {key} = {_shown(value)}")
    if not found:
        click.echo(f"hint: `dora param set {node} KEY VALUE` sets one", err=True)
    return 0


@param.command("get", context_settings=HELP, epilog=examples(_GET))
@_NODE
@_KEY
@dataflow_option
@service_options
def get_param(node: str, key: str, wanted: str | None, host: str | None, port: int | None) -> int:
    """Print the value of a parameter as JSON."""
    control = open_control(host, port)
    click.echo(_shown(control.param(dataflow_of(control, wanted, node).id, node, key).value))
    return 0


@param.command("set", context_settings=HELP | {"ignore_unknown_options": True}, epilog=examples(_SET))
@_NODE
@_KEY
@click.argument("words", metavar="VALUE")
@dataflow_option
@service_options
def set_param(node: str, key: str, words: str, wanted: str | None, **where: Any) -> int:
    """Set a parameter of a node to a JSON value, and tell the node."""
    value = _value(words)
    control = open_control(where["host"], where["port"])
    info = dataflow_of(control, wanted, node)
    control.set_param(info.id, node, key, value)
    click.echo(f"Set `{key}` = {_shown(value)} on node `{node}`")
    if words in _PYTHON_WORDS:
        click.echo(f"note: this is the text {_shown(words)}; JSON writes {_PYTHON_WORDS[words]}", err=True)
    _tell_when(info, node)
    return 0


@param.command("delete", context_settings=HELP, epilog=examples(_DELETE))
@_NODE
@_KEY
@dataflow_option
@service_options
def delete_param(node: str, key: str, wanted: str | None, host: str | None, port: int | None) -> int:
    """Forget a parameter of a node, and tell the node."""
    control = open_control(host, port)
    control.delete_param(dataflow_of(control, wanted, node).id, node, key)
    click.echo(f"Deleted `{key}` from node `{node}`")
    return 0


def _value(words: str) -> Any:
    try:
        return value_of(words)
    except ParamFault as fault:
        hint = """JSON is quoted for the shell: '"a text"', '{"x": 1}', '[1, 2]'"""
        raise ControlError(api.Problem(code=api.WRONG_REQUEST, message=str(fault), hint=hint)) from None


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tell_when(info: api.DataflowInfo, node: str) -> None:
    """Where the node does not run: what becomes of the change."""
    states = {one.id: one.state for one in info.nodes}
    name = info.name or "the dataflow"
    text = ""
    if info.state in _LATER:
        text = f"{name} {_LATER[info.state].format(node=node)}"
    elif states.get(node) in _NODE_LATER:
        text = f"`{node}` {_NODE_LATER[states[node]]}"
    if text:
        click.echo(f"note: {text}", err=True)
