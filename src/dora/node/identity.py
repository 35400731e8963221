"""Who this process is: a node that dora started, or a dynamic node that attaches to a running dataflow.

Strategy: `DORA_NODE_CONFIG` wins; an id given to `Node()` then says nothing.  Without it the id is looked up among
the running dataflows of this user (dora node-api, section 17).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from dora import env
from dora.errors import NodeError
from dora.hints import did_you_mean
from dora.ids import node_id_fault
from dora.transport import rendezvous

_NOT_SPAWNED: Final = (
    "Could not initiate node from environment variable. For dynamic node, please add a node id in the "
    "initialization function. (DORA_NODE_CONFIG is not set: this process was not started by dora; "
    "run the dataflow with `dora run dataflow.yml`)"
)


def identity_of(node_id: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Socket, node id and token with which this process may open its link.

    Raises:
        NodeError: this process was not started by dora and there is no such dynamic node.
    """
    text = environ.get(env.NODE_CONFIG)
    if text:
        return _from_variable(text)
    if node_id is None:
        raise NodeError(_NOT_SPAWNED)
    return _dynamic(node_id, environ)


def _from_variable(text: str) -> dict[str, str]:
    try:
        identity = json.loads(text)
    except ValueError as error:
        raise NodeError(f"DORA_NODE_CONFIG is not JSON ({error}): it is set by dora, do not set it by hand") from error
    if not isinstance(identity, dict) or not {"socket", "node", "token"} <= identity.keys():
        raise NodeError("DORA_NODE_CONFIG lacks `socket`, `node` or `token`: it is set by dora, do not set it by hand")
    return identity


def _dynamic(node_id: str, environ: Mapping[str, str]) -> dict[str, str]:
    fault = node_id_fault(node_id)
    if fault is not None:
        raise NodeError(f"invalid node_id: {fault}")
    cards = rendezvous.running(environ)
    having = [card for card in cards if node_id in card.dynamic]
    if len(having) == 1:
        return {"socket": having[0].socket, "node": node_id, "token": having[0].dynamic[node_id]}
    raise NodeError(f"Could not setup node from node id `{node_id}`: {_reason(node_id, cards, having)}")


def _reason(node_id: str, cards: list[rendezvous.Card], having: list[rendezvous.Card]) -> str:
    if having:
        shown = ", ".join(f"{card.dataflow_id} ({card.file})" for card in having)
        return f"multiple dataflows contain dynamic node id `{node_id}`: {shown}; stop all but one"
    if not cards:
        return "no dataflow of this user is running (start one with `dora run dataflow.yml`)"
    static = next((card for card in cards if node_id in card.static), None)
    if static is not None:
        return (
            f"node `{node_id}` of {static.file} is not dynamic: dora starts it "
            "(`path: dynamic` in the file makes a node one that you start yourself)"
        )
    known = [name for card in cards for name in card.dynamic]
    hint = did_you_mean(node_id, known) or f"dynamic nodes that run: {', '.join(known) or 'none'}"
    return f"no node with ID `{node_id}` in a running dataflow; {hint}"
